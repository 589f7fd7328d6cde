"""Lists of runs: a project's and a workflow's, newest first, and what the sweep has to look at."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from chalicelib.domain.run import Run, RunStatus
from chalicelib.store import keys, times
from chalicelib.store.paging import Page, decoded, page_of, positions
from chalicelib.store.run_items import RunItem, whole
from chalicelib.store.table import ByProject, ByWorkflow, Sweep, get_many, query

#: A run that moves on while its list is read, status by status, is met again under the later status, not missed.
_LIFECYCLE: Final = (
    RunStatus.PENDING,
    RunStatus.RUNNING,
    RunStatus.PAUSED,
    RunStatus.COMPLETED,
    RunStatus.FAILED,
    RunStatus.TIMED_OUT,
    RunStatus.CANCELED,
)


#: Where a run can be that has not ended.
_ACTIVE: Final = tuple(status for status in _LIFECYCLE if not status.ended)


class _List(NamedTuple):
    """One owner's list of runs."""

    by: str
    owner: str


def page_of_project(project_id: str, *, status: RunStatus | None, cursor: str | None, limit: int) -> Page[Run]:
    """Return a project's runs, newest first; a cursor that is none of ours is Invalid."""
    return _page(_List(ByProject.Meta.index_name, project_id), status, cursor, limit)


def page_of_workflow(workflow_id: str, *, status: RunStatus | None, cursor: str | None, limit: int) -> Page[Run]:
    """Return a workflow's runs, newest first; a cursor that is none of ours is Invalid."""
    return _page(_List(ByWorkflow.Meta.index_name, workflow_id), status, cursor, limit)


def any_active(workflow_id: str) -> bool:
    """Return whether a run of the workflow has not ended, as its list has it.

    A run of this moment may not be there yet, and one that is resumed meanwhile may be missed. Whoever asks does
    nothing that harms such a run.
    """
    return any(
        True
        for status in _ACTIVE
        for _ in positions(ByWorkflow.Meta.index_name, workflow_id, keys.listed_runs(status), None, 1)
    )


def statuses(run_ids: Iterable[str]) -> dict[str, RunStatus]:
    """Return where each run stands now, in one call for a hundred runs; unknown ones are left out."""
    raws = get_many(keys.run(run_id) for run_id in run_ids)
    return {keys.id_of(key.pk): RunStatus(raw["status"]["S"]) for key, raw in raws.items()}


def overdue(now: datetime, limit: int) -> list[str]:
    """Return the ids of at most ``limit`` runs that should have been looked at by now, the longest overdue first."""
    due = RunItem.next_check_at <= times.milliseconds_of(now)
    found = (
        (int(raw["next_check_at"]["N"]), keys.id_of(raw["pk"]["S"]))
        for shard in keys.SWEEP_SHARDS
        for raw in query(shard, due, index=Sweep.Meta.index_name, limit=limit)
    )
    return [run_id for _, run_id in heapq.nsmallest(limit, found)]


def _page(listed: _List, status: RunStatus | None, cursor: str | None, limit: int) -> Page[Run]:
    before = decoded(cursor) if cursor is not None else None
    statuses = (status,) if status is not None else _LIFECYCLE
    found = itertools.chain.from_iterable(
        positions(listed.by, listed.owner, keys.listed_runs(one), before, limit + 1) for one in statuses
    )
    newest = heapq.nlargest(limit + 1, set(found))
    return page_of(newest, limit, lambda wanted: _runs(wanted, status))


def _runs(places: Sequence[str], status: RunStatus | None) -> Iterator[Run]:
    """Yield the runs at the places, as they stand now; one that has left the status meanwhile is left out."""
    wanted = [keys.run(keys.member_of(place)) for place in places]
    raws = get_many(wanted)
    items = [RunItem.from_raw_data(raws[key]) for key in wanted if key in raws]
    yield from whole([item for item in items if status is None or item.status == status])
