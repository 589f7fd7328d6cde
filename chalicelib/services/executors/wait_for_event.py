"""``wait_for_event {eventType | eventKey, timeout?}``: waits until an event is sent; answers its payload.

An ``eventType`` is sent to this run; an ``eventKey`` to whoever in the project waits for it.
"""

from __future__ import annotations

import re
from datetime import timedelta

from chalicelib.domain.duration import parse_duration
from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.ticket import EVENT_KEY_RULE, TicketKind, is_event_key, ticket_event
from chalicelib.services import tickets
from chalicelib.services.executors.call import FieldError, StepCall

LONGEST_WAIT = timedelta(days=365)
#: An event key is looked up among those of the whole project, and is not kept there for longer.
LONGEST_WAIT_BY_KEY = timedelta(days=30)
DEFAULT_WAIT = timedelta(hours=24)
EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


def execute(call: StepCall) -> Outcome:
    """Wait for the event, or until the time-out, which fails the step."""
    return Waiting(wait=_by_key(call) if "eventKey" in call.config else _by_type(call))


def wait_timeout(call: StepCall, *, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """Return how long the step waits: its ``timeout``, else a day."""
    given = call.config.get("timeout")
    return DEFAULT_WAIT if given is None else parse_duration(given, longest=longest)


def _by_type(call: StepCall) -> Wait:
    event_type = call.text("eventType")
    if not EVENT_TYPE.fullmatch(event_type):
        raise FieldError("eventType", "must be 1 to 100 of A-Z a-z 0-9 _ -", event_type)
    return Wait(kind=WaitKind.EVENT, event_type=event_type, until=call.now + wait_timeout(call))


def _by_key(call: StepCall) -> Wait:
    event_key, claim = call.text("eventKey"), call.claim
    if not is_event_key(event_key):
        raise FieldError("eventKey", EVENT_KEY_RULE, event_key)
    until = call.now + wait_timeout(call, longest=LONGEST_WAIT_BY_KEY)
    return Wait(
        kind=WaitKind.EVENT,
        event_type=ticket_event(claim.key, claim.generation, claim.failures),
        until=until,
        note=event_key,
        ticket=tickets.issued(call, TicketKind.EVENT, name=event_key, expires_at=until),
    )
