"""The counter of a workflow's runs: it is as many as are marked, and each mark comes and goes with its run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import Run, RunStatus
from chalicelib.store import runs, workflows
from chalicelib.store.errors import Exists, Full, Superseded
from tests.store.builders import (
    CHECK_AT,
    NOW,
    a_driven_run,
    a_history_record,
    a_run,
    a_stored_run,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_workflows = itertools.count(1)


def a_counted_run(most: int = 3, **changes: object) -> Run:
    """Store a run that counts, of a workflow of its own unless one is named."""
    run = a_run(**{"workflow_id": f"wf-counted-{next(_workflows)}", "counted": True, **changes})
    runs.put(run, most_concurrent=most)
    return run


def canceled(run: Run, **parts: object) -> Run:
    history = a_history_record(run)
    return runs.change(run, ended(run, RunStatus.CANCELED), history=history, answer_token=False, **parts)  # type: ignore[arg-type]


def reopened(run: Run, most: int) -> Run:
    before = runs.load(run.id)
    assert before is not None
    after = replace(before, status=RunStatus.RUNNING, finished_at=None, next_check_at=CHECK_AT, counted=True)
    history = a_history_record(run)
    return runs.repair(before, after, history=history, answer_token=False, most_concurrent=most)


def test_a_workflow_has_as_many_runs_as_it_may_and_no_more() -> None:
    first = a_counted_run(2)
    second = a_counted_run(2, workflow_id=first.workflow_id)
    third = a_run(workflow_id=first.workflow_id, counted=True)
    with pytest.raises(Full) as raised:
        runs.put(third, most_concurrent=2)
    assert raised.value.part == "counter"
    assert runs.load(third.id) is None
    assert workflows.active_runs(first.workflow_id) == 2
    runs.put(third, most_concurrent=3)
    assert runs.load(second.id) == second
    assert workflows.active_runs(first.workflow_id) == 3


def test_a_run_that_does_not_count_is_put_by_itself(calls: Calls) -> None:
    run = a_stored_run(workflow_id="wf-uncounted")
    assert calls.operations == ["PutItem"]
    assert workflows.active_runs(run.workflow_id) == 0


def test_a_run_counts_towards_a_limit_only() -> None:
    with pytest.raises(ValueError, match="limit"):
        runs.put(a_run(counted=True))


def test_a_run_that_is_there_is_not_counted_again_even_where_no_place_is_left() -> None:
    run = a_counted_run(1)
    for most in (1, 2):
        with pytest.raises(Exists) as raised:
            runs.put(run, most_concurrent=most)
        assert raised.value.part == "run"
    assert workflows.active_runs(run.workflow_id) == 1


def test_an_idempotency_key_in_use_counts_nothing() -> None:
    first = a_counted_run(1)
    second = a_run(workflow_id=first.workflow_id, counted=True)
    record = IdempotencyRecord(
        scope="trigger",
        key="counted",
        project_id="proj_1",
        request_digest="d",
        created_at=NOW,
        expires_at=later(9),
    )
    runs.put(a_run(), idempotency=record)
    with pytest.raises(Exists) as raised:
        runs.put(second, idempotency=record, most_concurrent=1)
    assert raised.value.part == "idempotency"
    with pytest.raises(Full):
        runs.put(second, idempotency=replace(record, key="full"), most_concurrent=1)
    assert workflows.active_runs(first.workflow_id) == 1


def finished(run: Run) -> None:
    runs.finish(ended(taken(run)), owner="request-1", parent_event=None)


def finished_child(run: Run) -> None:
    runs.finish(ended(taken(run)), owner="request-1", parent_event=an_event(run.id))


def canceled_child(run: Run) -> None:
    canceled(run, parent_event=an_event(run.id))


ENDINGS: list[Callable[[Run], object]] = [finished, canceled, finished_child, canceled_child]


@pytest.mark.parametrize("parent", [None, "alive", "over"])
@pytest.mark.parametrize("end", ENDINGS)
def test_a_run_that_ends_gives_its_place_back(end: Callable[[Run], object], parent: str | None, calls: Calls) -> None:
    above = a_stored_run() if parent == "alive" else a_run()
    parts = {"parent_run_id": above.id, "parent_step": "sub"} if parent else {}
    run = a_counted_run(1, **parts)
    calls.sent.clear()
    end(run)
    assert workflows.active_runs(run.workflow_id) == 0
    found = runs.load(run.id)
    assert found is not None
    assert (found.status.ended, found.counted) == (True, False)
    told = runs.load_collection(above.id)
    assert told is None or len(told.events) == (end in {finished_child, canceled_child})
    ends = [operation for operation in calls.operations if operation == "TransactWriteItems"]
    assert len(ends) == (2 if parent == "over" and end in {finished_child, canceled_child} else 1)
    a_counted_run(1, workflow_id=run.workflow_id)


def test_a_run_that_does_not_count_and_has_no_parent_ends_with_no_write_of_the_counter(calls: Calls) -> None:
    driven = a_driven_run()
    calls.sent.clear()
    runs.finish(ended(driven), owner="request-1", parent_event=None)
    # The run, and the statistics of the day and of the quarter of an hour.
    assert calls.operations == ["TransactWriteItems"]
    assert len(calls.sent[-1][1]["TransactItems"]) == 3


def test_an_end_that_is_not_recorded_gives_no_place_back() -> None:
    run = a_counted_run(1)
    driven = taken(run)
    runs.wake(run.id)
    with pytest.raises(Superseded):
        runs.finish(ended(driven), owner="request-1", parent_event=None)
    with pytest.raises(Superseded):
        canceled(run)
    assert workflows.active_runs(run.workflow_id) == 1


def test_of_two_ends_one_gives_the_place_back() -> None:
    run = a_counted_run(2)
    a_counted_run(2, workflow_id=run.workflow_id)
    driven = taken(run)
    canceled(driven)
    with pytest.raises(Superseded):
        runs.finish(ended(driven), owner="request-1", parent_event=None)
    assert workflows.active_runs(run.workflow_id) == 1


def test_a_verb_that_does_not_end_a_run_leaves_its_place(calls: Calls) -> None:
    run = a_counted_run(1)
    calls.sent.clear()
    after = replace(run, status=RunStatus.PAUSED)
    changed = runs.change(run, after, history=a_history_record(run), answer_token=False)
    assert changed.counted
    assert len(calls.sent[-1][1]["TransactItems"]) == 2
    assert workflows.active_runs(run.workflow_id) == 1


def test_a_reopened_run_takes_a_place_again_if_there_is_one() -> None:
    run = a_counted_run(1)
    canceled(run)
    other = a_counted_run(1, workflow_id=run.workflow_id)
    before = runs.load(run.id)
    with pytest.raises(Full):
        reopened(run, 1)
    assert runs.load(run.id) == before
    canceled(other)
    again = reopened(run, 1)
    assert runs.load(run.id) == again
    assert workflows.active_runs(run.workflow_id) == 1
    canceled(again)
    assert workflows.active_runs(run.workflow_id) == 0


def test_a_repair_of_a_run_that_counts_leaves_its_place() -> None:
    run = a_counted_run(1)
    after = replace(run, updated_at=later(5))
    runs.repair(run, after, history=a_history_record(run), answer_token=False)
    assert workflows.active_runs(run.workflow_id) == 1
