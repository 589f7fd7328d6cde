from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys

import pytest

from infra import deploy, destroy, stacks
from tests.infra.account import Account, _module_account, account, stage

__all__ = ["_module_account", "account", "stage"]

Said = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


def go(stage: str, *words: str) -> int:
    return destroy.main([f"STAGE={stage}", *words])


def told(capsys: Said) -> str:
    """Return what was said of the trouble, which is one line."""
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def deployed(account: Account, stage: str, capsys: Said) -> str:
    assert deploy.main([f"STAGE={stage}", "PARAMETERS=LogRetentionDays=90 HttpAllow='10.0.0.0/8, 10.1.0.0/16'"]) == 0
    capsys.readouterr()
    return f"stepwell-{stage}"


def test_a_stack_goes_and_its_data_stays_until_the_next_deployment_takes_it_over(
    account: Account, deployed: str, stage: str, capsys: Said
) -> None:
    account.put(deployed, "kept")
    pepper = account.pepper(deployed)

    assert go(stage, f"CONFIRM={stage}") == 0

    assert stacks.find(account.tools, deployed) is None
    said = capsys.readouterr().out
    assert f"{deployed} (AWS::DynamoDB::Table)" in said
    assert f"{deployed}-123456789012-us-east-1 (AWS::S3::Bucket)" in said
    assert f"/stepwell/{deployed}/key-pepper (AWS::SSM::Parameter)" in said
    assert pepper not in said
    [again] = [line for line in said.splitlines() if line.startswith("make deploy")]
    _, _, *words = shlex.split(again)
    assert deploy.main(words) == 0
    assert account.holds(deployed, "kept")
    assert account.pepper(deployed) == pepper
    stack = stacks.load(account.tools, deployed)
    assert (stack.parameters["LogRetentionDays"], stack.parameters["HttpAllow"]) == ("90", "10.0.0.0/8, 10.1.0.0/16")
    found = account.cloudformation.live(deployed)
    assert found is not None
    assert found.adopted == {"Table", "Bucket"}
    # Its keys are there, so it is given no first one.
    assert "KEY=ask_" not in capsys.readouterr().out


def test_the_commands_that_it_tells_remove_all_that_was_kept(
    account: Account, deployed: str, stage: str, capsys: Said
) -> None:
    bucket = f"{deployed}-123456789012-us-east-1"
    s3 = account.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="file", Body=body)
    assert go(stage, f"CONFIRM={stage}") == 0
    commands = re.findall(r'^\.venv/bin/python (-c ".*")$', capsys.readouterr().out, re.MULTILINE)
    assert len(commands) == 3

    environment = {name: value for name, value in os.environ.items() if not name.endswith("_REGION")}
    for command in commands:
        subprocess.run([sys.executable, *shlex.split(command)], check=True, env=environment)

    assert deployed not in account.tables
    assert bucket not in account.buckets
    assert stacks.find_pepper(account.tools, deployed) is None


def test_it_asks_for_the_stages_name_and_deletes_nothing_without(
    account: Account, deployed: str, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    for typed in ("\n", "yes\n", ""):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        assert go(stage) == 1
        assert f"that is not {stage}, and nothing was deleted" in told(capsys)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{stage}\n"))
    assert go(stage) == 1
    assert f"nobody is here to confirm it: CONFIRM={stage} does" in told(capsys)
    assert go(stage, "CONFIRM=other") == 1
    assert "CONFIRM=other is not STAGE" in told(capsys)
    assert stacks.load(account.tools, deployed).status == "CREATE_COMPLETE"

    monkeypatch.setattr(sys, "stdin", Terminal(f"{stage}\n"))
    assert go(stage) == 0

    assert stacks.find(account.tools, deployed) is None


def test_where_nobody_can_answer_it_is_not_asked(
    account: Account, deployed: str, stage: str, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert go(stage) == 1

    assert "nobody is here to confirm it" in told(capsys)
    assert stacks.load(account.tools, deployed).status == "CREATE_COMPLETE"


def test_what_is_not_there_is_told_so(account: Account, stage: str, capsys: Said) -> None:
    assert go(stage, f"CONFIRM={stage}") == 1

    assert told(capsys) == f"make destroy: there is no stack stepwell-{stage} in us-east-1: nothing to destroy"


@pytest.mark.parametrize(
    "words",
    [
        ["STAGE=Prod"],
        ["STAGE=prod", "CONFRIM=prod"],
        ["STAGE=prod", "CONFIRM=dev"],
        ["STAGE=prod", "CONFIRM="],
    ],
)
def test_what_is_asked_for_badly_is_refused_before_anybody_is_asked(
    account: Account, words: list[str], capsys: Said
) -> None:
    assert destroy.main(words) == 1

    assert told(capsys).startswith("make destroy: ")
    assert account.cloudformation.asked == []


@pytest.mark.parametrize("call", ["DescribeStacks", "DescribeStackEvents", "DeleteStack"])
def test_who_lacks_a_permission_is_told_which(
    account: Account, deployed: str, stage: str, call: str, capsys: Said
) -> None:
    account.cloudformation.denied = {call}

    assert go(stage, f"CONFIRM={stage}") == 1

    assert f"your credentials may not call {call}" in told(capsys)
    account.cloudformation.denied = set()
    assert stacks.load(account.tools, deployed).status == "CREATE_COMPLETE"


def test_a_deletion_that_fails_is_told_by_its_cause_and_can_be_tried_again(
    account: Account, deployed: str, stage: str, capsys: Said
) -> None:
    account.cloudformation.undeletable = {"AlarmTopic": "User: me is not authorized to perform: sns:DeleteTopic"}

    assert go(stage, f"CONFIRM={stage}") == 1

    line = told(capsys)
    assert f"{deployed} is DELETE_FAILED: AlarmTopic (AWS::SNS::Topic): User: me is not authorized" in line
    assert line.endswith("have sns:DeleteTopic allowed to your credentials, then run make destroy again")
    assert deploy.main([f"STAGE={stage}"]) == 1
    assert f"it is DELETE_FAILED: make destroy STAGE={stage} comes before all else" in told(capsys)
    account.cloudformation.undeletable = {}
    assert go(stage, f"CONFIRM={stage}") == 0


def test_a_stack_that_somebody_is_changing_is_left_alone(
    account: Account, deployed: str, stage: str, capsys: Said
) -> None:
    stack = account.cloudformation.live(deployed)
    assert stack is not None
    stack.status = "UPDATE_IN_PROGRESS"

    assert go(stage, f"CONFIRM={stage}") == 1

    assert f"somebody else is changing {deployed} just now (UPDATE_IN_PROGRESS)" in told(capsys)
    assert stack.status == "UPDATE_IN_PROGRESS"
