from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra import changes, deploy, keys, package, progress, stacks
from infra.changes import ChangeSet
from infra.progress import Event
from infra.stacks import Aws
from infra.trouble import Trouble
from tests.infra.account import Account, _module_account, account, stage
from tests.infra.cloudformation import FakeStack

__all__ = ["_module_account", "account", "stage"]

Said = pytest.CaptureFixture[str]


def go(stage: str, *words: str) -> int:
    return deploy.main([f"STAGE={stage}", *words])


def told(capsys: Said) -> str:
    """Return what was said of the trouble, which is one line."""
    [line] = capsys.readouterr().err.splitlines()
    return line


def what_is_there(account: Account, stage: str) -> Sequence[Any]:
    stack = account.cloudformation.live(f"stepwell-{stage}")
    found = None if stack is None else (stack.status, dict(stack.parameters), stack.document)
    return [found, account.tables, [name for name in account.buckets if "deployments" not in name]]


def an_event(logical_id: str, status: str, reason: str) -> Event:
    kind = "AWS::Lambda::Function"
    return Event(id=logical_id, logical_id=logical_id, physical_id="", type=kind, status=status, reason=reason)


#: Each call of a first deployment, and what its refusal is told as.
CALLS = {
    "GetCallerIdentity": "ask who you are",
    "DescribeStacks": "read the stack",
    "HeadBucket": "use the bucket",
    "CreateBucket": "make the bucket",
    "GetBucketPolicy": "read the policy of the bucket",
    "PutPublicAccessBlock": "make the bucket",
    "PutBucketEncryption": "make the bucket",
    "PutBucketPolicy": "make the bucket",
    "HeadObject": "look into the bucket",
    "PutObject": "upload to the bucket",
    "GetParameter": "read the secret",
    "PutParameter": "keep the secret",
    "CreateChangeSet": "propose the changes",
    "DescribeChangeSet": "read the changes",
    "DescribeStackEvents": "read what CloudFormation does",
    "ExecuteChangeSet": "change stepwell-",
}


@pytest.mark.parametrize(("call", "said"), CALLS.items(), ids=CALLS)
def test_who_lacks_a_permission_is_told_which_and_nothing_is_changed(
    account: Account, stage: str, call: str, said: str, capsys: Said
) -> None:
    if "Bucket" in call or "Block" in call:
        account.forget_deployments()
    before = what_is_there(account, stage)
    account.cloudformation.denied = {call}

    assert go(stage) == 1

    line = told(capsys)
    assert f"cannot {said}" in line
    assert f"your credentials may not call {call}" in line
    assert what_is_there(account, stage) == before
    assert not account.cloudformation.change_sets


def test_the_table_of_calls_is_all_that_a_first_deployment_asks_for(account: Account, stage: str) -> None:
    account.forget_deployments()

    assert go(stage) == 0

    # The others come once the stack stands, and are not needed for that.
    assert set(account.cloudformation.asked) - CALLS.keys() == {"ListObjectsV2"}


def test_a_creation_that_fails_is_told_by_its_first_cause_and_leaves_nothing(
    account: Account, stage: str, capsys: Said
) -> None:
    before = what_is_there(account, stage)
    account.cloudformation.failing = {
        "Drive": "User: me is not authorized to perform: lambda:CreateFunction on resource: drive.",
    }

    assert go(stage) == 1

    line = told(capsys)
    assert f"stepwell-{stage} could not be created: Drive (AWS::Lambda::Function): User: me is not authorized" in line
    assert "have lambda:CreateFunction allowed to your credentials; nothing is left of it" in line
    assert what_is_there(account, stage) == before

    account.cloudformation.failing = {}
    assert go(stage) == 0


