"""What agents say from their sandboxes: that they are at work, what they have made, that it came to nothing.

Who speaks is told by a token that is good for one ticket. What is refused to an agent is put on record in its run, and
so are tokens that are not the ticket's; both within bounds, since a sandbox runs what nobody has looked at.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib import logs
from chalicelib.domain.access import Actor
from chalicelib.domain.agent_report import AgentReport, Assignment, with_tail
from chalicelib.domain.persona import Role
from chalicelib.domain.refusal import Conflict, Invalid, KeyMissing, Refusal, TooLarge, TryLater, Unauthenticated
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepError, StepStatus
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.usage import together
from chalicelib.domain.value import size_of
from chalicelib.logs import Action
from chalicelib.services import authentication, sandboxes, tickets
from chalicelib.services.agent_tokens import is_token_of
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import SystemClock
from chalicelib.services.heartbeats import BEAT
from chalicelib.services.outside import Outside, current
from chalicelib.services.tickets import Report, Sight
from chalicelib.services.values import LARGEST_OUTPUT_BYTES
from chalicelib.services.verbs import Ask
from chalicelib.store import runs
from chalicelib.store import tickets as store
from chalicelib.store.errors import Busy, Superseded

#: What a run's record calls its agents.
NAME: Final = "agent"
_STRANGER: Final = "unknown"
#: Of what an agent has last printed, as many bytes are kept.
LONGEST_TAIL: Final = 4096
#: Refusals of one ticket that are put on record: those of strangers, while there is an agent; and those of the agent.
MOST_OF_STRANGERS: Final = 20
MOST_OF_AGENT: Final = 40

#: How often a report is tried that meets others, and by how much the longest pause between grows each time, in seconds.
_MOST_ROUNDS: Final = 24
_PAUSE: Final = 0.01

_OVER: Final = {
    TicketStatus.DONE: "it has reported",
    TicketStatus.FAILED: "it has reported that it failed",
    TicketStatus.TIMED_OUT: "its time is over",
    TicketStatus.CANCELED: "nobody waits for it any more",
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request from a sandbox."""

    ticket_id: str
    authorization: str | None
    #: ``report``, ``heartbeat``, ``fail``.
    command: str
    request_id: str
    now: datetime


@contextmanager
def speaking(call: Call) -> Iterator[Ticket]:
    """Yield the ticket of the agent that calls; what is refused to it meanwhile is put on record.

    Unauthenticated, in the same words, where there is no such ticket and where the token is another's.
    """
    if not call.authorization or not call.authorization.strip():
        raise KeyMissing("Missing token: send it as 'Authorization: Bearer …'")
    good = is_token_of(call.ticket_id, authentication.bearer(call.authorization) or "")
    ticket = store.load(call.ticket_id)
    if ticket is None or ticket.kind is not TicketKind.AGENT or not good:
        refused = Unauthenticated("Invalid token")
        if ticket is None or ticket.kind is not TicketKind.AGENT or ticket.status is not TicketStatus.OPEN:
            logs.tell(Action.CALLBACK_REFUSED, command=call.command, code=refused.code)
        else:
            _record(call, ticket, refused, by=_STRANGER, most=MOST_OF_STRANGERS)
        raise refused
    logs.carry(project_id=ticket.project_id, workflow_id=ticket.workflow_id, run_id=ticket.run_id, step=ticket.step)
    try:
        yield ticket
    except Refusal as refused:
        _record(call, ticket, refused, by=NAME, most=MOST_OF_AGENT)
        raise


def heartbeat(ticket: Ticket, *, tail: str | None, now: datetime) -> None:
    """Note that an agent is at work, and what it last printed; Conflict once nobody waits for it.

    The write is conditional on the ticket as it was judged: a heartbeat never opens again what is closed.
    """
    present: Ticket | None = ticket
    for _ in range(tickets.MOST_ROUNDS):
        sight = _awaited(present, now)
        note = _end_of(tail) if tail is not None else sight.ticket.note
        after = replace(sight.ticket, visible_at=now + BEAT, note=note, revision=sight.ticket.revision + 1)
        try:
            store.save(after)
        except (Superseded, Busy):
            present = tickets.reload(ticket)
        else:
            return
    raise _contended()


def report(ticket: Ticket, said: AgentReport, *, now: datetime, outside: Outside | None = None) -> None:
    """Take what an agent has made: it becomes its step's output. The same report again changes nothing."""
    if ticket.name == Role.CHECKER and said.verdict is None:
        raise Invalid("verdict is required of a checker", field="verdict")
    payload = said.as_json()
    size = size_of(payload)
    if size > LARGEST_OUTPUT_BYTES:
        raise TooLarge(f"the report is {size} bytes of JSON; the limit is {LARGEST_OUTPUT_BYTES}")
    sent = Report(status=TicketStatus.DONE, payload=payload, by=NAME)
    _delivered(ticket, sent, said=said, now=now, outside=outside or current())


