"""Lists of runs: newest first, page by page, by status or without, and the sweep's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.refusal import Invalid
from chalicelib.domain.run import Run, RunStatus
from chalicelib.store import paging, runs, table
from chalicelib.store.paging import Page
from tests.store.builders import CHECK_AT, a_history_record, a_run, ended, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_projects = itertools.count(1)
LISTS: list[Callable[..., Page[Run]]] = [
    lambda run, **asked: runs.page_of_project(run.project_id, **asked),
    lambda run, **asked: runs.page_of_workflow(run.workflow_id, **asked),
]


def some_runs(count: int) -> list[Run]:
    """Store runs of a new project in turn in every status, and return them newest first."""
    number = next(_projects)
    statuses = itertools.cycle(RunStatus)
    stored = []
    for place, status in zip(range(count), statuses, strict=False):
        run = a_run(project_id=f"proj-{number}", workflow_id=f"wf-{number}", created_at=later(place))
        stored.append(ended(run, status) if status.ended else replace(run, status=status))
        runs.put(stored[-1])
    return stored[::-1]


def pages(ask: Callable[..., Page[Run]], run: Run, status: RunStatus | None, limit: int) -> list[tuple[Run, ...]]:
    """Return all pages of a list."""
    found, cursor = [], None
    while True:
        page = ask(run, status=status, cursor=cursor, limit=limit)
        found.append(page.items)
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("ask", LISTS, ids=["project", "workflow"])
@pytest.mark.parametrize("limit", [1, 3, 7, 9, 100])
def test_all_runs_are_listed_newest_first_page_by_page(ask: Callable[..., Page[Run]], limit: int) -> None:
    stored = some_runs(9)
    found = pages(ask, stored[0], None, limit)
    assert [run for page in found for run in page] == stored
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert found[-1]


@pytest.mark.parametrize("ask", LISTS, ids=["project", "workflow"])
@pytest.mark.parametrize("status", list(RunStatus))
def test_the_runs_of_a_status_are_listed_alone(ask: Callable[..., Page[Run]], status: RunStatus) -> None:
    stored = some_runs(16)
    found = pages(ask, stored[0], status, 2)
    assert [run for page in found for run in page] == [run for run in stored if run.status is status]


def test_runs_of_one_instant_are_all_listed() -> None:
    first, *rest = [a_run(project_id="proj-instant") for _ in range(5)]
    for run in (first, *rest):
        runs.put(run)
    found = pages(LISTS[0], first, None, 2)
    assert {run.id for page in found for run in page} == {run.id for run in (first, *rest)}
    assert sum(len(page) for page in found) == 5


def test_nothing_is_listed_of_nobody() -> None:
    assert runs.page_of_project("nobody", status=None, cursor=None, limit=5) == Page(items=(), cursor=None)


def test_large_payloads_are_listed_too() -> None:
    run = a_run(project_id="proj-large", payload="x" * 5000)
    runs.put(run)
    assert runs.page_of_project("proj-large", status=None, cursor=None, limit=5).items == (run,)


def test_a_page_costs_the_same_however_many_runs_there_are(calls: Calls) -> None:
    costs = []
    for count in (14, 70):
        stored = some_runs(count)
        calls.sent.clear()
        runs.page_of_project(stored[0].project_id, status=None, cursor=None, limit=2)
        costs.append(calls.operations)
        assert all(body.get("Limit", 3) == 3 for _, body in calls.sent)
    assert costs[0] == costs[1] == ["Query"] * 7 + ["BatchGetItem"]


def test_a_run_that_moves_on_while_its_list_is_read_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(project_id="proj-moving")
    runs.put(run)
    asked = []
    query = table.query

    def moving(*arguments: object, **options: object) -> object:
        asked.append(arguments)
        if len(asked) == 2:
            # It has been listed as pending; from here on it is running.
            after = replace(run, status=RunStatus.RUNNING)
            runs.change(run, after, history=a_history_record(run), answer_token=False)
        return query(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(paging, "query", moving)
    page = runs.page_of_project("proj-moving", status=None, cursor=None, limit=5)
    assert [(found.id, found.status) for found in page.items] == [(run.id, RunStatus.RUNNING)]


def test_a_run_that_has_left_the_status_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(project_id="proj-leaving")
    runs.put(run)
    query = table.query

    def leaving(*arguments: object, **options: object) -> object:
        found = list(query(*arguments, **options))  # type: ignore[arg-type]
        after = replace(run, status=RunStatus.RUNNING)
        runs.change(run, after, history=a_history_record(run), answer_token=False)
        return found

    monkeypatch.setattr(paging, "query", leaving)
    assert runs.page_of_project("proj-leaving", status=RunStatus.PENDING, cursor=None, limit=5).items == ()


@pytest.mark.parametrize("cursor", ["", "x", "ü", "====", "bm9uZQ", paging.encoded("now#a"), paging.encoded("#")])
def test_a_cursor_that_is_none_of_ours_is_invalid(cursor: str) -> None:
    with pytest.raises(Invalid) as raised:
        runs.page_of_project("proj", status=None, cursor=cursor, limit=5)
    assert raised.value.field == "cursor"


def test_a_cursor_tells_nothing_but_a_place() -> None:
    stored = some_runs(3)
    cursor = runs.page_of_project(stored[0].project_id, status=None, cursor=None, limit=1).cursor
    assert cursor is not None
    assert cursor.isascii()
    assert paging.decoded(cursor).endswith(f"#{stored[0].id}")


def test_the_sweep_is_told_what_is_overdue_the_longest_overdue_first() -> None:
    stored = [a_run(next_check_at=CHECK_AT + timedelta(seconds=place)) for place in range(12)]
    for run in reversed(stored):
        runs.put(run)
    assert runs.overdue(CHECK_AT - timedelta(milliseconds=1), 100) == []
    mine = {run.id for run in stored}
    due = [run_id for run_id in runs.overdue(CHECK_AT + timedelta(seconds=7), 1000) if run_id in mine]
    assert due == [run.id for run in stored[:8]]
    assert len(runs.overdue(CHECK_AT + timedelta(seconds=7), 3)) == 3


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_workflow_has_an_active_run_until_all_have_ended(status: RunStatus, calls: Calls) -> None:
    workflow_id = f"wf-active-{status}"
    runs.put(ended(a_run(workflow_id=workflow_id)))
    assert not runs.any_active(workflow_id)
    run = a_run(workflow_id=workflow_id)
    runs.put(ended(run, status) if status.ended else replace(run, status=status))
    calls.sent.clear()
    assert runs.any_active(workflow_id) is not status.ended
    assert set(calls.operations) == {"Query"}
    assert all(body["Limit"] == 1 for _, body in calls.sent)
