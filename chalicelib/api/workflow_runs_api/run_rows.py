"""A run as the workflow-runs API shows it: the published page's nineteen fields, those that say nothing left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from chalicelib.api.bodies import AnyJson
from chalicelib.api.workflow_runs_api.surface import Shown, Time
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import step_run_id
from chalicelib.domain.value import Json, Offloaded, size_of
from chalicelib.services import runs

#: A list shows payloads up to this many bytes of JSON. A hundred rows of them, their tags at their longest, and all of
#: it escaped once more on its way out of Lambda, stay below the 6 MB that Lambda answers with.
LONGEST_LISTED: Final = 16 * 1024


class RunOut(Shown):
    """A run."""

    id: str
    workflow_id: str
    project_id: str
    status: RunStatus
    #: `api`, `event`, `schedule`, `workflow` or `retry`.
    triggered_by: str
    workflow_version: int
    #: 0 is unlimited.
    max_parallel_steps: int
    #: What it was started with; left out of lists where it is over 16 KB.
    payload: AnyJson = None
    #: Why it failed, timed out or was canceled.
    error: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    expires_at: Time | None = None
    retry_of_run_id: str | None = None
    parent_workflow_run_id: str | None = None
    parent_step_run_id: str | None = None
    tags: Mapping[str, str]
    workflow_version_id: str
    created_by: str
    created_at: Time

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return what is shown of one run, its payload fetched if it lies elsewhere."""
        return cls._shown(run, runs.payload_of(run))

    @classmethod
    def listed(cls, run: Run) -> Self:
        """Return what is shown of a run in a list, without a payload that is large: nothing is fetched."""
        return cls._shown(run, _short(run))

    @classmethod
    def _shown(cls, run: Run, payload: Json) -> Self:
        return cls(
            id=run.id,
            workflow_id=run.workflow_id,
            project_id=run.project_id,
            status=run.status,
            triggered_by=run.triggered_by,
            workflow_version=run.version,
            max_parallel_steps=run.max_parallel_steps,
            payload=payload,
            error=run.error.message if run.error is not None else None,
            started_at=run.started_at,
            finished_at=run.finished_at,
            expires_at=run.expires_at,
            retry_of_run_id=run.retry_of_run_id,
            parent_workflow_run_id=run.parent_run_id,
            parent_step_run_id=_parent_step_run_id(run),
            tags=run.tags,
            workflow_version_id=run.version_id,
            created_by=run.created_by,
            created_at=run.created_at,
        )


def _short(run: Run) -> Json:
    if isinstance(run.payload, Offloaded) or size_of(run.payload) > LONGEST_LISTED:
        return None
    return run.payload


def _parent_step_run_id(run: Run) -> str | None:
    """Return the id of the step that waits for the run; with the step stands which of its attempts it is."""
    if run.parent_run_id is None or run.parent_step is None:
        return None
    return step_run_id(run.parent_run_id, run.parent_step.rsplit(":", 2)[0])
