"""What a call to AWS needs, operation by operation: the actions that IAM asks of whoever makes it, and on what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from moto.ecs.models import ecs_backends

from chalicelib import settings
from infra.local.aws import ACCOUNT, REGION
from infra.local.iam import NO_CONTEXT, Context

#: A call's parameters, as botocore takes them.
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Need:
    """One thing that a caller must be allowed to do."""

    action: str
    resource: str
    #: What conditions may know of the call.
    context: Context = field(default_factory=lambda: NO_CONTEXT)


def needs(service: str, operation: str, params: Params) -> Iterable[Need]:
    """Return what a call needs; LookupError for one that the table below does not have."""
    found = _NEEDS.get((service, operation))
    if found is None:
        message = f"what does {service}'s {operation} need? infra/local/actions.py does not say"
        raise LookupError(message)
    return found(params)


def needs_of_form(params: Params) -> Iterable[Need]:
    """Return what a signed form of S3's needs: what whoever posts it will do in its signer's name."""
    return [Need("s3:PutObject", _object(params))]


def needs_of_absence(service: str, params: Params) -> Iterable[Need]:
    """Return what it takes to be told that something is not there: S3 says 403, not 404, to who may not list."""
    if service == "s3":
        yield Need("s3:ListBucket", _bucket(params["Bucket"]))


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def _of_item(action: str, params: Params) -> Need:
    """Return what a call about one item needs; its partition is told, for `dynamodb:LeadingKeys`."""
    partition = (params.get("Key") or params["Item"])["pk"]["S"]
    return Need(f"dynamodb:{action}", _table(params["TableName"]), {"dynamodb:LeadingKeys": [partition]})


def _item(action: str) -> Callable[[Params], Iterable[Need]]:
    return lambda params: [_of_item(action, params)]


#: What a part of a transaction needs, by what DynamoDB calls the part.
_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ConditionCheck": "ConditionCheckItem",
        "Delete": "DeleteItem",
        "Get": "GetItem",
        "Put": "PutItem",
        "Update": "UpdateItem",
    }
)


def _transaction(params: Params) -> Iterator[Need]:
    for part in params["TransactItems"]:
        for name, asked in part.items():
            yield _of_item(_PARTS[name], asked)


def _batch(action: str) -> Callable[[Params], Iterable[Need]]:
    return lambda params: [Need(f"dynamodb:{action}", _table(name)) for name in params["RequestItems"]]


def _whole_table(action: str) -> Callable[[Params], Iterable[Need]]:
    return lambda params: [Need(f"dynamodb:{action}", _table(params["TableName"]))]


def _query(params: Params) -> Iterable[Need]:
    index = params.get("IndexName")
    return [Need("dynamodb:Query", _table(params["TableName"]) + (f"/index/{index}" if index else ""))]


def _bucket(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def _object(params: Params) -> str:
    return f"{_bucket(params['Bucket'])}/{params['Key']}"


def _read(params: Params) -> Iterable[Need]:
    return [Need("s3:GetObjectVersion" if params.get("VersionId") else "s3:GetObject", _object(params))]


def _put(params: Params) -> Iterator[Need]:
    yield Need("s3:PutObject", _object(params))
    if params.get("Tagging"):
        yield Need("s3:PutObjectTagging", _object(params))
    if params.get("IfMatch"):
        yield Need("s3:GetObject", _object(params))


def _copy(params: Params) -> Iterator[Need]:
    source = params["CopySource"]
    if isinstance(source, str):
        parts = urlsplit(source)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        source = {"Bucket": bucket, "Key": key, "VersionId": parse_qs(parts.query).get("versionId", [""])[0]}
    yield from _read(source)
    if params.get("TaggingDirective", "COPY") == "COPY":
        yield Need("s3:GetObjectTagging", _object(source))
        yield Need("s3:PutObjectTagging", _object(params))
    yield from _put(params)


def _delete(params: Params) -> Iterable[Need]:
    return [Need("s3:DeleteObjectVersion" if params.get("VersionId") else "s3:DeleteObject", _object(params))]


def _delete_many(params: Params) -> Iterator[Need]:
    for each in params["Delete"]["Objects"]:
        yield from _delete({"Bucket": params["Bucket"], **each})


def _bucket_read(params: Params) -> Iterable[Need]:
    return [Need("s3:ListBucket", _bucket(params["Bucket"]))]


def _invoke(params: Params) -> Iterable[Need]:
    name = params["FunctionName"]
    arn = name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return [Need("lambda:InvokeFunction", arn)]


def _machine(action: str) -> Callable[[Params], Iterable[Need]]:
    return lambda params: [Need(f"states:{action}", params["stateMachineArn"])]


def _answer(_params: Params) -> Iterable[Need]:
    # The token names its state machine, to Step Functions alone. Only one gives out tokens here.
    return [Need("states:SendTaskSuccess", settings.current().park_state_machine_arn)]


def _assume(params: Params) -> Iterable[Need]:
    return [Need("sts:AssumeRole", params["RoleArn"])]


def _in_cluster(params: Params) -> Context:
    name = params["cluster"]
    return {"ecs:cluster": [name if name.startswith("arn:") else f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}"]}


def _run_task(params: Params) -> Iterator[Need]:
    """Yield what running a task needs: the definition's newest revision, and the roles that it hands on."""
    family, _, revision = params["taskDefinition"].rpartition("/")[2].partition(":")
    known = ecs_backends[ACCOUNT][REGION].task_definitions.get(family, {})
    revision = revision or str(max(known, default=1))
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}"
    yield Need("ecs:RunTask", arn, _in_cluster(params))
    definition = known.get(int(revision))
    for role in {getattr(definition, "task_role_arn", None), getattr(definition, "execution_role_arn", None)} - {None}:
        yield Need("iam:PassRole", str(role), {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]})


