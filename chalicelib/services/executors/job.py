"""``job {jobId, payload?}``: hands work to a worker outside; answers what the worker reports."""

from __future__ import annotations

from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.ticket import TicketKind, ticket_event
from chalicelib.services import tickets
from chalicelib.services.executors.call import FieldError, StepCall

LONGEST_JOB_ID = 255


def execute(call: StepCall) -> Outcome:
    """Put the job where workers look, and wait for its end, or until the step's own time-out, which fails it."""
    job_id = call.text("jobId")
    if len(job_id) > LONGEST_JOB_ID or not job_id.isprintable():
        raise FieldError("jobId", f"must be 1 to {LONGEST_JOB_ID} printable characters", job_id)
    until = call.now + call.spec.timeout if call.spec.timeout is not None else None
    ticket = tickets.issued(
        call,
        TicketKind.JOB,
        name=job_id,
        payload=call.config.get("payload"),
        expires_at=until,
        visible_at=call.now,
    )
    claim = call.claim
    return Waiting(
        wait=Wait(
            kind=WaitKind.JOB,
            event_type=ticket_event(claim.key, claim.generation, claim.failures),
            until=until,
            ticket=ticket,
        ),
    )
