"""The local S3 takes and refuses what S3 does: forms, browsers' questions, and whom it tells of new objects."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import boto3
import pytest
import urllib3
from botocore.config import Config

from infra.local import LocalStack
from infra.local.post_policy import Posted, Refused, judge

CONTENT = b"0123456789"
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
SECRETS = {"local": "local"}
KEY = "uploads/of-the-test/file_1"
ORIGIN = "http://localhost:1234"


class SharedStack(Protocol):
    """What `tests.conftest` shares among the tests."""

    def stack(self) -> LocalStack:
        """Return the running stack."""


@pytest.fixture
def stack(_module_stack: SharedStack) -> Iterator[LocalStack]:
    """The session's stack, its clients kept from one test to the next."""
    running = _module_stack.stack()
    yield running
    assert running.wait_idle(30)


def a_form(bucket: str = "b", **more: str) -> dict[str, str]:
    """Return a signed form's fields, as botocore makes them."""
    client = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1").client(
        "s3", config=Config(signature_version="s3v4")
    )
    fields = {"Content-Type": "image/png", "success_action_status": "201", "x-amz-checksum-sha256": DIGEST, **more}
    conditions = [{name: value} for name, value in fields.items()]
    signed = client.generate_presigned_post(
        Bucket=bucket,
        Key=KEY,
        Fields=dict(fields),
        Conditions=[*conditions, ["content-length-range", len(CONTENT), len(CONTENT)]],
        ExpiresIn=600,
    )
    return dict(signed["fields"])


@pytest.fixture(scope="module")
def good() -> Posted:
    fields = {name.lower(): value for name, value in a_form().items()}
    return Posted(bucket="b", fields=fields, content=CONTENT)


def with_fields(**changes: str | None) -> Callable[[Posted], Posted]:
    """Return what changes a form's fields; None takes one away."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}

    def changed(posted: Posted) -> Posted:
        fields = {**posted.fields, **named}
        return replace(posted, fields={name: value for name, value in fields.items() if value is not None})

    return changed


def with_content(content: bytes) -> Callable[[Posted], Posted]:
    return lambda posted: replace(posted, content=content)


def with_a_wider_policy(posted: Posted) -> Posted:
    policy = json.loads(base64.b64decode(posted.fields["policy"]))
    policy["conditions"] = [one for one in policy["conditions"] if not isinstance(one, list)]
    return with_fields(policy=base64.b64encode(json.dumps(policy).encode()).decode())(posted)


REFUSED: Mapping[str, tuple[Callable[[Posted], Posted], str, str]] = {
    "another key": (with_fields(key="uploads/other/file_1"), "403", "AccessDenied"),
    "no key": (with_fields(key=None), "400", "InvalidArgument"),
    "another type": (with_fields(content_type="text/html"), "403", "AccessDenied"),
    "no type": (with_fields(content_type=None), "403", "AccessDenied"),
    "one field more": (with_fields(acl="public-read"), "403", "AccessDenied"),
    "another checksum": (with_fields(x_amz_checksum_sha256="AAAA"), "403", "AccessDenied"),
    "another bucket": (lambda posted: replace(posted, bucket="c"), "403", "AccessDenied"),
    "a byte more": (with_content(CONTENT + b"0"), "400", "EntityTooLarge"),
    "a byte less": (with_content(CONTENT[:-1]), "400", "EntityTooSmall"),
    "other bytes": (with_content(CONTENT[::-1]), "400", "BadDigest"),
    "no policy": (with_fields(policy=None), "403", "AccessDenied"),
    "a policy of one's own": (with_a_wider_policy, "403", "SignatureDoesNotMatch"),
    "no signature": (with_fields(x_amz_signature=None), "403", "SignatureDoesNotMatch"),
    "another signature": (with_fields(x_amz_signature="0" * 64), "403", "SignatureDoesNotMatch"),
    "an unknown key": (
        with_fields(x_amz_credential="who/20260101/us-east-1/s3/aws4_request"),
        "403",
        "InvalidAccessKeyId",
    ),
    "another algorithm": (with_fields(x_amz_algorithm="AWS4-HMAC-SHA1"), "400", "InvalidArgument"),
}


def test_a_form_as_it_was_signed_is_taken(good: Posted) -> None:
    judge(good, secrets=SECRETS, now=datetime.now(UTC))
    judge(with_fields(x_ignore_me="1")(good), secrets=SECRETS, now=datetime.now(UTC) + timedelta(minutes=9))


@pytest.mark.parametrize("what", REFUSED)
def test_a_form_that_is_not_as_it_was_signed_is_refused(good: Posted, what: str) -> None:
    change, status, code = REFUSED[what]
    with pytest.raises(Refused) as refused:
        judge(change(good), secrets=SECRETS, now=datetime.now(UTC))
    assert (refused.value.status[:3], refused.value.code) == (status, code)


def test_a_form_is_refused_once_its_time_is_over(good: Posted) -> None:
    with pytest.raises(Refused, match="Policy expired"):
        judge(good, secrets=SECRETS, now=datetime.now(UTC) + timedelta(minutes=10))


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a form is posted."""

    url: str
    fields: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=lambda: {"Origin": ORIGIN})

    def post(self, *parts: tuple[str, object]) -> urllib3.BaseHTTPResponse:
        return urllib3.request("POST", self.url, fields=list(parts), headers=dict(self.headers))  # type: ignore[arg-type] # a tuple is a file


