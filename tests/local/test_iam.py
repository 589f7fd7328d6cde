from __future__ import annotations

from typing import Any

import pytest

from infra.local.iam import NO_CONTEXT, Context, Grant, Role, Statement

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:b/files/*"}
DENY: dict[str, Any] = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:b/files/secret"}
LEADING: dict[str, Any] = {"ForAllValues:StringLike": {"k": ["FILE#*", "ONE"]}}


def a_role(*written: dict[str, Any]) -> Role:
    return Role("arn:aws:iam::1:role/r", [Statement.of(each) for each in written])


@pytest.mark.parametrize(
    ("written", "action", "resource", "allowed"),
    [
        ([ALLOW], "s3:GetObject", "arn:b/files/1", True),
        ([ALLOW], "S3:getobject", "arn:b/files/1/2\n3", True),
        ([ALLOW], "s3:PutObject", "arn:b/files/1", False),
        ([ALLOW], "s3:GetObject", "arn:b/uploads/1", False),
        ([ALLOW], "s3:GetObject", "xarn:b/files/1", False),
        ([], "s3:GetObject", "arn:b/files/1", False),
        ([ALLOW, DENY], "s3:GetObject", "arn:b/files/secret", False),
        ([DENY, ALLOW], "s3:GetObject", "arn:b/files/other", True),
        ([{**ALLOW, "Action": ["s3:PutObject", "s3:Get*"]}], "s3:GetObject", "arn:b/files/1", True),
        ([{**ALLOW, "Resource": ["arn:a", "arn:b/file?/1"]}], "s3:GetObject", "arn:b/files/1", True),
        ([{**ALLOW, "Resource": "arn:b+/files"}], "s3:GetObject", "arn:bb/files", False),
    ],
)
def test_a_role_may_do_what_is_allowed_and_not_denied(
    written: list[dict[str, Any]], action: str, resource: str, *, allowed: bool
) -> None:
    assert a_role(*written).allows(action, resource) is allowed


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": "v"}}, {"k": ["v"]}, True),
        ({"StringEquals": {"k": "v*"}}, {"k": ["vx"]}, False),
        ({"StringLike": {"k": ["a", "v*"]}}, {"k": ["vx"]}, True),
        ({"ArnEquals": {"k": "arn:*:cluster/c"}}, {"k": ["arn:x:cluster/c"]}, True),
        ({"StringEquals": {"k": "v"}}, {"k": ["v", "w"]}, False),
        ({"StringEquals": {"k": "v"}}, {"other": ["v"]}, False),
        ({"StringEquals": {"k": "v", "l": "w"}}, {"k": ["v"]}, False),
        ({"StringEquals": {"k": "v"}, "StringLike": {"k": "w*"}}, {"k": ["v"]}, False),
        (LEADING, {"k": ["FILE#1", "ONE"]}, True),
        (LEADING, {"k": ["FILE#1", "RUN#1"]}, False),
        (LEADING, NO_CONTEXT, False),
    ],
)
def test_a_condition_holds_for_a_call_of_which_all_that_it_asks_for_is_known(
    condition: dict[str, Any], context: Context, *, holds: bool
) -> None:
    role = a_role({**ALLOW, "Condition": condition})

    assert role.allows("s3:GetObject", "arn:b/files/1", context) is holds


@pytest.mark.parametrize(
    "written",
    [{**ALLOW, "Condition": {"DateLessThan": {"k": "v"}}}, {**ALLOW, "NotAction": "s3:*"}, {**ALLOW, "Principal": "*"}],
)
def test_what_is_not_understood_in_a_policy_is_an_error(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="nothing here understands"):
        Statement.of(written)


def test_a_role_remembers_by_which_grant_it_was_allowed_to() -> None:
    role = a_role(ALLOW, {**ALLOW, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:b/*"})

    role.allows("s3:GetObject", "arn:b/files/1")
    role.allows("s3:DeleteObject", "arn:b/files/1")

    assert role.used == {Grant("s3:GetObject", "arn:b/files/*")}
    assert role.grants - role.used == {Grant("s3:GetObject", "arn:b/*"), Grant("s3:PutObject", "arn:b/*")}
