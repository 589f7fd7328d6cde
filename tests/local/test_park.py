"""`park.asl.json` run for real: by moto's interpreter, against moto and against DynamoDB Local."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from infra.local import LocalStack
from infra.local.functions import Invocation, InvocationType

pytestmark = pytest.mark.store

_numbers = itertools.count(1)

#: What Step Functions bills: a state entered. An execution's wait may cost three.
BILLED = "TaskStateEntered"


@dataclass(frozen=True, kw_only=True)
class Parked:
    """A run item, and drive replaced by a function that does nothing but be invoked."""

    stack: LocalStack
    run_id: str

    def put(self, *, wake_seq: int = 7, lease_seq: int = 3, ended: bool = False) -> None:
        item = {
            "pk": {"S": f"RUN#{self.run_id}"},
            "sk": {"S": "#RUN"},
            "wake_seq": {"N": str(wake_seq)},
            "lease_seq": {"N": str(lease_seq)},
        }
        live = {} if ended else {"next_check_at": {"N": "1"}}
        self.stack.dynamodb.put_item(TableName=self.stack.resources.table, Item={**item, **live})

    def start(self, *, timeout_seconds: int = 3600) -> str:
        started = self.stack.stepfunctions.start_execution(
            stateMachineArn=self.stack.resources.park,
            name=self.run_id,
            input=json.dumps(
                {
                    "run_id": self.run_id,
                    "pk": f"RUN#{self.run_id}",
                    "wake_seq": "7",
                    "lease_seq": "3",
                    "timeout_seconds": timeout_seconds,
                }
            ),
        )
        assert self.stack.wait_idle(10)
        return started["executionArn"]

    def token(self) -> str | None:
        key = {"pk": {"S": f"RUN#{self.run_id}"}, "sk": {"S": "#RUN"}}
        found = self.stack.dynamodb.get_item(TableName=self.stack.resources.table, Key=key, ConsistentRead=True)
        return found.get("Item", {}).get("park_token", {}).get("S")

    def history(self, execution: str) -> list[str]:
        events = self.stack.stepfunctions.get_execution_history(executionArn=execution)["events"]
        return [event["type"] for event in events]

    def drives(self) -> list[Invocation]:
        # The stack is shared: other tests' invocations are in its log too, with whatever payloads they have.
        payloads = ((each, each.payload) for each in self.stack.lambda_log)
        return [each for each, sent in payloads if isinstance(sent, dict) and sent.get("run_id") == self.run_id]

    def status(self, execution: str) -> str:
        return self.stack.stepfunctions.describe_execution(executionArn=execution)["status"]


@pytest.fixture
def parked(stack: LocalStack) -> Iterator[Parked]:
    name = stack.resources.functions["Drive"]
    real = stack.functions.find(name)
    stack.functions.register(replace(real, handler=lambda _event, _context: None))
    yield Parked(stack=stack, run_id=f"run_park_{next(_numbers)}")
    stack.functions.register(real)


def test_a_parked_run_holds_its_token_and_nothing_is_invoked(parked: Parked) -> None:
    parked.put()

    execution = parked.start()

    assert parked.token()
    assert parked.drives() == []
    assert parked.status(execution) == "RUNNING"


def test_an_answered_token_invokes_drive_once_and_ends_the_execution(parked: Parked) -> None:
    parked.put()
    execution = parked.start()
    token = parked.token()
    assert token

    parked.stack.stepfunctions.send_task_success(taskToken=token, output='{"run_id": "somebody else"}')

    assert parked.stack.wait_idle(10)
    [drive] = parked.drives()
    assert (drive.type, drive.error) == (InvocationType.EVENT, None)
    assert drive.payload == {"run_id": parked.run_id, "lease_seq": "3"}
    assert parked.status(execution) == "SUCCEEDED"
    assert parked.history(execution).count(BILLED) <= 3


def test_a_deadline_that_passes_invokes_drive(parked: Parked) -> None:
    parked.put()
    execution = parked.start(timeout_seconds=1)

    waiter = iter(range(200))
    while parked.status(execution) == "RUNNING" and next(waiter, None) is not None:
        parked.stack.functions.wait_for_change(0.05)

    assert parked.stack.wait_idle(10)
    assert len(parked.drives()) == 1
    assert parked.status(execution) == "SUCCEEDED"
    assert parked.history(execution).count(BILLED) <= 3


@pytest.mark.parametrize(("wake_seq", "lease_seq"), [(8, 3), (7, 4)])
def test_a_run_that_was_woken_or_driven_meanwhile_is_not_parked_but_driven(
    parked: Parked, wake_seq: int, lease_seq: int
) -> None:
    parked.put(wake_seq=wake_seq, lease_seq=lease_seq)

    execution = parked.start()

    assert parked.token() is None
    assert len(parked.drives()) == 1
    assert parked.status(execution) == "SUCCEEDED"


def test_a_run_that_has_ended_is_not_parked(parked: Parked) -> None:
    parked.put(ended=True)

    parked.start()

    assert parked.token() is None
    assert len(parked.drives()) == 1


def test_a_run_that_is_not_there_is_not_made(parked: Parked) -> None:
    parked.start()

    assert parked.token() is None
    key = {"pk": {"S": f"RUN#{parked.run_id}"}, "sk": {"S": "#RUN"}}
    assert "Item" not in parked.stack.dynamodb.get_item(TableName=parked.stack.resources.table, Key=key)


def test_many_runs_park_at_once(parked: Parked) -> None:
    runs = [replace(parked, run_id=f"{parked.run_id}_{number}") for number in range(16)]
    for run in runs:
        run.put()
    for run in runs:
        run.start()

    assert all(run.token() for run in runs)
    assert [run.drives() for run in runs] == [[]] * 16
