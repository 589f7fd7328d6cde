from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_sts import STSClient

from infra.local import LocalStack, actions, permissions
from infra.local.actions import Need
from infra.local.functions import Function
from infra.local.iam import Role, acting_as

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"
KEY = {"pk": {"S": "RUN#1"}, "sk": {"S": "#RUN"}}


def client(service: str, key_id: str | None = None) -> Any:
    session: Any = botocore.session.get_session()  # whose type lists the services
    return session.create_client(service, aws_access_key_id=key_id, aws_secret_access_key=key_id)


@pytest.fixture
def s3(stack: LocalStack) -> S3Client:
    return cast("S3Client", client("s3"))


@pytest.fixture
def as_sweep(stack: LocalStack) -> Iterator[None]:
    """Act as the function that may do least with the bucket."""
    permissions.refusals()
    with acting_as(stack.roles["Sweep"]):
        yield


@pytest.fixture
def as_uploaded(stack: LocalStack) -> Iterator[None]:
    """Act as the function that may see no record but those of files."""
    permissions.refusals()
    with acting_as(stack.roles["Uploaded"]):
        yield


def refused(ask: Callable[[], object]) -> str:
    """Return the code of the error that a call must end in, having been told in one line."""
    with pytest.raises(ClientError) as caught:
        ask()
    [told] = permissions.refusals()
    assert told == caught.value.response["Error"]["Message"]
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.usefixtures("as_sweep")
def test_what_the_role_does_not_allow_is_refused_and_told(
    stack: LocalStack, s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = stack.resources.bucket
    code = refused(lambda: s3.delete_object(Bucket=bucket, Key="payloads/1"))

    assert code == "AccessDenied"
    role = stack.resources.function_resources["Sweep"].role
    [line] = [record.getMessage() for record in caplog.records if record.name == permissions.__name__]
    assert line == f"{role} is not authorized to perform: s3:DeleteObject on resource: arn:aws:s3:::{bucket}/payloads/1"


@pytest.mark.usefixtures("as_uploaded")
def test_records_are_refused_by_their_partition(stack: LocalStack) -> None:
    dynamodb: DynamoDBClient = client("dynamodb")
    table = stack.resources.table

    assert refused(lambda: dynamodb.get_item(TableName=table, Key=KEY)) == "AccessDeniedException"
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"pk": {"S": "FILE#1"}, "sk": {"S": "#FILE"}})


def test_a_signature_may_do_no_more_than_its_signer(stack: LocalStack, s3: S3Client) -> None:
    bucket = stack.resources.bucket

    def url_of(key: str) -> str:
        return s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})

    with acting_as(stack.roles["Work"]):
        assert refused(lambda: url_of("elsewhere/1")) == "AccessDenied"
        assert refused(lambda: s3.generate_presigned_post(Bucket=bucket, Key="uploads/1")) == "AccessDenied"
        assert refused(lambda: s3.generate_presigned_post(bucket, "uploads/1")) == "AccessDenied"
        assert url_of("payloads/1").startswith("http")
        assert s3.generate_presigned_post(bucket, "payloads/1")["fields"]


def test_who_may_not_list_is_not_told_that_an_object_is_not_there(stack: LocalStack, s3: S3Client) -> None:
    work = stack.roles["Work"]
    unlisting = Role(work.arn, [each for each in work.statements if each.grants[0].action != "s3:ListBucket"])

    def ask() -> object:
        return s3.get_object(Bucket=stack.resources.bucket, Key="payloads/none")

    with acting_as(unlisting):
        assert refused(ask) == "AccessDenied"
    with acting_as(work), pytest.raises(s3.exceptions.NoSuchKey):
        ask()


@pytest.mark.usefixtures("as_sweep")
def test_a_connections_calls_are_its_own_roles_business(stack: LocalStack) -> None:
    own: STSClient = client("sts")
    theirs: STSClient = client("sts", "AKIAOTHER")
    role = "arn:aws:iam::123456789012:role/anybodys"

    assert refused(lambda: own.assume_role(RoleArn=role, RoleSessionName="someone")) == "AccessDenied"
    assert theirs.assume_role(RoleArn=role, RoleSessionName="someone")["Credentials"]


