"""``sleep {duration}`` and ``sleep_until {timestamp}``: wait for a time, holding nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chalicelib.domain.duration import parse_duration
from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.value import Json
from chalicelib.services.executors.call import FieldError, StepCall

LONGEST_SLEEP = timedelta(days=365)


def execute(call: StepCall) -> Outcome:
    """Wait for as long as the step says."""
    duration = parse_duration(call.config.get("duration"), longest=LONGEST_SLEEP)
    return Waiting(wait=Wait(kind=WaitKind.SLEEP, until=call.now + duration))


def execute_until(call: StepCall) -> Outcome:
    """Wait until the time that the step says; one that has passed ends the wait at once."""
    until = _time(call.config.get("timestamp"))
    if until - call.now > LONGEST_SLEEP:
        raise FieldError("timestamp", f"must lie at most {LONGEST_SLEEP.days} days ahead", until.isoformat())
    return Waiting(wait=Wait(kind=WaitKind.SLEEP, until=until))


def _time(value: Json) -> datetime:
    """Return an ISO 8601 time or a number of epoch seconds as a time; without an offset it is UTC."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise FieldError("timestamp", "must be an ISO 8601 time or a number of epoch seconds", value)
