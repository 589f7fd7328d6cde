"""Tickets: written before a step waits, looked at against the run and the step's record, closed with the wait or after.

The step's record has the last word. A crash may leave a ticket open whose step waits no more, or whose run is over;
whoever meets it closes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from chalicelib import logs
from chalicelib.domain.refusal import Conflict
from chalicelib.domain.run import Run
from chalicelib.domain.step import Event, StepError, StepRecord, StepStatus, Wait, WaitKind
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus, ticket_event, ticket_id
from chalicelib.domain.value import Json
from chalicelib.domain.waits import AGENT_LOST, REJECTED
from chalicelib.logs import Action
from chalicelib.services import starts, waking
from chalicelib.services.executors.call import StepCall
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.store import sights
from chalicelib.store import tickets as store
from chalicelib.store.errors import Busy, Superseded

#: How often it is judged anew because the run or the ticket changed meanwhile.
MOST_ROUNDS: Final = 8
_WAITS: Final = frozenset({StepStatus.WAITING, StepStatus.RUNNING})
#: What has become of a wait whose step failed, by the error's code; anything else is not of the wait's own making.
_BY_ERROR: Mapping[str, TicketStatus] = MappingProxyType(
    {
        "timeout": TicketStatus.TIMED_OUT,
        REJECTED: TicketStatus.FAILED,
        "job_failed": TicketStatus.FAILED,
        AGENT_LOST: TicketStatus.TIMED_OUT,
    },
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What somebody outside ends a wait with."""

    status: TicketStatus
    payload: Json = None
    #: Why it did not end well; its step is filled in.
    failure: StepError | None = None
    #: Who says so: a key's name.
    by: str

    @property
    def digest(self) -> str:
        """What tells one report from another: the same for the same JSON."""
        said: Json = self.payload if self.failure is None else [self.failure.code, self.failure.message]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A ticket beside what it is judged by."""

    #: As it is stored.
    ticket: Ticket
    #: What it comes to, whether that is written already or not.
    status: TicketStatus
    run: Run | None
    record: StepRecord | None


def issued(
    call: StepCall,
    kind: TicketKind,
    *,
    expires_at: datetime | None,
    name: str | None = None,
    note: str | None = None,
    payload: Json = None,
    approvers: tuple[str, ...] = (),
    visible_at: datetime | None = None,
) -> str:
    """Write the ticket of a step that is about to wait, and return its id.

    One that is there already is the same wait's: an attempt that was lost, or is made twice, finds it as it is.
    """
    run, claim = call.run, call.claim
    ticket = Ticket(
        id=ticket_id(run.id, claim.key, claim.generation, claim.failures),
        kind=kind,
        project_id=run.project_id,
        workflow_id=run.workflow_id,
        run_id=run.id,
        step=claim.key,
        generation=claim.generation,
        failures=claim.failures,
        name=name,
        payload=Values(project_id=run.project_id, payloads=call.outside.payloads).kept(payload),
        note=note,
        approvers=approvers,
        created_at=call.now,
        expires_at=expires_at,
        visible_at=visible_at,
    )
    store.create(ticket)
    return ticket.id


def looked_at(found: Sequence[Ticket], *, now: datetime) -> list[Sight]:
    """Return tickets beside their runs and steps as they are now; those that are closed need no second look."""
    read = sights.load((ticket.run_id, ticket.step) for ticket in found if ticket.status is TicketStatus.OPEN)
    return [_seen(ticket, *read.get((ticket.run_id, ticket.step), (None, None)), now) for ticket in found]


def of_waits(project_id: str, waits: Iterable[Wait]) -> tuple[Ticket, ...]:
    """Return the tickets that waits have, in any order."""
    having = [(wait.ticket, wait) for wait in waits if wait.ticket is not None]
    by_key = [(wait.note or "", id_) for id_, wait in having if wait.kind is WaitKind.EVENT]
    by_id = [id_ for id_, wait in having if wait.kind is not WaitKind.EVENT]
    return (
        *(store.of_events(project_id, by_key) if by_key else ()),
        *(store.load_many(by_id) if by_id else ()),
    )


def hand_over(sight: Sight, report: Report, *, now: datetime, outside: Outside, run_after: Run | None = None) -> Ticket:
    """End a wait that goes on with a report, and return the ticket as it then is.

    The ticket, the event by which its step hears of it, and the run's wake-up are one transaction, on condition that
    the ticket is as it was judged and the run has not ended: of two reports, or of a report and a cancel, one is
    recorded and the other Superseded, to be judged anew. Whether the step still waits is not compared: an event that
    nobody waits for any more changes nothing. ``run_after`` is the run with what it has used until then.
    """
    ticket, run = sight.ticket, sight.run
    if run is None or sight.status is not TicketStatus.OPEN:
        message = "only a wait that goes on can be ended"
        raise ValueError(message)
    failure = replace(report.failure, step=ticket.step) if report.failure is not None else None
    payload = Values(project_id=run.project_id, payloads=outside.payloads).kept(report.payload)
    ended = replace(
        _closed(ticket, report.status, now=now, by=report.by),
        result=payload,
        result_digest=report.digest,
        error=failure,
    )
    event = Event(
        id=starts.event_id(now, ticket.id),
        type=ticket_event(ticket.step, ticket.generation, ticket.failures),
        payload=payload,
        failure=failure,
        sent_by=report.by,
        received_at=now,
    )
    answers = run.park_token is not None
    check_at = now + waking.CHECK_AFTER
    store.deliver(ended, event, run, answer_token=answers, next_check_at=check_at, after=run_after)
    logs.tell(
        Action.EVENT_DELIVERED,
        project_id=run.project_id,
        workflow_id=run.workflow_id,
        run_id=run.id,
        step=ticket.step,
        kind=ticket.kind.value,
        status=report.status.value,
    )
    waking.wake(run, now=now, outside=outside)
    return ended


def settle(sight: Sight, *, now: datetime) -> None:
    """Write down that a wait is over whose ticket was left open.

    A wait whose time has just passed is left to its driver: it may have been sent something in time.
    """
    over = _over(sight.ticket, sight.run, sight.record)
    if over is not None:
        close(sight.ticket, over, now=now)


def close(ticket: Ticket, status: TicketStatus, *, now: datetime, by: str | None = None) -> None:
    """Close a ticket; closed by somebody else meanwhile, it stays as they closed it.

    The write is conditional on the ticket as it was read, so that it never undoes a report; a heartbeat that came
    between is no more than a reason to read again.
    """
    _change(ticket, lambda one: _closed(one, status, now=now, by=by) if one.status is TicketStatus.OPEN else None)


def stopped(ticket: Ticket, status: TicketStatus, *, now: datetime) -> None:
    """Note that an agent's sandbox is ended, and close its ticket if nobody has; see ``close`` for whoever comes first.

    Noted twice, at whatever times, it is known all the same.
    """

    def change(one: Ticket) -> Ticket | None:
        if one.stopped_at is not None:
            return None
        if one.status is TicketStatus.OPEN:
            return replace(_closed(one, status, now=now, by=None), stopped_at=now)
        return replace(one, stopped_at=now, revision=one.revision + 1)

    _change(ticket, change)


def give_up(ticket: Ticket, error: StepError, *, now: datetime) -> None:
    """Close the ticket of an agent that is waited for no longer; Superseded if it has been heard of meanwhile."""
    store.save(replace(_closed(ticket, TicketStatus.TIMED_OUT, now=now, by=None), error=error))


def withdraw(ticket_id: str, *, now: datetime) -> None:
    """Close the ticket of a wait that has not come about."""
    ticket = store.load(ticket_id)
    if ticket is not None:
        close(ticket, TicketStatus.CANCELED, now=now)


def closing(project_id: str, records: Iterable[StepRecord], *, now: datetime, by: str) -> list[Ticket]:
    """Return the tickets of waits that ``records`` end, closed, to be written together with what ends them."""
    ending = {record.wait.ticket: record for record in records if record.wait is not None and record.wait.ticket}
    found = of_waits(project_id, (record.wait for record in ending.values() if record.wait is not None))
    open_ = [ticket for ticket in found if ticket.status is TicketStatus.OPEN]
    return [_closed(ticket, verdict(ending[ticket.id]), now=now, by=by) for ticket in open_]


def reload(ticket: Ticket) -> Ticket | None:
    """Return a ticket as it is now."""
    if ticket.kind is not TicketKind.EVENT:
        return store.load(ticket.id)
    return next(iter(store.of_events(ticket.project_id, [(ticket.name or "", ticket.id)])), None)


def verdict(record: StepRecord) -> TicketStatus:
    """Return what became of a wait, by the record of its step; completed by force, it has come to nothing itself.

    An approval whose step is skipped is thereby rejected.
    """
    if record.status is StepStatus.COMPLETED:
        return TicketStatus.DONE if record.event_id is not None or _is_approved(record) else TicketStatus.CANCELED
    if record.status is StepStatus.SKIPPED:
        asked = record.wait is not None and record.wait.kind is WaitKind.APPROVAL
        return TicketStatus.FAILED if asked else TicketStatus.CANCELED
    if record.error is not None:
        return _BY_ERROR.get(record.error.code, TicketStatus.CANCELED)
    return TicketStatus.CANCELED


def fetched(ticket: Ticket, *, outside: Outside | None = None) -> Ticket:
    """Return a ticket with what was given and what was reported, fetched where they are large."""
    values = Values(project_id=ticket.project_id, payloads=(outside or current()).payloads)
    return replace(ticket, payload=values.fetched(ticket.payload), result=values.fetched(ticket.result))


def contended() -> Conflict:
    """Return the refusal of what was judged anew too often."""
    return Conflict("it is being changed by others at this moment; try again")


def _seen(ticket: Ticket, run: Run | None, record: StepRecord | None, now: datetime) -> Sight:
    status = ticket.status
    if status is TicketStatus.OPEN:
        late = TicketStatus.TIMED_OUT if _is_late(ticket, record, now) else TicketStatus.OPEN
        status = _over(ticket, run, record) or late
    return Sight(ticket=ticket, status=status, run=run, record=record)


def _over(ticket: Ticket, run: Run | None, record: StepRecord | None) -> TicketStatus | None:
    """Return what became of an open ticket's wait; None while it goes on, or is about to begin."""
    mine = record is not None and record.wait is not None and record.wait.ticket == ticket.id
    if record is not None and mine and record.status not in _WAITS:
        return verdict(record)
    if run is None or run.status.ended:
        return TicketStatus.CANCELED
    if record is None or mine or (record.generation, record.failures) < (ticket.generation, ticket.failures):
        return None
    # Between two attempts the record is as far as the ticket of the next; anything else has overtaken it.
    begins = (record.generation, record.failures) == (ticket.generation, ticket.failures)
    return None if begins and not record.status.ended else TicketStatus.CANCELED


