"""How a wait ends: by an event of its type, oldest first, or by its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.domain.step import Event, StepError, StepRecord, StepStatus, Wait, WaitKind
from chalicelib.domain.value import Json, resolved

if TYPE_CHECKING:
    from chalicelib.domain.progress import Progress

_TIMED_OUT: Mapping[WaitKind, str] = {
    WaitKind.EVENT: "event trigger timed out",
    WaitKind.APPROVAL: "approval timed out",
    WaitKind.CHILD: "sub-workflow timed out",
    WaitKind.JOB: "job timed out",
    WaitKind.AGENT: "agent timed out",
}

#: The code of the error of an agent that was not heard of in time.
AGENT_LOST: Final = "agent_lost"

#: The codes of what people have decided.
REJECTED: Final = "rejected"
EVENT_CANCELED: Final = "event_canceled"
_FINAL: Final = frozenset({REJECTED, EVENT_CANCELED})


def approval_event(ref: str) -> str:
    """Return the type of the event that decides an approval step."""
    return f"approval-{ref}"


def child_event(key: str, generation: int, failures: int) -> str:
    """Return the type of the event by which a child run tells its parent that it has ended.

    No user's event can have it.
    """
    return f"child:{key}:{generation}:{failures}"


def matched(progress: Progress) -> list[StepRecord]:
    """Return the waiting steps that an event is there for, those that have waited longest first."""
    if not progress.events:
        return []
    found = [
        record
        for record in progress.waiting.values()
        if record.wait and progress.events.get(record.wait.event_type or "")
    ]
    return sorted(found, key=lambda record: (record.started_at is not None, record.started_at, record.key))


def over(progress: Progress, waiting: StepRecord, *, now: datetime) -> StepRecord | None:
    """Return the record that ends a wait, or None while it goes on.

    An event that came in time counts, even if it is seen late.
    """
    wait = waiting.wait
    if wait is None:
        return None
    for event in progress.events.get(wait.event_type or "", ()):
        if wait.until is not None and event.received_at > wait.until:
            break
        ended = _by_event(progress, waiting, wait, event, now)
        if ended is not None:
            return ended
    if wait.beat_by is not None and wait.beat_by <= now and wait.beat_by != wait.until:
        lost = StepError(code=AGENT_LOST, message="the agent was not heard of in time", step=waiting.key)
        return _ended(waiting, StepStatus.FAILED, now, error=lost)
    if wait.until is None or now < wait.until:
        return None
    if wait.kind is WaitKind.SLEEP:
        return _ended(waiting, StepStatus.COMPLETED, now, output=_slept(waiting, now))
    error = StepError(code="timeout", message=_TIMED_OUT[wait.kind], step=waiting.key)
    return _ended(waiting, StepStatus.FAILED, now, error=error)


def retryable(ended: StepRecord) -> bool:
    """Whether a wait that failed may be begun again by the step's policy: a person's no is final."""
    return ended.error is not None and ended.error.code not in _FINAL


def valid_decision(payload: Json) -> bool:
    """Whether an event's payload decides an approval: ``{approved: true|false, comment?: text}``."""
    return (
        isinstance(payload, Mapping)
        and isinstance(payload.get("approved"), bool)
        and isinstance(payload.get("comment"), str | None)
    )


def _by_event(progress: Progress, waiting: StepRecord, wait: Wait, event: Event, now: datetime) -> StepRecord | None:
    """Return the record that the event makes of the wait; None when it is not one that this wait can take."""
    if event.failure is not None:
        return _ended(waiting, StepStatus.FAILED, now, error=event.failure, event_id=event.id)
    if wait.kind is not WaitKind.APPROVAL:
        return _ended(waiting, StepStatus.COMPLETED, now, output=event.payload, event_id=event.id)
    payload = resolved(event.payload, progress.resolve)
    return _decided(waiting, event, payload, now) if isinstance(payload, Mapping) and valid_decision(payload) else None


def _decided(waiting: StepRecord, event: Event, payload: Mapping[str, Json], now: datetime) -> StepRecord:
    comment = payload.get("comment")
    if payload["approved"]:
        output: Json = {"approved": True, "by": event.sent_by, "at": event.received_at.isoformat(), "comment": comment}
        return _ended(waiting, StepStatus.COMPLETED, now, output=output, event_id=event.id)
    message = f"rejected by {event.sent_by}" + (f": {comment}" if comment else "")
    error = StepError(code=REJECTED, message=message, step=waiting.key)
    return _ended(waiting, StepStatus.FAILED, now, error=error, event_id=event.id)


def _slept(waiting: StepRecord, now: datetime) -> Json:
    began = waiting.started_at or now
    return {"slept_for_secs": round((now - began).total_seconds(), 3), "completed_at": now.isoformat()}


def _ended(waiting: StepRecord, status: StepStatus, now: datetime, **parts: object) -> StepRecord:
    return replace(waiting, status=status, finished_at=now, claims={}, **parts)  # type: ignore[arg-type]  # named parts of the record
