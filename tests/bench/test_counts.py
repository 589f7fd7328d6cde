"""What the benchmark counts exactly, held as tests; what it times is only reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chalicelib.domain.run import RunStatus
from infra.local import LocalStack
from tests.bench import library, lists, starts, verbs, workflows
from tests.bench.client import Client, deploy, trigger
from tests.bench.meter import Counts, metered
from tests.bench.scenarios import OneRun, Scenario, Waiting

pytestmark = pytest.mark.store

#: What a run costs beside its steps: it is created, given its number, claimed by its driver, and ended, which is added
#: to the statistics of a day and of a quarter of an hour.
WRITES_OF_A_RUN = 6


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as opened:
        yield opened


def counted(scenario: Scenario, stack: LocalStack) -> Counts:
    """What one go asks for, once the process has kept the definition."""
    with ExitStack() as until:
        scenario.prepare(stack, until)
        scenario.go()
        with metered(stack) as counts:
            scenario.go()
        scenario.check()
    return counts


@pytest.mark.parametrize("steps", [10, 50])
def test_a_chain_is_written_once_a_step_and_a_constant(stack: LocalStack, steps: int) -> None:
    counts = counted(OneRun(workflows.chain(steps)), stack)

    assert counts.writes == steps + WRITES_OF_A_RUN
    assert counts.calls["TransactWriteItems"] == 1


@pytest.mark.parametrize("steps", [10, 50])
def test_a_run_that_never_waits_starts_no_execution(stack: LocalStack, steps: int) -> None:
    counts = counted(OneRun(workflows.chain(steps)), stack)

    assert (counts.executions, counts.transitions, counts.park_writes) == (0, 0, 0)
    assert counts.invocations == {"drive": 1}


def test_a_chain_of_small_values_asks_nothing_of_s3(stack: LocalStack) -> None:
    assert not counted(OneRun(workflows.chain(10)), stack).s3


def test_a_wait_enters_at_most_three_states(stack: LocalStack) -> None:
    counts = counted(Waiting(), stack)

    assert counts.executions == 1
    assert 0 < counts.transitions <= 3
    assert counts.park_writes == 1
    assert counts.invocations == {"drive": 2}


def test_a_step_more_costs_one_write_unit_and_no_index(stack: LocalStack, dynamodb_endpoint: str | None) -> None:
    if dynamodb_endpoint is None:
        pytest.skip("moto makes its units up")
    short, long = (counted(OneRun(workflows.chain(steps)), stack) for steps in (10, 50))

    assert long.write_units - short.write_units == 40
    assert long.index_write == short.index_write
    # The run enters two lists by its status, leaves them twice for another, and enters and leaves the sweep's index; it
    # leaves in a transaction, of which everything counts twice.
    assert short.index_write == 17


def test_the_meter_sees_what_a_run_does(stack: LocalStack, client: Client) -> None:
    path = deploy(client, workflows.chain(3))
    with metered(stack) as counts:
        trigger(client, path)
        assert stack.wait_idle(30)
    with metered(stack) as nothing:
        pass

    assert counts.calls["PutItem"] == 4
    assert counts.calls["UpdateItem"] == 2
    assert counts.write_units > 0
    assert nothing == Counts()


def test_what_a_verb_on_a_held_run_asks_of_aws_is_known(stack: LocalStack) -> None:
    asked = {name: counts.all_calls for name, counts in verbs.measure(stack).items()}

    assert asked == {
        "pause": 2,
        "resume": 3,
        "cancel": 3,
        **dict.fromkeys(("approve", "reject", "skip", "force-complete"), 4),
        # The step has waited for approval: that is taken out of the approvers' inbox.
        "replay-subtree": 4,
    }


def test_a_page_of_runs_costs_as_much_however_many_runs_there_are(
    stack: LocalStack, dynamodb_endpoint: str | None
) -> None:
    if dynamodb_endpoint is None:
        pytest.skip("moto makes its units up")
    for status in (None, RunStatus.COMPLETED):
        few, many = (counted(lists.Listing(count, status), stack) for count in (100, 1000))
        assert many.read_units == few.read_units
        assert many.calls == few.calls


def test_a_page_of_workflows_costs_as_much_however_many_there_are(
    stack: LocalStack, dynamodb_endpoint: str | None
) -> None:
    if dynamodb_endpoint is None:
        pytest.skip("moto makes its units up")
    few, many = (counted(library.Library(count, library.FEW), stack) for count in (library.FEW, 1000))
    assert many.read_units == few.read_units
    assert many.calls == few.calls


def test_what_a_start_asks_of_aws_is_known(stack: LocalStack) -> None:
    asked = {name: counts.all_calls for name, counts in starts.measure(stack).items()}

    assert asked == {
        "trigger": 3,
        "trigger, with a key": 4,
        "v1 trigger": 3,
        "v1 trigger, with a key": 5,
        "runs/start": 5,
        "runs/start, with a key": 5,
    }