def _is_late(ticket: Ticket, record: StepRecord | None, now: datetime) -> bool:
    """Whether the wait's time has passed; an attempt that was made twice waits for longer than its ticket says."""
    mine = record is not None and record.wait is not None and record.wait.ticket == ticket.id
    until = record.wait.until if record is not None and record.wait is not None and mine else ticket.expires_at
    return until is not None and until < now


def _is_approved(record: StepRecord) -> bool:
    waits_for_a_person = record.wait is not None and record.wait.kind is WaitKind.APPROVAL
    return waits_for_a_person and isinstance(record.output, Mapping) and record.output.get("approved") is True


def _change(ticket: Ticket, change: Callable[[Ticket], Ticket | None]) -> None:
    """Write what a ticket comes to, judged on it as it is now; nothing where it comes to None."""
    present: Ticket | None = ticket
    for _ in range(MOST_ROUNDS):
        after = change(present) if present is not None else None
        if after is None:
            return
        try:
            store.save(after)
        except (Superseded, Busy):
            present = reload(ticket)
        else:
            return
    logs.tell(Action.TICKET_OPEN, run_id=ticket.run_id, step=ticket.step)


def _closed(ticket: Ticket, status: TicketStatus, *, now: datetime, by: str | None) -> Ticket:
    return replace(ticket, status=status, closed_at=now, closed_by=by, visible_at=None, revision=ticket.revision + 1)
