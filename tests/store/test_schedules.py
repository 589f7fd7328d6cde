"""Schedules: workflows in the sweep's index, apart from runs, each due at the time that was set last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.workflow import Workflow
from chalicelib.store import runs, table, workflows
from chalicelib.store.errors import Superseded
from tests.store.builders import CHECK_AT, a_stored_run, a_workflow
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

NEXT = CHECK_AT + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _nothing_due() -> Iterator[None]:
    """Leave the next test no schedule."""
    yield
    for workflow in workflows.due(CHECK_AT + timedelta(days=999), 1000):
        workflows.set_due(workflow, None)


def a_schedule(**changes: object) -> Workflow:
    workflow = a_workflow(**{"due_at": CHECK_AT, **changes})
    workflows.put(workflow)
    return workflow


def test_schedules_are_due_from_their_time_on_the_longest_due_first() -> None:
    made = [a_schedule(due_at=CHECK_AT + timedelta(minutes=place)) for place in (3, 1, 2, 9)]
    a_schedule(due_at=None)
    assert workflows.due(CHECK_AT + timedelta(seconds=59), 100) == []
    assert workflows.due(CHECK_AT + timedelta(minutes=3), 100) == [made[1], made[2], made[0]]
    assert workflows.due(CHECK_AT + timedelta(minutes=3), 2) == [made[1], made[2]]


def test_schedules_and_runs_do_not_see_each_other() -> None:
    run, workflow = a_stored_run(next_check_at=CHECK_AT), a_schedule()
    assert run.id in runs.overdue(CHECK_AT, 1000)
    assert workflow.id not in runs.overdue(CHECK_AT, 1000)
    assert workflows.due(CHECK_AT, 1000) == [workflow]


def test_the_next_time_is_set_with_one_update_and_nothing_else_changes(calls: Calls) -> None:
    workflow = a_schedule()
    calls.sent.clear()
    workflows.set_due(workflow, NEXT)
    assert calls.operations == ["UpdateItem"]
    assert workflows.load(workflow.id) == replace(workflow, due_at=NEXT)
    assert workflows.due(CHECK_AT, 100) == []
    assert workflows.due(NEXT, 100) == [replace(workflow, due_at=NEXT)]


def test_a_schedule_ends_and_begins_again() -> None:
    workflow = a_schedule()
    workflows.set_due(workflow, None)
    assert workflows.load(workflow.id) == replace(workflow, due_at=None)
    assert workflows.due(NEXT, 100) == []
    workflows.set_due(replace(workflow, due_at=None), NEXT)
    assert workflows.due(NEXT, 100) == [replace(workflow, due_at=NEXT)]


def test_a_time_that_was_set_by_another_stays() -> None:
    workflow = a_schedule()
    changed = replace(workflow, due_at=CHECK_AT + timedelta(minutes=7), revision=2)
    workflows.update(changed)
    for late in (workflow, replace(workflow, due_at=None)):
        with pytest.raises(Superseded):
            workflows.set_due(late, NEXT)
    assert workflows.load(workflow.id) == changed


def test_two_sweeps_that_set_the_same_time_both_succeed() -> None:
    workflow = a_schedule()
    workflows.set_due(workflow, NEXT)
    workflows.set_due(workflow, NEXT)
    assert workflows.load(workflow.id) == replace(workflow, due_at=NEXT)


def test_what_is_no_workflow_is_never_due() -> None:
    with pytest.raises(Superseded):
        workflows.set_due(a_workflow(due_at=CHECK_AT), NEXT)
    with pytest.raises(Superseded):
        workflows.set_due(a_workflow(), NEXT)
    assert workflows.due(NEXT, 100) == []


def test_a_change_of_the_workflow_is_not_hindered_by_the_sweep() -> None:
    workflow = a_schedule()
    workflows.set_due(workflow, NEXT)
    renamed = replace(workflow, name="Other", revision=2)
    workflows.update(renamed)
    assert workflows.due(CHECK_AT, 100) == [renamed]


def test_a_schedule_that_was_moved_while_it_was_looked_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stays, moves = a_schedule(), a_schedule()
    query = table.query

    def moving(*arguments: object, **options: object) -> object:
        found = list(query(*arguments, **options))  # type: ignore[arg-type]
        workflows.set_due(moves, NEXT)
        return found

    monkeypatch.setattr(workflows, "query", moving)
    assert workflows.due(CHECK_AT, 100) == [stays]
