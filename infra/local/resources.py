"""Has CloudFormation create the stack's resources out of the template, so that what is tested is what is deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_ssm import SSMClient
from mypy_boto3_stepfunctions import SFNClient

from infra import stacks, template
from infra.local import cloudformation
from infra.local.aws import REGION
from infra.local.uploads import Notification

#: What CreateTable takes of the template's table. The rest guards data that is worth keeping, which this is not.
_TABLE_PROPERTIES = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")

#: An output beside the template's own: all that this stack is told of itself, as JSON.
_TOLD: Final = "Told"


@dataclass(frozen=True, kw_only=True)
class Clients:
    """boto3 clients for the stack's own resources."""

    #: At moto.
    cloudformation: CloudFormationClient
    #: At DynamoDB Local, if there is one.
    dynamodb: DynamoDBClient
    #: At moto.
    s3: S3Client
    #: At moto.
    ssm: SSMClient
    #: At moto.
    stepfunctions: SFNClient

    @classmethod
    def at(cls, url: str, *, dynamodb_endpoint: str | None) -> Clients:
        """Return the clients for AWS at this address."""
        session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)
        # As many connections as there are threads; path style, because a bucket has no host name of its own here.
        config = Config(max_pool_connections=64, s3={"addressing_style": "path"})
        return cls(
            cloudformation=session.client("cloudformation", endpoint_url=url, config=config),
            dynamodb=session.client("dynamodb", endpoint_url=dynamodb_endpoint or url, config=config),
            s3=session.client("s3", endpoint_url=url, config=config),
            ssm=session.client("ssm", endpoint_url=url, config=config),
            stepfunctions=session.client("stepfunctions", endpoint_url=url, config=config),
        )


@dataclass(frozen=True, kw_only=True)
class FunctionResource:
    """A function, as the template has it."""

    #: What it is invoked by.
    name: str
    #: The ARN of the role that it runs under.
    role: str
    #: How long an invocation may take.
    timeout_seconds: float
    #: How often Lambda retries an asynchronous invocation.
    retries: int


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What was created, and what the functions are told of it."""

    #: The stack's name, which the functions' names begin with.
    stack_name: str
    #: The table's name.
    table: str
    #: The bucket's name.
    bucket: str
    #: The state machine's ARN.
    park: str
    #: The functions' environment variables.
    environment: Mapping[str, str]
    #: The functions by the template's names for them (`Drive`, `Work`, ...).
    function_resources: Mapping[str, FunctionResource]
    #: Which functions the bucket tells of new objects.
    notifications: Sequence[Notification]

    @property
    def functions(self) -> Mapping[str, str]:
        """The functions' names by the template's names for them."""
        return {logical: function.name for logical, function in self.function_resources.items()}


def create(
    stack_name: str, clients: Clients, parameters: Mapping[str, str], *, dynamodb_endpoint: str | None
) -> Resources:
    """Create the stack, its resources, and the secret beside it that a deployment would have made before."""
    document = template.load()
    clients.ssm.put_parameter(Name=stacks.pepper_name(stack_name), Value=parameters["KeyPepper"], Type="SecureString")
    told = _create_stack(stack_name, clients.cloudformation, parameters, document)
    # CloudFormation has made the table at moto; where DynamoDB is another, it is made there too.
    if dynamodb_endpoint is not None:
        create_table(told["table"], clients.dynamodb, document)
    else:
        _let_items_expire(told["table"], clients.dynamodb, document)
    _finish_bucket(told["bucket"], clients.s3, told["bucket_properties"])
    return Resources(
        stack_name=stack_name,
        table=told["table"],
        bucket=told["bucket"],
        park=told["park"],
        environment={name: str(value) for name, value in told["environment"].items()},
        function_resources={
            name: FunctionResource(
                name=function["name"],
                role=function["role"],
                timeout_seconds=float(function["timeout"]),
                retries=int(function.get("retries", 2)),
            )
            for name, function in told["functions"].items()
        },
        notifications=[Notification(**notification) for notification in told["notifications"]],
    )


def create_table(name: str, dynamodb: DynamoDBClient, document: Mapping[str, Any] | None = None) -> None:
    """Create the template's table under this name, with its indexes and its time to live."""
    document = document or template.load()
    properties = document["Resources"]["Table"]["Properties"]
    dynamodb.create_table(TableName=name, **{key: properties[key] for key in _TABLE_PROPERTIES})
    _let_items_expire(name, dynamodb, document)


def _let_items_expire(table: str, dynamodb: DynamoDBClient, document: Mapping[str, Any]) -> None:
    """Set what moto's CloudFormation leaves out of a table."""
    specification = document["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def _create_stack(
    name: str, client: CloudFormationClient, parameters: Mapping[str, str], document: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Create the stack, and return what CloudFormation says of it once it is there."""
    given = {
        # Of a list that is not given, moto takes the default for one text.
        **{
            parameter: section["Default"]
            for parameter, section in document["Parameters"].items()
            if section["Type"] == "CommaDelimitedList"
        },
        **{parameter: value for parameter, value in parameters.items() if parameter in document["Parameters"]},
    }
    body = cloudformation.buildable(document)
    body["Outputs"][_TOLD] = {"Value": {"Fn::ToJsonString": _what_to_tell(document)}}
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = client.describe_stacks(StackName=name)["Stacks"]
    [output] = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == _TOLD]
    told: Mapping[str, Any] = json.loads(output)
    return told


def _what_to_tell(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return, with references in it, what the functions and the rest of this stack are to know."""
    sections = document["Resources"]
    functions = {name: item["Properties"] for name, item in sections.items() if _is_function(item)}
    return {
        "table": {"Ref": "Table"},
        "bucket": {"Ref": "Bucket"},
        "bucket_properties": sections["Bucket"]["Properties"],
        "park": {"Ref": "Park"},
        "environment": document["Globals"]["Function"]["Environment"]["Variables"],
        "functions": {
            name: {
                "name": properties["FunctionName"],
                "role": properties["Role"],
                "timeout": properties["Timeout"],
                **(
                    {"retries": properties["EventInvokeConfig"]["MaximumRetryAttempts"]}
                    if "EventInvokeConfig" in properties
                    else {}
                ),
            }
            for name, properties in functions.items()
        },
        "notifications": [
            {
                "bucket": event["Properties"]["Bucket"],
                "prefix": event["Properties"]["Filter"]["S3Key"]["Rules"][0]["Value"],
                "function": properties["FunctionName"],
            }
            for properties in functions.values()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "S3"
        ],
    }


def _is_function(section: Mapping[str, Any]) -> bool:
    return "FunctionName" in section.get("Properties", {})


def _finish_bucket(name: str, s3: S3Client, properties: Mapping[str, Any]) -> None:
    """Set what moto's CloudFormation leaves out of a bucket and the stack's functions, or browsers, would notice."""
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    rules = properties["CorsConfiguration"]["CorsRules"]
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [_cors_rule(rule) for rule in rules]})


def _cors_rule(rule: Mapping[str, Any]) -> Any:
    """Return the rule in S3's words, which CloudFormation's differ from in two."""
    renamed = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    return {renamed.get(key, key): value for key, value in rule.items()}
