from __future__ import annotations

import json
from typing import Any

import pytest

from infra import deploy, keys, stacks
from infra.local.aws import ACCOUNT, REGION
from infra.stacks import Aws
from infra.trouble import Trouble
from tests.infra.account import DEPLOYMENTS, Account, _module_account, account, stage

__all__ = ["_module_account", "account", "stage"]

Said = pytest.CaptureFixture[str]


def go(stage: str, *words: str) -> int:
    return deploy.main([f"STAGE={stage}", *words])


def test_a_first_deployment_makes_the_stack_and_shows_its_first_key(account: Account, stage: str, capsys: Said) -> None:
    account.forget_deployments()

    assert go(stage) == 0

    said = capsys.readouterr()
    stack = stacks.load(account.tools, f"stepwell-{stage}")
    assert stack.status == "CREATE_COMPLETE"
    assert stack.outputs["TableName"] == f"stepwell-{stage}"
    assert stack.outputs["BucketName"] == f"stepwell-{stage}-{ACCOUNT}-{REGION}"
    assert stack.tags == {"stepwell-stage": stage}
    assert f"{stack.name} is deployed: {stack.outputs['Url']}" in said.out
    assert said.out.count("KEY=ask_") == 1
    assert [said.out.count(f"CREATE_COMPLETE      {name} (") for name in ("Table", "Drive", stack.name)] == [1, 1, 1]
    assert said.err == ""


def test_the_deployment_bucket_is_private_and_holds_zip_and_template_by_their_content(
    account: Account, stage: str
) -> None:
    account.forget_deployments()

    assert go(stage) == 0

    s3 = account.client("s3")
    [statement] = [json.loads(s3.get_bucket_policy(Bucket=DEPLOYMENTS)["Policy"])["Statement"]]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert set(s3.get_public_access_block(Bucket=DEPLOYMENTS)["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = s3.get_bucket_encryption(Bucket=DEPLOYMENTS)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    code = stacks.load(account.tools, f"stepwell-{stage}").code
    assert sorted(key.rpartition(".")[2] for key in account.uploaded) == ["json", "zip"]
    assert f"stepwell-{stage}/{code}.zip" in account.uploaded


def test_a_second_deployment_of_the_same_changes_and_uploads_nothing(
    account: Account, stage: str, capsys: Said
) -> None:
    assert go(stage) == 0
    account.cloudformation.asked.clear()
    capsys.readouterr()

    assert go(stage) == 0

    assert "nothing to change" in capsys.readouterr().out
    assert not {"PutObject", "ExecuteChangeSet", "PutParameter"} & set(account.cloudformation.asked)
    assert not account.cloudformation.change_sets


def test_other_code_changes_the_functions_alone(account: Account, stage: str) -> None:
    assert go(stage) == 0
    account.code = b"other code"

    assert go(stage) == 0

    stack = account.cloudformation.live(f"stepwell-{stage}")
    assert stack is not None
    changed = {event["ResourceType"] for event in stack.events if event["ResourceStatus"] == "UPDATE_COMPLETE"}
    assert changed == {"AWS::CloudFormation::Stack", "AWS::Lambda::Function"}
    assert stack.outputs["CodeHash"] in {key.split("/")[1].removesuffix(".zip") for key in account.uploaded}


def test_a_parameter_stays_as_it_was_given_until_it_is_given_again(account: Account, stage: str) -> None:
    assert go(stage, "PARAMETERS=LogRetentionDays=90 StepFunctionPattern='a b'") == 0
    assert go(stage, "PARAMETERS=LogRetentionDays=30") == 0

    found = stacks.load(account.tools, f"stepwell-{stage}").parameters
    assert (found["LogRetentionDays"], found["StepFunctionPattern"]) == ("30", "a b")


def test_a_plan_of_a_first_deployment_shows_all_and_leaves_nothing(account: Account, stage: str, capsys: Said) -> None:
    account.forget_deployments()
    before = (account.tables, account.buckets)

    assert go(stage, "PLAN=1") == 0

    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if " Table " in line).split() == ["Add", "Table", "AWS::DynamoDB::Table"]
    assert lines[-1].startswith(f"stepwell-{stage}: ")
    assert (account.tables, account.buckets) == before
    assert account.cloudformation.live(f"stepwell-{stage}") is None
    assert not account.cloudformation.change_sets
    assert stacks.find_pepper(account.tools, f"stepwell-{stage}") is None


def test_a_plan_shows_what_a_parameter_would_change_and_changes_nothing(
    account: Account, stage: str, capsys: Said
) -> None:
    assert go(stage) == 0
    uploaded = account.uploaded
    capsys.readouterr()

    assert go(stage, "PLAN=1", "PARAMETERS=LogRetentionDays=90") == 0

    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("Modify")]
    assert ["Modify", "DriveLogs", "AWS::Logs::LogGroup", "False", "Properties"] in rows
    assert {row[2] for row in rows} == {"AWS::Logs::LogGroup"}
    assert stacks.load(account.tools, f"stepwell-{stage}").parameters["LogRetentionDays"] == "30"
    assert not account.cloudformation.change_sets
    assert account.uploaded == uploaded