@pytest.mark.usefixtures("as_sweep")
def test_a_thread_that_is_given_the_functions_context_acts_as_the_function(stack: LocalStack, s3: S3Client) -> None:
    outcomes: list[str] = []

    def ask() -> None:
        try:
            s3.delete_object(Bucket=stack.resources.bucket, Key="payloads/1")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
        else:
            outcomes.append("done")

    for target in (contextvars.copy_context().run, lambda work: work()):
        thread = threading.Thread(target=target, args=[ask])
        thread.start()
        thread.join()

    assert outcomes == ["AccessDenied", "done"]
    assert len(permissions.refusals()) == 1


def test_a_function_is_held_to_its_role_and_one_that_a_step_calls_is_not(stack: LocalStack, s3: S3Client) -> None:
    own: LambdaClient = client("lambda")

    def remove(_event: object, _context: object) -> None:
        s3.delete_object(Bucket=stack.resources.bucket, Key="payloads/1")

    stack.functions.register(Function(name="held", handler=remove, role=stack.roles["Sweep"]))
    stack.functions.register(Function(name="free", handler=remove))

    assert "AccessDenied" in own.invoke(FunctionName="held")["Payload"].read().decode()
    assert len(permissions.refusals()) == 1
    assert own.invoke(FunctionName="free")["Payload"].read() == b"null"


@pytest.mark.usefixtures("as_sweep")
def test_a_call_that_nobody_has_thought_of_is_an_error(stack: LocalStack, s3: S3Client) -> None:
    with pytest.raises(LookupError, match="what does s3's DeleteBucket need"):
        s3.delete_bucket(Bucket=stack.resources.bucket)


@pytest.mark.parametrize(
    ("service", "operation", "params", "needed"),
    [
        ("dynamodb", "GetItem", {"TableName": "t", "Key": KEY}, {("dynamodb:GetItem", TABLE)}),
        ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"}, {("dynamodb:Query", f"{TABLE}/index/i")}),
        ("dynamodb", "BatchWriteItem", {"RequestItems": {"t": []}}, {("dynamodb:BatchWriteItem", TABLE)}),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}, {"Update": {"TableName": "t", "Key": KEY}}]},
            {("dynamodb:PutItem", TABLE), ("dynamodb:UpdateItem", TABLE)},
        ),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, {("s3:GetObject", "arn:aws:s3:::b/k")}),
        (
            "s3",
            "GetObject",
            {"Bucket": "b", "Key": "k", "VersionId": "1"},
            {("s3:GetObjectVersion", "arn:aws:s3:::b/k")},
        ),
        (
            "s3",
            "CopyObject",
            {
                "Bucket": "b",
                "Key": "k",
                "CopySource": "c/a%20b?versionId=7",
                "TaggingDirective": "REPLACE",
                "Tagging": "a=b",
            },
            {
                ("s3:GetObjectVersion", "arn:aws:s3:::c/a b"),
                ("s3:PutObject", "arn:aws:s3:::b/k"),
                ("s3:PutObjectTagging", "arn:aws:s3:::b/k"),
            },
        ),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "1"}, {"Key": "2", "VersionId": "v"}]}},
            {("s3:DeleteObject", "arn:aws:s3:::b/1"), ("s3:DeleteObjectVersion", "arn:aws:s3:::b/2")},
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f"},
            {("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:f")},
        ),
        ("sts", "AssumeRole", {"RoleArn": "arn:r"}, {("sts:AssumeRole", "arn:r")}),
    ],
)
def test_a_call_needs_what_iam_asks_of_it(
    service: str, operation: str, params: dict[str, Any], needed: set[tuple[str, str]]
) -> None:
    found = list(actions.needs(service, operation, params))

    assert {(need.action, need.resource) for need in found} == needed


def test_a_task_needs_its_cluster_and_the_roles_that_it_is_handed() -> None:
    params = {"cluster": "c", "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/family:3"}
    [need] = actions.needs("ecs", "RunTask", params)

    assert need == Need(
        "ecs:RunTask",
        "arn:aws:ecs:us-east-1:123456789012:task-definition/family:3",
        {"ecs:cluster": ["arn:aws:ecs:us-east-1:123456789012:cluster/c"]},
    )