@pytest.mark.parametrize(
    ("reason", "mending"),
    [
        ("Specified ReservedConcurrentExecutions decreases UnreservedConcurrentExecution below 10", "lower the param"),
        ("CloudWatch Logs role ARN must be set in account settings to enable logging", "give API Gateway a role"),
        ("Maximum number of addresses: LimitExceeded", "have the quota raised"),
        ("stepwell-x already exists in stack y", "remove what has that name"),
        ("who knows", "mend that"),
    ],
)
def test_a_cause_comes_with_what_to_mend(reason: str, mending: str) -> None:
    broken_off = an_event("Drive", "CREATE_FAILED", "Resource creation cancelled")
    later = an_event("Sweep", "DELETE_FAILED", "later")

    said = progress.first_cause([broken_off, an_event("Work", "CREATE_FAILED", reason), later])

    assert said.startswith(f"Work (AWS::Lambda::Function): {reason}; {mending}")


def test_a_cause_that_nobody_told_is_said_to_be_none() -> None:
    assert progress.first_cause([an_event("Work", "CREATE_COMPLETE", "")]) == "CloudFormation does not say why"


def test_what_a_failed_creation_leaves_for_want_of_a_permission_the_next_takes_over_with_its_data(
    account: Account, stage: str, capsys: Said
) -> None:
    account.cloudformation.failing = {"Drive": "no"}
    account.cloudformation.denied = {"DeleteTable"}
    assert go(stage) == 1
    line = told(capsys)
    assert "Drive (AWS::Lambda::Function): no" in line
    assert "your credentials may not call DeleteTable" in line
    account.put(f"stepwell-{stage}", "kept")
    account.cloudformation.failing, account.cloudformation.denied = {}, set()

    assert go(stage) == 0

    assert account.holds(f"stepwell-{stage}", "kept")


def test_what_an_earlier_try_could_not_clear_up_is_cleared_up_and_its_data_kept(
    account: Account, stage: str, capsys: Said
) -> None:
    account.cloudformation.failing = {"Drive": "no"}
    account.cloudformation.denied = {"DeleteStack"}
    assert go(stage) == 1
    assert "may not call DeleteStack" in told(capsys)
    assert stacks.load(account.tools, f"stepwell-{stage}").status == "ROLLBACK_COMPLETE"
    account.put(f"stepwell-{stage}", "kept")
    account.cloudformation.failing, account.cloudformation.denied = {}, set()
    assert go(stage, "PLAN=1") == 1
    assert "make deploy takes away what is left and tries again" in told(capsys)

    assert go(stage) == 0

    assert "was never created whole (ROLLBACK_COMPLETE)" in capsys.readouterr().out
    assert stacks.load(account.tools, f"stepwell-{stage}").status == "CREATE_COMPLETE"
    assert account.holds(f"stepwell-{stage}", "kept")


def test_a_creation_that_fails_leaves_a_table_that_was_there_before_even_if_it_is_empty(
    account: Account, stage: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "first", lambda *_: None)
        assert go(stage) == 0
    account.tools.cloudformation.delete_stack(StackName=f"stepwell-{stage}")
    account.cloudformation.failing = {"Drive": "no"}
    before = (account.tables, account.buckets)

    assert go(stage) == 1

    assert (account.tables, account.buckets) == before


def test_a_change_that_fails_is_told_by_its_first_cause_and_rolled_back(
    account: Account, stage: str, capsys: Said
) -> None:
    assert go(stage) == 0
    before = what_is_there(account, stage)
    capsys.readouterr()
    account.code = b"other code"
    account.cloudformation.failing = {"Work": f"it said {account.pepper(f'stepwell-{stage}')}"}

    assert go(stage) == 1

    line = told(capsys)
    assert line.endswith("Work (AWS::Lambda::Function): it said ****; mend that; it is as it was")
    [_, *things] = what_is_there(account, stage)
    assert things == before[1:]
    account.cloudformation.failing = {}
    assert go(stage) == 0


