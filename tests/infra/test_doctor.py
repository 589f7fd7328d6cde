"""`make doctor` whole, on the running local stack; what moto does not answer for is botocore's Stubber."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from infra import checks_stack, doctor, package, stacks
from infra.checks import Check, Level, examine, ok
from infra.local import LocalStack
from infra.stacks import Aws
from tests.infra import test_doctor_account as account
from tests.infra import test_doctor_quotas as quotas
from tests.infra import test_doctor_stack as parts
from tests.infra.site import NAME, StubbedAws, a_site, a_stack, stub

Said = pytest.CaptureFixture[str]
#: How the calls begin that change nothing.
READING = ("Describe", "Get", "Head", "List", "Simulate")


def known() -> dict[str, Any]:
    """Return who the caller is, by the clock of this very moment."""
    return {**account.IDENTITY, "ResponseMetadata": account.answered(timedelta())}


def lambdas(pepper: str) -> Any:
    def configuration(name: str) -> dict[str, Any]:
        described = parts.configuration(name, {})
        described["Environment"]["Variables"]["STEPWELL_KEY_PEPPER"] = pepper
        return described

    settings = {
        "AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000, "TotalCodeSize": 10**10},
        "AccountUsage": {"TotalCodeSize": 10**7},
    }
    return stub(
        "lambda",
        *[("get_function_configuration", configuration(name)) for name in parts.FUNCTIONS],
        ("get_account_settings", settings),
        ("get_account_settings", settings),
    )


@pytest.fixture
def aws(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> StubbedAws:
    """The local stack's AWS, with a checkout that need not be packaged and a stack that knows its URL."""
    session = boto3.Session()
    deployed = stacks.load(Aws(session), stack.resources.stack_name)
    outputs = {"Url": stack.url, "CodeHash": "f" * 64, **deployed.outputs}
    monkeypatch.setattr(stacks, "find", lambda _aws, _name: replace(deployed, outputs=outputs))

    def packaged(_out: Path, *, stage: str) -> Path:
        raise package.BadTemplate(f"{stage} is not packaged here")

    monkeypatch.setattr(package, "package", packaged)
    pepper = stacks.find_pepper(Aws(session), deployed.name)
    assert pepper
    stubs = {
        # moto's caller is one that IAM knows no policies of.
        "sts": stub("sts", *[("get_caller_identity", known())] * 3),
        "lambda": lambdas(pepper),
        "iam": stub("iam", ("simulate_principal_policy", account.results())),
        "service-quotas": stub(
            "service-quotas",
            quotas.quotas("list_service_quotas", Open_executions=1e6),
            quotas.quotas("list_aws_default_service_quotas", Open_executions=1e6),
        ),
    }
    return StubbedAws(session, stubs)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls to AWS that are made meanwhile."""
    made: list[str] = []
    call = vars(BaseClient)["_make_api_call"]

    def noted(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        made.append(operation)
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return made


def stage_of(stack: LocalStack) -> str:
    return stack.resources.stack_name.removeprefix("stepwell-")


def test_every_check_looks_at_a_running_stack_and_nothing_is_changed(
    stack: LocalStack, aws: Aws, called: list[str]
) -> None:
    found = list(doctor.findings(aws, stage_of(stack)))

    told = {finding.about: finding for finding in found}
    assert told.keys() == {"credentials", "clock", *(check.about for check in doctor.CHECKS)}
    assert [finding.line for finding in found if "could not look" in finding.said] == [told["code"].line]
    assert told["health"].line.startswith(f"ok   health: {stack.url}/healthz answers: table, bucket, state_machine ok")
    # What moto's CloudFormation leaves out, and the schedule that the local stack keeps without CloudWatch.
    bad = {finding.about for finding in found if finding.level is Level.BAD}
    assert bad == {"alarms", "bucket", "restore", "sweep"}
    assert {operation for operation in called if not operation.startswith(READING)} == set()
    assert all("\n" not in finding.line for finding in found)


def test_before_the_first_deployment_only_the_account_and_this_machine_are_looked_at(
    stack: LocalStack, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status in (None, "REVIEW_IN_PROGRESS"):
        planned = a_stack(status) if status else None
        monkeypatch.setattr(stacks, "find", lambda _aws, _name, found=planned: found)

        told = [" ".join(finding.line.split()) for finding in islice(doctor.findings(aws, "prod"), 3)]

        assert told[2] == "ok stack: no stack yet: make deploy STAGE=prod makes stepwell-prod"
    looked = [finding.about for finding in doctor.findings(aws, "prod")]
    of_account = [check.about for check in doctor.CHECKS if not check.of_stack]
    assert list(dict.fromkeys(looked)) == ["credentials", "clock", "stack", *of_account]


def test_whoever_aws_does_not_know_hears_that_alone(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    refused = StubbedAws(
        boto3.Session(region_name="us-east-1"), {"sts": stub("sts", ("get_caller_identity", "ExpiredToken"))}
    )
    monkeypatch.setattr(Aws, "of_caller", lambda: refused)

    assert doctor.main(["STAGE=prod"]) == 1

    told, summary = capsys.readouterr().out.splitlines()
    assert told.startswith("bad  credentials: cannot ask AWS who you are: AWS does not take your credentials")
    assert summary == "0 ok, 0 warn, 1 bad"


def test_a_stack_that_nobody_may_read_is_bad_and_the_account_is_looked_at() -> None:
    cloudformation = stub("cloudformation", ("describe_stacks", "AccessDenied"))
    stubs = {"sts": stub("sts", ("get_caller_identity", known())), "cloudformation": cloudformation}
    denied = StubbedAws(boto3.Session(region_name="us-east-1"), stubs)

    _, _, stack, python = (" ".join(finding.line.split()) for finding in islice(doctor.findings(denied, "prod"), 4))

    assert stack.startswith("bad stack: cannot read the stack stepwell-prod: your credentials may not call DescribeSt")
    assert python.startswith("ok python: ")


@pytest.mark.parametrize(("levels", "code"), [("ok ok", 0), ("ok warn", 0), ("ok bad warn", 1)])
def test_it_fails_if_something_is_bad(monkeypatch: pytest.MonkeyPatch, capsys: Said, levels: str, code: int) -> None:
    found = [replace(ok("so", about="it"), level=Level(word)) for word in levels.split()]
    monkeypatch.setattr(Aws, "of_caller", lambda: None)
    monkeypatch.setattr(doctor, "findings", lambda _aws, _stage: iter(found))

    assert doctor.main(["STAGE=prod"]) == code

    *told, summary = capsys.readouterr().out.splitlines()
    assert told == [f"{word:<4} it: so" for word in levels.split()]
    counts = Counter(levels.split())
    assert summary == f"{counts['ok']} ok, {counts['warn']} warn, {counts['bad']} bad"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["STAGE=Prod"], "STAGE='Prod' is none"),
        ([], "STAGE='' is none"),
        (["STAGE=a", "STAGES=b"], "there is no STAGES="),
    ],
)
def test_what_cannot_be_meant_is_refused_before_aws_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: Said, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(Aws, "of_caller", lambda: pytest.fail("AWS was asked"))

    assert doctor.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"make doctor: {said}")


def test_a_check_that_fails_to_look_leaves_the_others_going(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    stepfunctions = stub("stepfunctions", ("describe_state_machine", "InternalServerError"))
    stack = a_stack(outputs={"ParkStateMachineArn": "arn:x"})
    site = a_site(stack=stack, stubs={"stepfunctions": stepfunctions})
    checks = (
        Check(about="park", look=checks_stack.park, wants="states:DescribeStateMachine"),
        Check(about="stack", look=checks_stack.status, wants="cloudformation:DescribeStacks"),
    )

    told = [" ".join(finding.line.split()) for finding in examine(site, checks)]

    assert told == [
        "warn park: could not look: DescribeStateMachine answered InternalServerError: said so",
        f"ok stack: {NAME} is CREATE_COMPLETE",
    ]
