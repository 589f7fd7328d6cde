"""Sub-workflows: a step starts a child run.

Its end is told by ``reports``, and the parent's end cancels it by ``abandoned``.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from chalicelib.domain.refusal import BadRequest
from chalicelib.domain.run import Run
from chalicelib.domain.step import Claim
from chalicelib.domain.value import Json
from chalicelib.services import starts
from chalicelib.services.outside import Outside

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
    deepest: int | None = None,
    now: datetime,
    outside: Outside,
) -> str:
    """Start a child run and return its id.

    A run that has ``deepest`` parents above it, or ``DEEPEST``, has no children. The id follows from how often the step
    has failed: an attempt that was lost, or made twice, starts no second child.
    """
    most = min(DEEPEST, deepest or DEEPEST)
    if run.depth >= most:
        message = f"sub-workflows are nested more than {most} deep"
        raise BadRequest(message)
    child_id = str(uuid.uuid5(_CHILD_IDS, f"{run.id}/{claim.key}/{claim.generation}/{claim.failures}"))
    step = f"{claim.key}:{claim.generation}:{claim.failures}" if reports else None
    starts.start_child(
        run, child_id, workflow_id=workflow_id, payload=payload, parent_step=step, now=now, outside=outside
    )
    return child_id