@pytest.fixture
def door(stack: LocalStack) -> Door:
    bucket = stack.resources.bucket
    return Door(url=f"{stack.s3.meta.endpoint_url}/{bucket}", fields=a_form(bucket))


def test_a_browser_is_told_where_the_object_is_and_may_read_it(door: Door, stack: LocalStack) -> None:
    answer = door.post(*door.fields.items(), ("file", ("a.png", CONTENT)), ("acl", "after the file nothing is read"))
    assert answer.status == 201, answer.data
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert f"<Key>{KEY}</Key>" in answer.data.decode()
    found = stack.s3.get_object(Bucket=stack.resources.bucket, Key=KEY)
    assert (found["Body"].read(), found["ContentType"]) == (CONTENT, "image/png")


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("file", ("a.png", CONTENT + b"0"))], 400, "EntityTooLarge"),
        ([("x", "1"), ("file", ("a.png", CONTENT))], 403, "AccessDenied"),
        ([], 400, "InvalidArgument"),
    ],
)
def test_a_refusal_is_xml_that_a_browser_may_read(
    door: Door, parts: list[tuple[str, object]], status: int, code: str
) -> None:
    answer = door.post(*door.fields.items(), *parts)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/xml")
    assert f"<Code>{code}</Code>" in answer.data.decode()
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_form_whose_file_comes_first_is_refused(door: Door) -> None:
    answer = door.post(("file", ("a.png", CONTENT)), *door.fields.items())
    assert b"Bucket POST must contain a field named" in answer.data


def test_a_body_that_is_no_form_is_refused(door: Door) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = urllib3.request("POST", door.url, body=b"no form at all", headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize(
    ("method", "headers", "status"), [("POST", "content-type", 200), ("POST", "", 200), ("PUT", "", 403)]
)
def test_the_buckets_rules_answer_a_preflight(door: Door, method: str, headers: str, status: int) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    answer = urllib3.request(
        "OPTIONS", door.url, headers=asked | ({"Access-Control-Request-Headers": headers} if headers else {})
    )
    assert answer.status == status
    allowed = answer.headers.get("Access-Control-Allow-Methods") == "POST"
    assert allowed == (status == 200)
    assert answer.headers.get("Access-Control-Allow-Headers", "") == headers


def test_a_rule_for_some_origins_lets_no_others_in(door: Door, stack: LocalStack) -> None:
    bucket, s3 = stack.resources.bucket, stack.s3
    before = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["https://*.example.com"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})  # type: ignore[list-item] # the stubs want their own type
    try:
        statuses = {
            origin: urllib3.request(
                "OPTIONS", door.url, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            ).status
            for origin in ("https://app.example.com", "https://example.com", ORIGIN)
        }
    finally:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": before})
    assert statuses == {"https://app.example.com": 200, "https://example.com": 403, ORIGIN: 403}


def test_the_function_is_told_of_uploads_and_of_nothing_else(stack: LocalStack) -> None:
    stack.s3.put_object(Bucket=stack.resources.bucket, Key="payloads/of-the-test/1", Body=b"1")
    stack.s3.put_object(Bucket=stack.resources.bucket, Key="uploads/of-the-test/a b+ä", Body=b"1")
    assert stack.wait_idle(30)
    told = [
        one.payload["Records"][0]["s3"]["object"]["key"]
        for one in stack.lambda_log
        if one.function == stack.resources.functions["Uploaded"] and one.error is None
    ]
    assert "uploads/of-the-test/a+b%2B%C3%A4" in told
    assert all(key.startswith("uploads/") for key in told)
