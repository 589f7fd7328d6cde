"""Sub-workflows: a step starts a child run, the child's end tells the parent, the parent's end cancels the child."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import BadRequest, Refusal
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Claim, Event, StepError, StepRecord, StepStatus, WaitKind
from chalicelib.domain.value import Json
from chalicelib.domain.waits import child_event
from chalicelib.services import starts, verbs, waking
from chalicelib.services.outside import Outside
from chalicelib.services.verbs import Ask
from chalicelib.store import runs

log = logging.getLogger("stepwell.children")

#: How many parents a run may have above it.
DEEPEST = 10
_CHILD_IDS = uuid.UUID("5d0f6a4e-53f1-4b3c-9f6a-0f6c1b6f7a11")


def start(run: Run, claim: Claim, *, workflow_id: str, payload: Json, reports: bool, now: datetime) -> str:
    """Start a child run and return its id.

    The id follows from the attempt, so that a doubled attempt starts one child.
    """
    if run.depth >= DEEPEST:
        message = f"sub-workflows are nested more than {DEEPEST} deep"
        raise BadRequest(message)
    child_id = str(uuid.uuid5(_CHILD_IDS, f"{run.id}/{claim.key}/{claim.generation}/{claim.attempt}"))
    step = f"{claim.key}:{claim.generation}:{claim.attempt}"
    starts.start_child(
        run, child_id, workflow_id=workflow_id, payload=payload, parent_step=step if reports else None, now=now
    )
    return child_id


def report(child: Run, *, now: datetime) -> Event | None:
    """Return the event that tells the waiting step of the child's end; None when no step waits for it."""
    if child.parent_run_id is None or child.parent_step is None:
        return None
    key, generation, attempt = child.parent_step.rsplit(":", 2)
    failure = None
    if child.status is not RunStatus.COMPLETED:
        message = child.error.message if child.error else f"the sub-workflow was {child.status}"
        failure = StepError(code="sub_workflow_failed", message=message, step=key)
    return Event(
        id=starts.event_id(now, f"child-{child.id}"),
        type=child_event(key, int(generation), int(attempt)),
        payload=child.output,
        failure=failure,
        sent_by=child.id,
        received_at=now,
    )


def wake_parent(run_id: str, *, now: datetime, outside: Outside) -> None:
    """Have the parent driven."""
    parent = runs.load(run_id)
    if parent is not None and not parent.status.ended:
        waking.wake(parent, now=now, outside=outside)


def cancel(parent: Run, records: Iterable[StepRecord], *, now: datetime, outside: Outside) -> None:
    """Cancel the children that an ended run still waits for.

    Canceling one that has ended, or twice, changes nothing.
    """
    for record in records:
        wait = record.wait
        if record.status is StepStatus.WAITING and wait is not None and wait.kind is WaitKind.CHILD and wait.note:
            ask = Ask(
                actor=Actor(key_id=parent.id, name=f"run {parent.id}"),
                request_id=parent.id,
                reason="the run that waited for it has ended",
            )
            try:
                verbs.terminate(parent.project_id, wait.note, ask=ask, now=now, outside=outside)
            except Refusal as refused:
                log.info(
                    "a child had ended", extra={"action": "child_ended", "run_id": wait.note, "fault": refused.code}
                )
