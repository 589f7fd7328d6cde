"""``approval {approvers?, timeout?, message?, forbidSelfApproval?}``: waits until a person approves.

Answers who did, when, and what they said.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.ticket import TicketKind
from chalicelib.domain.waits import approval_event
from chalicelib.services import tickets
from chalicelib.services.executors.call import FieldError, StepCall
from chalicelib.services.executors.wait_for_event import wait_timeout


def execute(call: StepCall) -> Outcome:
    """Put it into the approvers' inbox, and wait for the decision, or until the time-out, which fails the step."""
    approvers, message = _approvers(call), call.config.get("message")
    note = message if isinstance(message, str) else None
    until = call.now + wait_timeout(call)
    return Waiting(
        wait=Wait(
            kind=WaitKind.APPROVAL,
            event_type=approval_event(call.spec.ref),
            until=until,
            note=note,
            approvers=approvers,
            forbid_self_approval=call.config.get("forbidSelfApproval") is True,
            ticket=tickets.issued(call, TicketKind.APPROVAL, note=note, approvers=approvers, expires_at=until),
        ),
    )


def _approvers(call: StepCall) -> tuple[str, ...]:
    """Return who may approve; nobody named means anyone, but not where templates that should name some name none."""
    if not call.spec.config.get("approvers"):
        return ()
    given = call.config.get("approvers")
    named = (given,) if isinstance(given, str) else given
    if not isinstance(named, Sequence) or not named:
        raise FieldError("approvers", "must name at least one key, by id or name", given)
    texts = tuple(who for who in named if isinstance(who, str) and who)
    if len(texts) < len(named):
        raise FieldError("approvers", "must be names or ids of keys, each of them text", given)
    return texts
