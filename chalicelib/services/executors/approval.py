"""``approval {approvers?, timeout?, message?}``: waits until a person approves.

Answers who did, when, and what they said.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.waits import approval_event
from chalicelib.services.executors.call import StepCall
from chalicelib.services.executors.wait_for_event import wait_timeout


def execute(call: StepCall) -> Outcome:
    """Wait for the decision, or until the time-out, which fails the step."""
    approvers, message = call.config.get("approvers"), call.config.get("message")
    return Waiting(
        wait=Wait(
            kind=WaitKind.APPROVAL,
            event_type=approval_event(call.spec.ref),
            until=call.now + wait_timeout(call),
            note=message if isinstance(message, str) else None,
            approvers=tuple(str(who) for who in approvers) if isinstance(approvers, Sequence) else (),
        ),
    )