def test_a_plan_with_nothing_to_change_says_so(account: Account, stage: str, capsys: Said) -> None:
    assert go(stage) == 0

    assert go(stage, "PLAN=1") == 0

    assert capsys.readouterr().out.endswith(f"stepwell-{stage}: nothing to change\n")


def test_a_plan_that_was_broken_off_stands_in_nobodys_way(account: Account, stage: str) -> None:
    account.cloudformation.denied = {"DeleteChangeSet"}
    assert go(stage, "PLAN=1") == 1
    account.cloudformation.denied = set()
    assert stacks.load(account.tools, f"stepwell-{stage}").status == "REVIEW_IN_PROGRESS"

    assert go(stage) == 0

    assert stacks.load(account.tools, f"stepwell-{stage}").status == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["STAGE="], "STAGE= is empty"),
        (["STAGE=Prod"], "STAGE='Prod' is none"),
        (["STAGE=a--b"], "STAGE='a--b' is none"),
        ([f"STAGE={'a' * 27}"], "26 characters at most"),
        (["STAGE=prod", "PARAMETER=LogRetentionDays=90"], "PARAMETER="),
        (["STAGE=prod", "PLAN=yes"], "PLAN=yes"),
        (["STAGE=prod", "PLAN="], "PLAN= is empty: leave it away or give 1"),
        (["STAGE=prod", "PLAN=" + 101 * "y"], 100 * "y" + "…: PLAN=1 shows"),
        (["STAGE=prod", "PARAMETERS=LogRetentionDays"], "is not Name=value"),
        (["STAGE=prod", "PARAMETERS=LogRetentionDays='90"], "No closing quotation"),
        (["STAGE=prod", "PARAMETERS=LogRetentionDay=90"], "there is no LogRetentionDay; LogRetentionDays?"),
        (["STAGE=prod", "PARAMETERS=LogRetentionDays=2"], "LogRetentionDays=2 does not do: one of 1, 3, 5,"),
        (["STAGE=prod", "PARAMETERS=LogRetentionDays=3 LogRetentionDays=5"], "LogRetentionDays is given twice"),
        (["STAGE=prod", "PARAMETERS=KeyPepper=" + "x" * 32], "KeyPepper is none of yours to give"),
    ],
)
def test_what_is_asked_for_badly_is_refused_in_one_line_before_anybody_is_asked(
    account: Account, words: list[str], said: str, capsys: Said
) -> None:
    assert deploy.main(words) == 1

    told = capsys.readouterr()
    assert said in told.err
    assert (told.err.count("\n"), told.out) == (1, "")
    assert account.cloudformation.asked == []


def test_a_python_that_lambda_does_not_run_is_refused() -> None:
    with pytest.raises(Trouble, match=r"^Lambda runs python3.11, .*, not python3.99: make clean, then"):
        deploy.check_runtime("python3.99")


def test_who_is_not_signed_in_is_told_so(
    account: Account, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setattr(Aws, "of_caller", _OF_CALLER)

    assert go(stage) == 1

    assert capsys.readouterr().err == "make deploy: no AWS credentials: sign in, or set AWS_PROFILE\n"


def test_who_has_chosen_no_region_is_told_so(
    account: Account, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setattr(Aws, "of_caller", _OF_CALLER)

    assert go(stage) == 1

    said = "make deploy: no AWS region: set AWS_REGION, or a region in your profile\n"
    assert capsys.readouterr().err == said


#: As it is before an account takes its place.
_OF_CALLER: Any = Aws.of_caller


def test_the_deployment_stands_where_its_first_key_cannot_be_made(
    account: Account, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def first(*_: object) -> str:
        raise Trouble("no permission")

    monkeypatch.setattr(keys, "first", first)

    assert go(stage) == 0

    assert f"make key STAGE={stage} NAME=first" in capsys.readouterr().err
    assert stacks.load(account.tools, f"stepwell-{stage}").status == "CREATE_COMPLETE"


def test_the_first_key_is_made_by_the_next_deployment_where_the_first_was_broken_off(
    account: Account, stage: str, capsys: Said
) -> None:
    account.cloudformation.denied = {"ListObjectsV2"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "first", lambda *_: None)
        assert go(stage) == 0
    assert "earlier packages are kept" in capsys.readouterr().err

    assert go(stage) == 0
    assert capsys.readouterr().out.count("KEY=ask_") == 1
    assert go(stage) == 0
    assert "ask_" not in capsys.readouterr().out


def test_the_secret_is_told_to_cloudformation_as_a_parameter_and_to_nobody_else(
    account: Account, stage: str, capsys: Said
) -> None:
    assert go(stage) == 0
    account.code = b"other code"
    assert go(stage) == 0

    pepper = account.pepper(f"stepwell-{stage}")
    assert pepper not in "".join(capsys.readouterr())
    assert len(account.cloudformation.requests) == 2
    for request in account.cloudformation.requests:
        told = [each for each in request["Parameters"] if each.get("ParameterValue") == pepper]
        assert [each["ParameterKey"] for each in told] == ["KeyPepper"]
        assert pepper not in json.dumps({**request, "Parameters": []})
    for key in account.uploaded:
        body = account.client("s3").get_object(Bucket=DEPLOYMENTS, Key=key)["Body"].read()
        assert pepper.encode() not in body
