from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.run import Run, RunStatus
from chalicelib.services import run_lists, workflows
from chalicelib.services.run_lists import Tag
from chalicelib.store import keys, paging, runs
from chalicelib.store.paging import Page
from tests.services.library import NOW, PROJECT, a_workflow, later


def a_run(number: int, *, status: RunStatus = RunStatus.PENDING, workflow_id: str = "wf_1") -> Run:
    return Run(
        id=f"run-{number:03d}",
        project_id=PROJECT,
        workflow_id=workflow_id,
        version_id="wfv_1",
        version=1,
        connection_id="conn_default",
        status=status,
        triggered_by="api",
        created_by="alice",
        created_at=later(number),
        updated_at=later(number),
        next_check_at=later(number + 1),
    )


def a_page(numbers: list[int], limit: int, cursor: str | None) -> Page[Run]:
    """What the store answers for a list of these runs."""
    places = sorted((keys.position(a_run(n).created_at, a_run(n).id) for n in numbers), reverse=True)
    after = paging.decoded(cursor) if cursor else None
    left = [place for place in places if after is None or place < after]
    named = {keys.position(a_run(n).created_at, a_run(n).id): a_run(n) for n in numbers}
    taken = left[:limit]
    return Page(
        items=tuple(named[place] for place in taken),
        cursor=paging.encoded(taken[-1]) if len(left) > limit else None,
    )


@given(
    lists=st.lists(st.sets(st.integers(0, 30)), min_size=2, max_size=3),
    limit=st.integers(1, 7),
)
def test_lists_merged_page_by_page_give_every_run_once_newest_first(lists: list[set[int]], limit: int) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        page = run_lists.merged([a_page(sorted(numbers), limit, cursor) for numbers in lists], limit)
        assert len(page.items) <= limit
        seen += [run.id for run in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [a_run(number).id for number in sorted(set.union(*lists), reverse=True)]


@pytest.mark.store
@pytest.mark.usefixtures("table")
def test_runs_of_two_statuses_are_one_list() -> None:
    workflow = a_workflow()
    statuses = [RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.PENDING]
    for number in range(6):
        runs.put(a_run(number, status=statuses[number % 3], workflow_id=workflow.id))
    wanted = (RunStatus.RUNNING, RunStatus.PAUSED)
    first = run_lists.page(PROJECT, workflow.id, statuses=wanted, cursor=None, limit=3)
    rest = run_lists.page(PROJECT, workflow.id, statuses=wanted, cursor=first.cursor, limit=3)
    assert [run.id for run in (*first.items, *rest.items)] == ["run-004", "run-003", "run-001", "run-000"]
    every = run_lists.page(PROJECT, workflow.id, statuses=None, cursor=None, limit=10)
    assert len(every.items) == 6


@pytest.mark.store
@pytest.mark.usefixtures("table")
def test_the_runs_of_a_deleted_workflow_are_listed_and_of_an_unknown_one_not_found() -> None:
    workflow = a_workflow()
    runs.put(replace(a_run(1), workflow_id=workflow.id))
    workflows.delete(PROJECT, workflow.id, now=NOW)
    assert len(run_lists.page(PROJECT, workflow.id, statuses=None, cursor=None, limit=10).items) == 1
    for project_id, workflow_id in ((PROJECT, "wf_none"), ("proj_2", workflow.id)):
        with pytest.raises(NotFound):
            run_lists.page(project_id, workflow_id, statuses=None, cursor=None, limit=10)


@pytest.mark.store
@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("statuses", [None, (RunStatus.FAILED, RunStatus.TIMED_OUT)])
def test_a_cursor_that_is_none_of_ours_is_refused(statuses: tuple[RunStatus, ...] | None) -> None:
    with pytest.raises(Invalid):
        run_lists.page(PROJECT, a_workflow().id, statuses=statuses, cursor="bogus", limit=10)


def test_a_page_of_what_is_rare_is_short_and_leads_on_after_five_pages_of_the_store() -> None:
    read: list[str | None] = []

    def a_store_page(cursor: str | None, limit: int) -> Page[Run]:
        read.append(cursor)
        return a_page(list(range(100)), limit, cursor)

    page = run_lists.sifted(a_store_page, lambda run: run.id in {"run-099", "run-001"}, cursor=None, limit=10)

    assert ([run.id for run in page.items], len(read)) == (["run-099"], 5)
    assert page.cursor is not None
    rest = run_lists.sifted(a_store_page, lambda _run: True, cursor=page.cursor, limit=100)
    # Nine more were read of each page after the first.
    assert (rest.items[0].id, rest.items[-1].id, rest.cursor) == ("run-053", "run-000", None)


def test_a_tag_is_on_a_run_whatever_it_says_unless_a_value_is_asked_for() -> None:
    run = replace(a_run(1), tags={"team": "a", "empty": ""})
    assert Tag(key="team").is_on(run)
    assert Tag(key="team", value="a").is_on(run)
    assert Tag(key="empty", value="").is_on(run)
    assert not Tag(key="team", value="").is_on(run)
    assert not Tag(key="a").is_on(run)
