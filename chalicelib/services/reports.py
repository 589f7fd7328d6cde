"""How a child run's end is told to the parent whose step waits for it.

By an event, in the transaction that ends the child.
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Event, StepError
from chalicelib.domain.waits import child_event
from chalicelib.services import starts, waking
from chalicelib.services.outside import Outside
from chalicelib.store import runs


def report(child: Run, *, now: datetime) -> Event | None:
    """Return the event that tells the waiting step of the child's end; None when no step waits for it."""
    if child.parent_run_id is None or child.parent_step is None:
        return None
    key, generation, failures = child.parent_step.rsplit(":", 2)
    failure = None
    if child.status is not RunStatus.COMPLETED:
        message = child.error.message if child.error else f"the sub-workflow was {child.status}"
        failure = StepError(code="sub_workflow_failed", message=message, step=key)
    return Event(
        id=starts.event_id(now, f"child-{child.id}"),
        type=child_event(key, int(generation), int(failures)),
        payload=child.output,
        failure=failure,
        sent_by=child.id,
        received_at=now,
    )


def wake_parent(child: Run, *, now: datetime, outside: Outside) -> None:
    """Have the parent that waits for a child driven, if there is one."""
    parent = runs.load(child.parent_run_id) if child.parent_run_id is not None else None
    if parent is not None and not parent.status.ended:
        waking.wake(parent, now=now, outside=outside)
