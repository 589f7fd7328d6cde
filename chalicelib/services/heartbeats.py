"""Whether agents are heard of: what their tickets say, taken into a run's progress before the engine judges by time.

Heartbeats write the ticket alone, so that a run with agents costs nothing while they work. The step's record holds the
first time by which its agent must be heard of; later ones are never written there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.agent_report import with_tail
from chalicelib.domain.progress import Progress
from chalicelib.domain.step import Event, StepError, StepRecord, Wait, WaitKind
from chalicelib.domain.ticket import Ticket, TicketStatus
from chalicelib.domain.waits import AGENT_LOST
from chalicelib.services import starts, tickets
from chalicelib.store import tickets as store
from chalicelib.store.errors import Busy, Superseded

#: How long an agent may be silent once it has been heard of.
BEAT: Final = timedelta(minutes=2)

#: What is done about the ticket of an agent that is given up; Superseded where it has been heard of meanwhile.
GiveUp = Callable[[Ticket, StepError, datetime], None]


def give_up(ticket: Ticket, error: StepError, now: datetime) -> None:
    """Close the ticket, so that of a report and the giving up one counts: what a driver does."""
    tickets.give_up(ticket, error, now=now)


def look_on(ticket: Ticket, error: StepError, now: datetime) -> None:
    """Leave the ticket as it is: what somebody does who only asks how it stands."""
    del ticket, error, now


def listen(progress: Progress, *, now: datetime, given_up: GiveUp) -> None:
    """Take in until when agents have been heard of whose time is over by what is on record.

    An agent that is to be given up has its end put among the events, in words that tell what it last printed; one whose
    report is there, but came after the run was read, has some time more, until the run is read again. Nothing is asked
    while no agent's time is over.
    """
    for _ in range(tickets.MOST_ROUNDS):
        silent = {record.wait.ticket: record for record in _silent(progress, now) if record.wait is not None}
        if not silent:
            return
        found = {ticket.id: ticket for ticket in store.load_many(filter(None, silent))}
        for ticket_id, record in silent.items():
            _judge(progress, record, found.get(ticket_id or ""), now, given_up)


def _silent(progress: Progress, now: datetime) -> list[StepRecord]:
    """Return the steps whose agents' time is over, and that no event is there for."""
    return [
        record
        for record in progress.at_work.values()
        if record.wait is not None
        and record.wait.kind is WaitKind.AGENT
        and record.wait.look_at is not None
        and record.wait.look_at <= now
        and not progress.events.get(record.wait.event_type or "")
    ]


def _judge(progress: Progress, record: StepRecord, ticket: Ticket | None, now: datetime, given_up: GiveUp) -> None:
    wait = record.wait
    if wait is None:
        return
    if ticket is not None and ticket.result_digest is not None:
        _wait_on(progress, record, replace(wait, beat_by=None, until=now + BEAT))
        return
    heard = max(filter(None, (wait.beat_by, ticket.visible_at if ticket is not None else None)), default=now)
    over = heard if wait.until is None else min(heard, wait.until)
    if ticket is not None and ticket.status is TicketStatus.OPEN and now < over:
        _wait_on(progress, record, replace(wait, beat_by=over))
        return
    error = _error(record.key, ticket, timed_out=over == wait.until)
    if ticket is not None and ticket.status is TicketStatus.OPEN:
        try:
            given_up(ticket, error, now)
        except (Superseded, Busy):
            # A heartbeat or a report has come: the ticket is read again.
            return
    _end(progress, wait, error, min(now, over))


def _wait_on(progress: Progress, record: StepRecord, wait: Wait) -> None:
    after = replace(record, wait=wait)
    progress.records[record.key] = progress.waiting[record.key] = progress.at_work[record.key] = after
    progress.timers.set(record.key)


def _error(key: str, ticket: Ticket | None, *, timed_out: bool) -> StepError:
    """Return why the step fails; said before and then not recorded, it is said again in the same words."""
    if ticket is not None and ticket.error is not None:
        return ticket.error
    tail = ticket.note if ticket is not None else None
    if timed_out:
        return StepError(code="timeout", message=with_tail("agent timed out", tail), step=key)
    if ticket is None or ticket.visible_at is None or ticket.revision == 1:
        return StepError(code=AGENT_LOST, message=with_tail("the agent was never heard of", tail), step=key)
    since = (ticket.visible_at - BEAT).isoformat(timespec="seconds")
    return StepError(code=AGENT_LOST, message=with_tail(f"the agent was not heard of since {since}", tail), step=key)


def _end(progress: Progress, wait: Wait, error: StepError, at: datetime) -> None:
    """Put among the events, in memory alone, that the wait is over: whoever reads the run again finds it so again."""
    event_type = wait.event_type or ""
    event = Event(
        id=starts.event_id(at, wait.ticket or event_type),
        type=event_type,
        payload=None,
        failure=error,
        sent_by="stepwell",
        received_at=at,
    )
    progress.events.setdefault(event_type, deque()).append(event)