def _list_tasks(params: Params) -> Iterable[Need]:
    return [Need("ecs:ListTasks", "*", _in_cluster(params))]


def _stop_task(params: Params) -> Iterable[Need]:
    return [Need("ecs:StopTask", params["task"], _in_cluster(params))]


_NEEDS: Final[Mapping[tuple[str, str], Callable[[Params], Iterable[Need]]]] = MappingProxyType(
    {
        ("dynamodb", "BatchGetItem"): _batch("BatchGetItem"),
        ("dynamodb", "BatchWriteItem"): _batch("BatchWriteItem"),
        ("dynamodb", "DeleteItem"): _item("DeleteItem"),
        ("dynamodb", "DescribeTable"): _whole_table("DescribeTable"),
        ("dynamodb", "GetItem"): _item("GetItem"),
        ("dynamodb", "PutItem"): _item("PutItem"),
        ("dynamodb", "Query"): _query,
        ("dynamodb", "TransactGetItems"): _transaction,
        ("dynamodb", "TransactWriteItems"): _transaction,
        ("dynamodb", "UpdateItem"): _item("UpdateItem"),
        ("ecs", "ListTasks"): _list_tasks,
        ("ecs", "RunTask"): _run_task,
        ("ecs", "StopTask"): _stop_task,
        ("lambda", "Invoke"): _invoke,
        ("s3", "CopyObject"): _copy,
        ("s3", "DeleteObject"): _delete,
        ("s3", "DeleteObjects"): _delete_many,
        ("s3", "GetObject"): _read,
        ("s3", "HeadBucket"): _bucket_read,
        ("s3", "HeadObject"): _read,
        ("s3", "ListObjectsV2"): _bucket_read,
        ("s3", "PutObject"): _put,
        ("s3", "PutObjectTagging"): lambda params: [Need("s3:PutObjectTagging", _object(params))],
        ("stepfunctions", "DescribeStateMachine"): _machine("DescribeStateMachine"),
        ("stepfunctions", "SendTaskSuccess"): _answer,
        ("stepfunctions", "StartExecution"): _machine("StartExecution"),
        ("sts", "AssumeRole"): _assume,
    }
)
