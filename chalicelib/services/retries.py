"""A run made again: a new run of the same version and payload, in which what had completed is not made twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from chalicelib.domain.refusal import BadRequest, Refusal
from chalicelib.domain.repair import can_be_made_again, carried
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import inspections, starts, workflows
from chalicelib.services.outside import Outside, current
from chalicelib.services.verbs import Ask
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import deployments, runs

#: What the history calls it, and how the new run says where it came from.
RETRY: Final = "retry"

#: Returns a workflow's settings as they are now, by project, workflow and connection.
SettingsOf: TypeAlias = Callable[[str, str, str], WorkflowSettings]


def settings_of(project_id: str, workflow_id: str, connection_id: str) -> WorkflowSettings:
    """Return the settings that count for a new run: what is deployed says, else the workflow; NotFound if deleted."""
    deployment = deployments.load(workflow_id, connection_id)
    if deployment is not None and deployment.project_id == project_id:
        return deployment.settings
    return workflows.load(project_id, workflow_id).settings


def retry(
    project_id: str,
    run_id: str,
    *,
    new_id: str,
    ask: Ask,
    now: datetime,
    outside: Outside | None = None,
    settings_of: SettingsOf = settings_of,
) -> Run:
    """Start a run that has ended anew, under ``new_id``; asked for again under the same id, that run is the answer.

    The old run stays as it is but for its history, which tells of a refusal too. Nobody waits for the new one, even if
    the old one was a sub-workflow.
    """
    outside = outside or current()
    before = inspections.load(project_id, run_id, outside=outside)
    status = before.run.status.value
    try:
        if not can_be_made_again(before.run):
            raise BadRequest("can only retry a workflow run in terminal state")
        settings = settings_of(project_id, before.run.workflow_id, before.run.connection_id)
        starts.refuse_disabled(settings)
        # Should somebody reopen the old run meanwhile, the two go on side by side: they share nothing but values that
        # never change.
        started = starts.launch(
            _again(before.run, new_id, ask, settings, now),
            settings=settings,
            now=now,
            outside=outside,
            records=tuple(carried(before.run, before.progress)),
            history=ask.record(run_id, RETRY, before=status, after=status, at=now),
        )
    except Refusal as refused:
        # Nothing hangs on this record: a refusal that is made again is recorded again.
        runs.note(ask.record(run_id, RETRY, before=status, after=status, at=now, refusal=refused.message))
        raise
    if not started.replayed:
        ask.done(run_id, RETRY)
    return started.run


def _again(before: Run, new_id: str, ask: Ask, settings: WorkflowSettings, now: datetime) -> Run:
    """Return the new run: of the old one's version and payload, with as much time as the old one had."""
    return Run(
        id=new_id,
        project_id=before.project_id,
        workflow_id=before.workflow_id,
        version_id=before.version_id,
        version=before.version,
        connection_id=before.connection_id,
        status=RunStatus.PENDING,
        triggered_by=RETRY,
        created_by=ask.actor.name,
        created_by_key_id=ask.actor.key_id,
        created_at=now,
        updated_at=now,
        expires_at=now + (before.expires_at - before.created_at) if before.expires_at is not None else None,
        payload=before.payload,
        tags=before.tags,
        max_parallel_steps=before.max_parallel_steps,
        retry_of_run_id=before.id,
        disabled=before.disabled,
        counted=settings.max_concurrent_runs > 0,
        next_check_at=now + CHECK_AFTER,
    )
