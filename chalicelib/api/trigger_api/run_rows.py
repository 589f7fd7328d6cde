"""A run as the trigger API shows it, in its six words for where a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chalicelib.api.bodies import AnyJson
from chalicelib.api.trigger_api.surface import PageShown, Shown, shown_time
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.value import Json, Offloaded
from chalicelib.services import run_lists, runs


class RunStatusShown(StrEnum):
    """Where a run stands, in the trigger API's words."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    ERRORED = "errored"
    TERMINATED = "terminated"


_SHOWN: Mapping[RunStatus, RunStatusShown] = MappingProxyType(
    {
        RunStatus.PENDING: RunStatusShown.QUEUED,
        RunStatus.RUNNING: RunStatusShown.RUNNING,
        RunStatus.PAUSED: RunStatusShown.PAUSED,
        RunStatus.COMPLETED: RunStatusShown.COMPLETE,
        RunStatus.FAILED: RunStatusShown.ERRORED,
        RunStatus.TIMED_OUT: RunStatusShown.ERRORED,
        RunStatus.CANCELED: RunStatusShown.TERMINATED,
    },
)

#: The stored statuses among which runs of a shown one are found; one that only waits for people is stored as running.
STORED: Mapping[RunStatusShown, tuple[RunStatus, ...]] = MappingProxyType(
    {
        shown: tuple(status for status in RunStatus if _SHOWN[status] is shown)
        for shown in RunStatusShown
        if shown is not RunStatusShown.PAUSED
    }
    | {RunStatusShown.PAUSED: (RunStatus.RUNNING, RunStatus.PAUSED)},
)

#: A run that waits for nothing else shows as paused.
_FOR_PEOPLE: Final = frozenset({WaitKind.EVENT, WaitKind.APPROVAL})


class RunShown(Shown):
    """A run's row. ``id`` and ``instanceId`` are one."""

    id: str
    workflow_id: str
    version_id: str
    connection_id: str
    instance_id: str
    status: RunStatusShown
    #: What the steps without dependents answered; null until the run is complete.
    output: AnyJson
    #: What the step that failed says; null for a run that has not.
    error: str | None
    created_at: str
    updated_at: str


def status_shown(run: Run) -> RunStatusShown:
    """Return where a run stands; one that only waits for an event or an approval is paused."""
    waits = run.status is RunStatus.RUNNING and run.waiting_for and _FOR_PEOPLE.issuperset(run.waiting_for)
    return RunStatusShown.PAUSED if waits else _SHOWN[run.status]


def row(run: Run) -> RunShown:
    """Return a run's row, whole."""
    return _row(run, runs.output_of(run))


def row_in_list(run: Run) -> RunShown:
    """Return a run's row, without an output so large that it lies elsewhere.

    A hundred of those are more than Lambda may answer with.
    """
    return _row(run, None if isinstance(run.output, Offloaded) else run.output)


def _row(run: Run, output: Json) -> RunShown:
    return RunShown(
        id=run.id,
        workflow_id=run.workflow_id,
        version_id=run.version_id,
        connection_id=run.connection_id,
        instance_id=run.id,
        status=status_shown(run),
        output=output,
        error=None if run.error is None else run.error.message,
        created_at=shown_time(run.created_at),
        updated_at=shown_time(run.updated_at),
    )


def rows(
    project_id: str,
    workflow_id: str,
    *,
    status: RunStatusShown | None,
    cursor: str | None,
    limit: int,
) -> PageShown[RunShown]:
    """Return a page of rows, each in the status asked for.

    Paused and running runs share a list, so some of what is read may not be shown, and a page may be short.
    """
    statuses = None if status is None else STORED[status]
    found = run_lists.sifted(
        lambda cursor, limit: run_lists.page(project_id, workflow_id, statuses=statuses, cursor=cursor, limit=limit),
        lambda run: status in {None, status_shown(run)},
        cursor=cursor,
        limit=limit,
    )
    return PageShown[RunShown](data=[row_in_list(run) for run in found.items], next_cursor=found.cursor)