def fail(
    ticket: Ticket,
    *,
    code: str,
    message: str,
    tail: str | None,
    now: datetime,
    outside: Outside | None = None,
) -> None:
    """Take that an agent came to nothing; its step fails in its words. The same again changes nothing."""
    error = StepError(code=code, message=with_tail(message, tail if tail is not None else ticket.note))
    sent = Report(status=TicketStatus.FAILED, failure=error, by=NAME)
    _delivered(ticket, sent, said=None, now=now, outside=outside or current())


def _delivered(ticket: Ticket, sent: Report, *, said: AgentReport | None, now: datetime, outside: Outside) -> None:
    """Deliver what an agent says, judged anew where the run or the ticket changed in between."""
    present: Ticket | None = ticket
    for turn in range(_MOST_ROUNDS):
        if turn:
            # Agents of one run that report at once all write to the run: each waits a little longer, and by chance.
            SystemClock().sleep(random.uniform(0, turn * _PAUSE))  # noqa: S311 - it spreads tries, it keeps no secret
        if present is not None and (present.status, present.result_digest) == (sent.status, sent.digest):
            _relate(ticket, said, now)
            return
        sight = _awaited(present, now)
        try:
            tickets.hand_over(sight, sent, now=now, outside=outside, run_after=_run_after(sight, said, now))
        except (Superseded, Busy):
            present = tickets.reload(ticket)
        else:
            # After the delivery, since what is refused tells of nothing. An agent that has had no answer reports again,
            # and is heard again; told twice, it counts once.
            _relate(ticket, said, now)
            return
    raise _contended()


def _contended() -> TryLater:
    """Return the refusal of what was judged anew too often; no Conflict, which tells an agent that it is over."""
    return TryLater("the run is being changed by others at this moment; try again")


def _run_after(sight: Sight, said: AgentReport | None, now: datetime) -> Run | None:
    """Return the run with what the agent and its sandbox have used, and where it has worked."""
    run, wait = sight.run, sight.record.wait if sight.record is not None else None
    if run is None:
        return None
    run = replace(run, units=run.units + sandboxes.used(sight.ticket, wait.note if wait is not None else None, now))
    if said is None:
        return run
    assigned = Assignment.of(sight.ticket.payload)
    return replace(
        run,
        usage=together((*run.usage, said.usage(assigned.cli_id, assigned.model or ""))),
        branch_name=said.branch_name or run.branch_name,
        pr_url=said.pr_url or run.pr_url,
    )


def _relate(ticket: Ticket, said: AgentReport | None, now: datetime) -> None:
    if said is None:
        return
    persona_id = Assignment.of(ticket.payload).persona_id
    if not (said.issues or said.learnings or persona_id):
        return
    from chalicelib.services import related  # noqa: PLC0415 - loaded with the first report that tells of any

    related.record(
        ticket.project_id,
        ticket.workflow_id,
        ticket.run_id,
        issues=said.issues,
        learnings=said.learnings,
        persona_id=persona_id,
        now=now,
    )


def _awaited(ticket: Ticket | None, now: datetime) -> Sight:
    """Return the ticket of an agent that is waited for, beside its run and step; Conflict if nobody waits for it.

    One that is found to be over although its ticket is open is closed on the way: no step's record may tell of it, if
    its attempt was lost and is not made again.
    """
    sight = tickets.looked_at([ticket], now=now)[0] if ticket is not None else None
    if sight is not None:
        tickets.settle(sight, now=now)
    status = sight.status if sight is not None else TicketStatus.CANCELED
    if sight is None or status is not TicketStatus.OPEN:
        raise Conflict(f"the agent's work is over: {_OVER[status]}")
    return sight


def _record(call: Call, ticket: Ticket, refused: Refusal, *, by: str, most: int) -> None:
    """Put a refusal on record; should that fail, or be one too many, the answer stays the refusal."""
    logs.tell(Action.CALLBACK_REFUSED, run_id=ticket.run_id, step=ticket.step, command=call.command, code=refused.code)
    ask = Ask(actor=Actor(key_id=ticket.id, name=by), request_id=call.request_id)
    with contextlib.suppress(Superseded, *PASSING):
        status = str(_status(ticket))
        history = ask.record(
            ticket.run_id,
            call.command,
            before=status,
            after=status,
            at=call.now,
            step=ticket.step,
            refusal=refused.message,
        )
        store.note_refusal(ticket, history, most=most)


def _status(ticket: Ticket) -> StepStatus:
    """Return where the agent's step stands; at its work, if that is not on record yet."""
    place = (ticket.run_id, ticket.step)
    record = runs.load_steps([place]).get(place)
    return record.status if record is not None else StepStatus.RUNNING


def _end_of(text: str) -> str:
    """Return as much of a text's end as is kept."""
    return text.encode("utf-8", "replace")[-LONGEST_TAIL:].decode("utf-8", "ignore")
