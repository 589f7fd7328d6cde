"""Creates the table, bucket and state machine out of the template, so that what is tested is what is deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_stepfunctions import SFNClient

from infra import template
from infra.local.aws import ACCOUNT, REGION
from infra.local.uploads import Notification

#: What CreateTable takes of the template's table. The rest guards data that is worth keeping, which this is not.
_TABLE_PROPERTIES = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")


@dataclass(frozen=True, kw_only=True)
class Clients:
    """boto3 clients for the stack's own resources."""

    #: At DynamoDB Local, if there is one.
    dynamodb: DynamoDBClient
    #: At moto.
    s3: S3Client
    #: At moto.
    stepfunctions: SFNClient

    @classmethod
    def at(cls, url: str, *, dynamodb_endpoint: str | None) -> Clients:
        """Return the clients for AWS at this address."""
        session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)
        # As many connections as there are threads; path style, because a bucket has no host name of its own here.
        config = Config(max_pool_connections=64, s3={"addressing_style": "path"})
        return cls(
            dynamodb=session.client("dynamodb", endpoint_url=dynamodb_endpoint or url, config=config),
            s3=session.client("s3", endpoint_url=url, config=config),
            stepfunctions=session.client("stepfunctions", endpoint_url=url, config=config),
        )


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
    #: Function names by the template's names for them (`Drive`, `Work`, ...).
    functions: Mapping[str, str]
    #: How often Lambda retries an asynchronous invocation, by the same names.
    retries: Mapping[str, int]
    #: Which functions the bucket tells of new objects.
    notifications: Sequence[Notification]


def create(stack_name: str, clients: Clients, parameters: Mapping[str, str]) -> Resources:
    """Create the stack's resources."""
    document = template.load()
    sections: Mapping[str, Any] = document["Resources"]
    known = _names(stack_name)
    resolver = template.Resolver(
        declared=document["Parameters"],
        given=parameters,
        pseudo={
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            # Its last part is unique on AWS, and a stack's name is here.
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack_name}/{stack_name}",
            "AWS::StackName": stack_name,
        },
        resources=known,
    )
    create_table(known["Table", ""], clients.dynamodb, document)
    _create_bucket(known["Bucket", ""], clients.s3, resolver.resolve(sections["Bucket"]["Properties"]))
    _create_park(known["Park", ""], clients.stepfunctions, resolver.resolve(sections["Park"]["Properties"]))
    functions = {name: section["Properties"] for name, section in sections.items() if _is_function(section)}
    return Resources(
        stack_name=stack_name,
        table=known["Table", ""],
        bucket=known["Bucket", ""],
        park=known["Park", ""],
        environment=resolver.resolve(document["Globals"]["Function"]["Environment"]["Variables"]),
        functions={name: resolver.resolve(properties["FunctionName"]) for name, properties in functions.items()},
        retries={
            name: properties.get("EventInvokeConfig", {}).get("MaximumRetryAttempts", 2)
            for name, properties in functions.items()
        },
        notifications=[
            Notification(
                bucket=resolver.resolve(event["Properties"]["Bucket"]),
                prefix=event["Properties"]["Filter"]["S3Key"]["Rules"][0]["Value"],
                function=resolver.resolve(properties["FunctionName"]),
            )
            for properties in functions.values()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "S3"
        ],
    )


def create_table(name: str, dynamodb: DynamoDBClient, document: Mapping[str, Any] | None = None) -> None:
    """Create the template's table under this name, with its indexes and its time to live."""
    properties = (document or template.load())["Resources"]["Table"]["Properties"]
    dynamodb.create_table(TableName=name, **{key: properties[key] for key in _TABLE_PROPERTIES})
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])


def _names(stack_name: str) -> dict[tuple[str, str], str]:
    """Return the names that the template gives, or CloudFormation would make up."""
    table, bucket, park = stack_name, f"{stack_name}-{ACCOUNT}-{REGION}", f"{stack_name}-park"
    return {
        ("Table", ""): table,
        ("Table", "Arn"): f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}",
        ("Bucket", ""): bucket,
        ("Bucket", "Arn"): f"arn:aws:s3:::{bucket}",
        ("Park", ""): f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{park}",
        ("ParkRole", "Arn"): f"arn:aws:iam::{ACCOUNT}:role/{park}",
    }


def _is_function(section: Mapping[str, Any]) -> bool:
    return "FunctionName" in section.get("Properties", {})


def _create_bucket(name: str, s3: S3Client, properties: Mapping[str, Any]) -> None:
    if properties["BucketName"] != name:
        message = f"the bucket is {properties['BucketName']}, not {name} as the functions are told"
        raise AssertionError(message)
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])
    rules = properties["CorsConfiguration"]["CorsRules"]
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [_cors_rule(rule) for rule in rules]})


def _cors_rule(rule: Mapping[str, Any]) -> Any:
    """Return the rule in S3's words, which CloudFormation's differ from in two."""
    renamed = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    return {renamed.get(key, key): value for key, value in rule.items()}


def _create_park(arn: str, stepfunctions: SFNClient, properties: Mapping[str, Any]) -> None:
    definition = json.dumps(properties["Definition"])
    for name, value in properties["DefinitionSubstitutions"].items():
        definition = definition.replace(f"${{{name}}}", value)
    made = stepfunctions.create_state_machine(
        name=arn.rpartition(":")[2],
        definition=definition,
        roleArn=properties["RoleArn"],
        type=properties["StateMachineType"],
    )
    if made["stateMachineArn"] != arn:
        message = f"the state machine is {made['stateMachineArn']}, not {arn} as the functions are told"
        raise AssertionError(message)
