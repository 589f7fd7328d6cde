"""``wait_for_event {eventType, timeout?}``: waits until an event of the type is sent to the run.

Answers its payload.
"""

from __future__ import annotations

import re
from datetime import timedelta

from chalicelib.domain.duration import parse_duration
from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.services.executors.call import FieldError, StepCall

LONGEST_WAIT = timedelta(days=365)
DEFAULT_WAIT = timedelta(hours=24)
EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


def execute(call: StepCall) -> Outcome:
    """Wait for the event, or until the time-out, which fails the step."""
    event_type = call.text("eventType")
    if not EVENT_TYPE.fullmatch(event_type):
        raise FieldError("eventType", "must be 1 to 100 of A-Z a-z 0-9 _ -", event_type)
    return Waiting(wait=Wait(kind=WaitKind.EVENT, event_type=event_type, until=call.now + wait_timeout(call)))


def wait_timeout(call: StepCall) -> timedelta:
    """Return how long the step waits: its ``timeout``, else a day."""
    given = call.config.get("timeout")
    return DEFAULT_WAIT if given is None else parse_duration(given, longest=LONGEST_WAIT)
