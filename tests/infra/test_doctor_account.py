"""Checks of the caller, the clock and the permissions; IAM's simulation is botocore's Stubber, moto having none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from infra import checks_account as checks
from infra import runtimes
from infra.checks import Level
from infra.local.aws import ACCOUNT
from infra.stacks import Aws
from tests.infra.site import ARN, StubbedAws, a_site, document, lines, session, stub

IDENTITY = {"Account": ACCOUNT, "Arn": ARN, "UserId": "x"}


def answered(ahead: timedelta) -> dict[str, Any]:
    date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
    return {"HTTPStatusCode": 200, "HTTPHeaders": {"date": date}}


def introduced(sts: Any) -> tuple[bool, list[str]]:
    caller, found = checks.introduce(StubbedAws(session(), {"sts": sts}))
    return caller is not None, [" ".join(each.line.split()) for each in found]


def test_a_caller_is_named_with_region_and_clock() -> None:
    sts = stub("sts", ("get_caller_identity", {**IDENTITY, "ResponseMetadata": answered(timedelta())}))

    known, [who, clock] = introduced(sts)

    assert known
    assert who == f"ok credentials: {ARN} in us-east-1"
    assert clock.startswith("ok clock: this machine is ")


def test_the_root_user_is_warned() -> None:
    root = {**IDENTITY, "Arn": f"arn:aws:iam::{ACCOUNT}:root", "ResponseMetadata": answered(timedelta())}

    _, [who, _] = introduced(stub("sts", ("get_caller_identity", root)))

    assert who.startswith("warn credentials: ")
    assert "mend: sign in as somebody who can do less" in who


def test_a_caller_whom_aws_refuses_hears_of_the_clock_all_the_same() -> None:
    sts = session().client("sts")
    stubber = Stubber(sts)
    late = answered(timedelta(minutes=20))
    stubber.add_client_error("get_caller_identity", "SignatureDoesNotMatch", "expired", 403, response_meta=late)
    stubber.activate()

    known, [who, clock] = introduced(sts)

    assert not known
    assert who.startswith("bad credentials: cannot ask AWS who you are: AWS does not take your credentials")
    assert clock.startswith("bad clock: this machine is 1")
    assert "s behind AWS, which then takes no signature | mend: set the clock" in clock


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    aws = Aws.of_caller()

    caller, [found] = checks.introduce(aws)

    assert aws.region == "eu-west-1"
    assert caller is None
    assert found.line == "bad  credentials: no AWS credentials: sign in, or set AWS_PROFILE"


@pytest.mark.parametrize(
    ("seconds", "level", "said"),
    [
        (0, Level.OK, "0 s ahead of"),
        (60, Level.OK, "60 s behind"),
        (61, Level.WARN, "61 s behind"),
        (-300, Level.WARN, "300 s ahead of"),
        (301, Level.BAD, "takes no signature"),
        (-301, Level.BAD, "301 s ahead of"),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off(seconds: int, level: Level, said: str) -> None:
    found = checks.clock(timedelta(seconds=seconds))

    assert (found.level, said in found.said) == (level, True)


def test_a_python_that_lambda_runs_is_well_and_another_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"python3.11", "python3.12", "python3.13"} <= set(runtimes.offered())
    assert lines(a_site(), checks.python) == [f"ok it: {runtimes.ours()}, which Lambda runs"]

    monkeypatch.setattr(runtimes, "ours", lambda: "python3.99")

    [line] = lines(a_site(), checks.python)
    assert line.startswith("bad it: Lambda does not run python3.99")
    assert "PYTHON=/path/to/python3.1" in line


def results(*denied: str) -> dict[str, Any]:
    actions = sorted({*checks.DEPLOYS, *(action for actions in checks.CREATES.values() for action in actions)})
    return {
        "EvaluationResults": [
            {"EvalActionName": action, "EvalDecision": "implicitDeny" if action in denied else "allowed"}
            for action in actions
        ]
    }


def test_permissions_are_simulated_before_a_deployment_needs_them() -> None:
    [allowed] = lines(a_site(stubs={"iam": stub("iam", ("simulate_principal_policy", results()))}), checks.permissions)
    denials = results("iam:CreateRole", "s3:PutObject")
    [denied] = lines(a_site(stubs={"iam": stub("iam", ("simulate_principal_policy", denials))}), checks.permissions)

    assert allowed.startswith("ok it: the ")
    assert denied.startswith("warn it: make deploy would be denied iam:CreateRole, s3:PutObject (as")
    assert f"allow them to {ARN}" in denied


def test_a_session_is_simulated_as_its_role_with_the_roles_path() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/Admin"
    iam = session().client("iam")
    stubber = Stubber(iam)
    described = {"Path": "/aws-reserved/", "RoleName": "Admin", "RoleId": "A" * 16, "Arn": role}
    described["CreateDate"] = datetime.now(UTC)  # type: ignore[assignment]
    stubber.add_response("get_role", {"Role": described}, {"RoleName": "Admin"})
    actions = [result["EvalActionName"] for result in results()["EvaluationResults"]]
    stubber.add_response("simulate_principal_policy", results(), {"PolicySourceArn": role, "ActionNames": actions})
    stubber.activate()
    site = a_site(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/ada", stubs={"iam": iam})

    [line] = lines(site, checks.permissions)

    assert line.startswith("ok it")


@pytest.mark.parametrize(
    ("arn", "line"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", "ok it: the root user may deploy"),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/x", "warn it: could not look: IAM simulates users and roles, and "),
    ],
)
def test_who_cannot_be_simulated_is_told_so(arn: str, line: str) -> None:
    assert lines(a_site(arn=arn), checks.permissions)[0].startswith(line)


def test_who_may_not_simulate_hears_which_permission_that_takes() -> None:
    site = a_site(stubs={"iam": stub("iam", ("simulate_principal_policy", "AccessDenied"))})

    assert lines(site, checks.permissions) == [
        "warn it: could not look: your credentials may not | mend: allow x:Look",
    ]


def test_every_kind_of_resource_of_the_template_has_its_permissions() -> None:
    own = {section["Type"] for section in document()["Resources"].values() if "Type" in section}
    # What the SAM transform makes of functions, schedules and routes.
    made = {"AWS::ApiGateway::RestApi", "AWS::Events::Rule", "AWS::Lambda::Function", "AWS::Lambda::Permission"}

    assert {kind for kind in own | made if not kind.startswith("AWS::Serverless::")} <= checks.CREATES.keys()