def test_a_change_that_can_be_neither_made_nor_rolled_back_says_what_comes_first(
    account: Account, stage: str, capsys: Said
) -> None:
    assert go(stage) == 0
    account.code = b"other code"
    account.cloudformation.failing = {"Work": "no"}
    account.cloudformation.stuck = True
    capsys.readouterr()

    assert go(stage) == 1
    first = told(capsys)
    assert go(stage) == 1
    second = told(capsys)

    client = "boto3.client('cloudformation', 'us-east-1')"
    command = f".venv/bin/python -c \"import boto3; {client}.continue_update_rollback(StackName='stepwell-{stage}')\""
    assert "Work (AWS::Lambda::Function): no" in first
    assert f"it is UPDATE_ROLLBACK_FAILED: {command} comes before all else" in first
    assert f"it is UPDATE_ROLLBACK_FAILED: {command} comes before all else" in second


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_who_comes_while_another_deploys_is_told_so(account: Account, stage: str, status: str, capsys: Said) -> None:
    name = f"stepwell-{stage}"
    account.cloudformation.stacks[name] = FakeStack(id=name, name=name, status=status)

    assert go(stage) == 1

    assert f"somebody else is changing stepwell-{stage} just now ({status})" in told(capsys)


def test_of_two_who_deploy_at_once_the_second_is_told_so_and_takes_nothing_from_the_first(
    account: Account, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    execute: Callable[[Aws, ChangeSet], None] = changes.execute

    def after_another(aws: Aws, change_set: ChangeSet) -> None:
        monkeypatch.setattr(changes, "execute", execute)
        assert go(stage) == 0
        capsys.readouterr()
        execute(aws, change_set)

    monkeypatch.setattr(changes, "execute", after_another)

    assert go(stage) == 1

    assert f"somebody else is changing stepwell-{stage} just now" in told(capsys)
    assert stacks.load(account.tools, f"stepwell-{stage}").status == "CREATE_COMPLETE"


@pytest.mark.parametrize("action", ["Replace", "Remove"])
def test_what_would_lose_data_is_refused(account: Account, stage: str, action: str, capsys: Said) -> None:
    assert go(stage) == 0
    stack = account.cloudformation.live(f"stepwell-{stage}")
    assert stack is not None
    account.cloudformation.losing = (action, "Table")
    capsys.readouterr()

    assert go(stage) == 1

    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"this would {action.lower()} Table, which holds stepwell-{stage}'s data",
        f"make deploy: stepwell-{stage} would lose data: nothing was changed",
    ]
    assert not account.cloudformation.change_sets
    assert stack.status == "CREATE_COMPLETE"
    assert go(stage, "PLAN=1") == 0
    assert f"this would {action.lower()} Table" in capsys.readouterr().err


def test_what_cloudformation_finds_fault_with_beforehand_is_told(account: Account, stage: str, capsys: Said) -> None:
    account.cloudformation.invalid = ("Bucket", "its name belongs to somebody else")

    assert go(stage) == 1

    line = told(capsys)
    assert line.endswith(f"the changes of stepwell-{stage}: Bucket: its name belongs to somebody else")
    assert account.cloudformation.live(f"stepwell-{stage}") is None
    account.cloudformation.denied = {"DescribeEvents"}
    assert go(stage) == 1
    assert told(capsys).endswith("The following validation checks failed: PROPERTY_VALIDATION")


@pytest.mark.parametrize(
    "fault", [package.BadTemplate("E3012 at line 7:\nnot so"), Trouble("pip has no wheels"), Trouble("chalice said no")]
)
def test_what_cannot_be_packaged_changes_nothing(
    account: Account, stage: str, fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise fault

    monkeypatch.setattr(package, "package", fail)

    assert go(stage) == 1

    assert " ".join(str(fault).split()) in told(capsys)
    assert set(account.cloudformation.asked) == {"GetCallerIdentity", "DescribeStacks"}


def test_who_stops_waiting_is_told_that_cloudformation_goes_on(
    account: Account, stage: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "follow", stop)

    assert go(stage) == 130

    assert "make deploy: stopped; what AWS has begun goes on there" in told(capsys)
    assert stacks.load(account.tools, f"stepwell-{stage}").status.startswith("CREATE_")
