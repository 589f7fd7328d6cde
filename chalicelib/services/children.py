"""Sub-workflows: a step starts a child run, the child's end tells the parent, the parent's end cancels the child."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import BadRequest, Refusal
from chalicelib.domain.run import Run
from chalicelib.domain.step import Claim, StepRecord, WaitKind
from chalicelib.domain.value import Json
from chalicelib.services import starts, verbs
from chalicelib.services.outside import Outside
from chalicelib.services.verbs import Ask

log = logging.getLogger("stepwell.children")

#: How many parents a run may have above it.
DEEPEST = 10
_CHILD_IDS = uuid.UUID("5d0f6a4e-53f1-4b3c-9f6a-0f6c1b6f7a11")


def start(
    run: Run,
    claim: Claim,
    *,
    workflow_id: str,
    payload: Json,
    reports: bool,
    now: datetime,
    outside: Outside,
) -> str:
    """Start a child run and return its id.

    The id follows from how often the step has failed: an attempt that was lost, or made twice, starts no second child.
    """
    if run.depth >= DEEPEST:
        message = f"sub-workflows are nested more than {DEEPEST} deep"
        raise BadRequest(message)
    child_id = str(uuid.uuid5(_CHILD_IDS, f"{run.id}/{claim.key}/{claim.generation}/{claim.failures}"))
    step = f"{claim.key}:{claim.generation}:{claim.failures}" if reports else None
    starts.start_child(
        run, child_id, workflow_id=workflow_id, payload=payload, parent_step=step, now=now, outside=outside
    )
    return child_id


def cancel(parent: Run, records: Iterable[StepRecord], *, now: datetime, outside: Outside) -> None:
    """Cancel the children that steps waited for and whose end they have not taken: nobody will.

    Canceling one that has ended, or twice, changes nothing.
    """
    for record in records:
        wait = record.wait
        if wait is not None and wait.kind is WaitKind.CHILD and wait.note and record.event_id is None:
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
