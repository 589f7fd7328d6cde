"""A stage's stack, as CloudFormation knows it, and the one secret that is kept beside it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_ssm import SSMClient
from mypy_boto3_stepfunctions import SFNClient
from mypy_boto3_sts import STSClient

from infra.trouble import Trouble, code_of, explained, message_of

#: A stage is a part of names that AWS limits: of a bucket's 63 characters, account and region take 27.
_STAGE: Final = re.compile(r"(?!.{27})[a-z](-?[a-z0-9])*")
_PEPPER_BYTES: Final = 32
#: The output that says which code a stack runs; `make deploy` adds it to the template.
CODE_OUTPUT: Final = "CodeHash"


@dataclass(frozen=True)
class Aws:
    """The caller's own AWS: who and where botocore's usual places (environment, profile) say."""

    session: boto3.Session

    @classmethod
    def of_caller(cls) -> Aws:
        """Return it; Trouble where no region or no such profile is set."""
        with explained("begin"):
            # boto3 knows AWS_DEFAULT_REGION alone; AWS_REGION, which goes before it elsewhere, it leaves to its caller.
            session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        if not session.region_name:
            raise Trouble("no AWS region: set AWS_REGION, or a region in your profile")
        return cls(session)

    @property
    def region(self) -> str:
        """The region that everything is deployed to."""
        return str(self.session.region_name)

    def client(self, service: str) -> Any:
        """Return a new client; those of services that many ask for are kept below."""
        return self.session.client(service, config=_PATIENT)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """A client."""
        return cast("CloudFormationClient", self.client("cloudformation"))

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """A client."""
        return cast("DynamoDBClient", self.client("dynamodb"))

    @cached_property
    def s3(self) -> S3Client:
        """A client."""
        return cast("S3Client", self.client("s3"))

    @cached_property
    def ssm(self) -> SSMClient:
        """A client."""
        return cast("SSMClient", self.client("ssm"))

    @cached_property
    def stepfunctions(self) -> SFNClient:
        """A client."""
        return cast("SFNClient", self.client("stepfunctions"))

    @cached_property
    def sts(self) -> STSClient:
        """A client."""
        return cast("STSClient", self.client("sts"))


_PATIENT: Final = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=10, read_timeout=60)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stage's stack as it stands."""

    #: What it was made with; it keeps it through every change of its own.
    id: str
    name: str
    #: CloudFormation's word, such as ``UPDATE_COMPLETE``.
    status: str
    #: What the template puts out, by its names: ``Url``, ``TableName``, …
    outputs: Mapping[str, str]
    #: What it was given; a secret one reads ``****``.
    parameters: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def code(self) -> str | None:
        """The SHA-256 of the zip that it runs, in hex; None where something else than `make deploy` made it.

        It is an output and no tag: CloudFormation hands a stack's tags to all that is in it, so that each change of the
        code would change everything.
        """
        return self.outputs.get(CODE_OUTPUT)

    def output(self, name: str) -> str:
        """Return an output; Trouble where the stack has none of that name, since it is older or not whole."""
        if name not in self.outputs:
            raise Trouble(f"the stack {self.name} ({self.status}) has no {name}: run make deploy again")
        return self.outputs[name]


def name_of(stage: str) -> str:
    """Return the name of a stage's stack; Trouble where the stage cannot be a part of it."""
    if not _STAGE.fullmatch(stage):
        said = "26 characters at most: small letters, digits and single hyphens, a letter first"
        raise Trouble(f"STAGE={stage!r} is none ({said})")
    return f"stepwell-{stage}"


def find(aws: Aws, name: str) -> Stack | None:
    """Return the stack; None where there is none of that name, or it is deleted."""
    with explained(f"read the stack {name}"):
        try:
            [found] = aws.cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
                return None
            raise
    return Stack(
        id=found["StackId"],
        name=found["StackName"],
        status=found["StackStatus"],
        outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
        parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])},
        tags={each["Key"]: each["Value"] for each in found.get("Tags", [])},
    )


def load(aws: Aws, name: str) -> Stack:
    """Return the stack; Trouble where there is none."""
    stack = find(aws, name)
    if stack is None:
        raise Trouble(f"there is no stack {name} in {aws.region}: make deploy makes it")
    return stack


def pepper_name(stack_name: str) -> str:
    """Return the name of the SSM parameter that holds the secret under which a stack's API keys are hashed."""
    return f"/stepwell/{stack_name}/key-pepper"


def find_pepper(aws: Aws, stack_name: str) -> str | None:
    """Return the stack's pepper; None where there is none yet."""
    with explained("read the secret that API keys are hashed under"):
        try:
            found = aws.ssm.get_parameter(Name=pepper_name(stack_name), WithDecryption=True)
        except aws.ssm.exceptions.ParameterNotFound:
            return None
    return found["Parameter"]["Value"]


def ensure_pepper(aws: Aws, stack_name: str) -> str:
    """Return the stack's pepper, made if there was none.

    Of two who make it at once one is refused, and reads the other's. Nothing writes over it, or every key would stop
    working.
    """
    found = find_pepper(aws, stack_name)
    if found is not None:
        return found
    made = secrets.token_hex(_PEPPER_BYTES)
    with explained("keep the secret that API keys are hashed under"):
        try:
            aws.ssm.put_parameter(Name=pepper_name(stack_name), Value=made, Type="SecureString")
        except aws.ssm.exceptions.ParameterAlreadyExists:
            return str(find_pepper(aws, stack_name))
    return made
