"""``sleep {duration}`` and ``sleep_until {timestamp}``: wait for a time, holding nothing."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.duration import parse_duration, parse_timestamp
from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.services.executors.call import FieldError, StepCall

LONGEST_SLEEP = timedelta(days=365)


def execute(call: StepCall) -> Outcome:
    """Wait for as long as the step says."""
    duration = parse_duration(call.config.get("duration"), longest=LONGEST_SLEEP)
    return Waiting(wait=Wait(kind=WaitKind.SLEEP, until=call.now + duration))


def execute_until(call: StepCall) -> Outcome:
    """Wait until the time that the step says; one that has passed ends the wait at once."""
    until = parse_timestamp(call.config.get("timestamp"))
    if until - call.now > LONGEST_SLEEP:
        raise FieldError("timestamp", f"must lie at most {LONGEST_SLEEP.days} days ahead", until.isoformat())
    return Waiting(wait=Wait(kind=WaitKind.SLEEP, until=until))
