"""Runs, as the routes use them: start, look, change."""

from __future__ import annotations

from datetime import datetime

from chalicelib.domain.access import Actor
from chalicelib.domain.idempotency import Once
from chalicelib.domain.run import Run
from chalicelib.domain.value import Json
from chalicelib.services import verbs
from chalicelib.services.outside import current
from chalicelib.services.starts import Triggered, trigger
from chalicelib.services.values import Values
from chalicelib.services.verbs import Ask, load

__all__ = ["Triggered", "deliver", "load", "output_of", "pause", "resume", "terminate", "trigger"]


def output_of(run: Run) -> Json:
    """Return what a run answered, fetched if it is large."""
    values = Values(project_id=run.project_id, payloads=current().payloads)
    return values.fetched(run.output)


def deliver(
    project_id: str,
    workflow_id: str,
    *,
    run_id: str,
    event_type: str,
    payload: Json,
    actor: Actor,
    now: datetime,
    once: Once | None = None,
) -> Triggered:
    """Send an event to a run."""
    return verbs.deliver(
        project_id,
        run_id,
        workflow_id=workflow_id,
        event_type=event_type,
        payload=payload,
        actor=actor,
        now=now,
        outside=current(),
        once=once,
    )


def pause(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    actor: Actor,
    request_id: str,
    now: datetime,
    reason: str | None = None,
) -> Run:
    """Pause a run."""
    ask = Ask(actor=actor, request_id=request_id, reason=reason)
    return verbs.pause(project_id, run_id, workflow_id=workflow_id, ask=ask, now=now)


def resume(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    actor: Actor,
    request_id: str,
    now: datetime,
    reason: str | None = None,
) -> Run:
    """Resume a paused run."""
    ask = Ask(actor=actor, request_id=request_id, reason=reason)
    return verbs.resume(project_id, run_id, workflow_id=workflow_id, ask=ask, now=now, outside=current())


def terminate(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    actor: Actor,
    request_id: str,
    now: datetime,
    reason: str | None = None,
) -> Run:
    """End a run."""
    ask = Ask(actor=actor, request_id=request_id, reason=reason)
    return verbs.terminate(project_id, run_id, workflow_id=workflow_id, ask=ask, now=now, outside=current())
