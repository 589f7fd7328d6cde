"""Events by key: sent to every step of the project that waits for the key, or called off."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.refusal import Conflict, NotFound, TooLarge
from chalicelib.domain.step import StepError, WaitKind
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus, is_event_key
from chalicelib.domain.value import Json, size_of
from chalicelib.domain.waits import EVENT_CANCELED
from chalicelib.services import tickets
from chalicelib.services.outside import Outside, current
from chalicelib.services.tickets import Report, Sight
from chalicelib.store import keys, paging, runs
from chalicelib.store import tickets as store
from chalicelib.store.errors import Busy, Superseded
from chalicelib.store.paging import Page

#: In bytes of JSON: 100 KB.
LONGEST_PAYLOAD: Final = 102_400
#: Waits that are told side by side.
_WIDE: Final = 8


class EventStatus(StrEnum):
    """What has become of a wait for an event."""

    WAITING = "waiting"
    RECEIVED = "received"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"


SHOWN: Final = {
    TicketStatus.OPEN: EventStatus.WAITING,
    TicketStatus.DONE: EventStatus.RECEIVED,
    TicketStatus.TIMED_OUT: EventStatus.TIMED_OUT,
    TicketStatus.CANCELED: EventStatus.CANCELED,
    #: An event fails its step only where it was called off.
    TicketStatus.FAILED: EventStatus.CANCELED,
}
_BY_STATUS: Final = {
    EventStatus.WAITING: TicketStatus.OPEN,
    EventStatus.RECEIVED: TicketStatus.DONE,
    EventStatus.TIMED_OUT: TicketStatus.TIMED_OUT,
    EventStatus.CANCELED: TicketStatus.CANCELED,
}


def page(
    project_id: str,
    status: EventStatus | None,
    *,
    run_id: str | None,
    cursor: str | None,
    limit: int,
) -> Page[Ticket]:
    """Return a project's or a run's waits for events by key, the newest first; of a run's steps the last of each."""
    if run_id is not None:
        return _page_of_run(project_id, run_id, status, cursor=cursor, limit=limit)
    stored = _BY_STATUS[status] if status is not None else None
    return store.page(project_id, TicketKind.EVENT, stored, cursor=cursor, limit=limit)


def find(project_id: str, key: str) -> Ticket:
    """Return the newest wait for a key, one that goes on if there is any."""
    return max(_of_key(project_id, key), key=lambda one: (one.status is TicketStatus.OPEN, *_age(one)))


def send(
    project_id: str,
    key: str,
    payload: Json,
    *,
    actor_name: str,
    now: datetime,
    outside: Outside | None = None,
) -> Ticket:
    """Send a payload to every wait for the key that goes on, and return the newest that was told.

    Where none goes on it is refused, unless the last wait was ended by the same payload: then this is that request
    again.
    """
    _check_size(payload)
    report = Report(status=TicketStatus.DONE, payload=payload, by=actor_name)
    found = _of_key(project_id, key)
    told = _told(found, report, now=now, outside=outside or current())
    if told:
        return max(told, key=_age)
    last = tickets.reload(max(found, key=_age)) or found[0]
    if (last.status, last.result_digest) == (TicketStatus.DONE, report.digest):
        return last
    raise _not_waiting(last, now)


def emit(
    project_id: str,
    key: str,
    payload: Json,
    *,
    actor_name: str,
    now: datetime,
    outside: Outside | None = None,
) -> int:
    """Send a step's output to every wait for the key that goes on, and return how many there were; none is as good."""
    report = Report(status=TicketStatus.DONE, payload=payload, by=actor_name)
    found = store.of_event_key(project_id, key) if is_event_key(key) else ()
    return len(_told(found, report, now=now, outside=outside or current()))


def cancel(project_id: str, key: str, *, actor_name: str, now: datetime, outside: Outside | None = None) -> None:
    """Call off every wait for the key that goes on: the step fails, and is not begun again."""
    failure = StepError(code=EVENT_CANCELED, message="event canceled")
    report = Report(status=TicketStatus.CANCELED, failure=failure, by=actor_name)
    found = _of_key(project_id, key)
    if not _told(found, report, now=now, outside=outside or current()):
        raise _not_waiting(tickets.reload(max(found, key=_age)) or found[0], now)


def _page_of_run(
    project_id: str,
    run_id: str,
    status: EventStatus | None,
    *,
    cursor: str | None,
    limit: int,
) -> Page[Ticket]:
    before = paging.decoded(cursor) if cursor is not None else None
    loaded = runs.load_collection(run_id)
    if loaded is None or loaded.run.project_id != project_id:
        raise NotFound("workflow run not found")
    waits = [record.wait for record in loaded.records.values() if record.wait and record.wait.kind is WaitKind.EVENT]
    found = {
        keys.position(one.created_at, one.id): one
        for one in tickets.of_waits(project_id, waits)
        if status is None or SHOWN[one.status] is status
    }
    return paging.page_of(
        sorted((place for place in found if before is None or place < before), reverse=True),
        limit,
        lambda wanted: (found[place] for place in wanted),
    )


def _told(found: Sequence[Ticket], report: Report, *, now: datetime, outside: Outside) -> list[Ticket]:
    """End every wait that goes on with the report, each by a transaction of its own; return those that were ended.

    A crash half-way leaves the others waiting: sent again, the report reaches those, and only those.
    """
    waiting = [sight for sight in tickets.looked_at(found, now=now) if sight.ticket.status is TicketStatus.OPEN]

    def tell(sight: Sight) -> Ticket | None:
        return _tell(sight, report, now=now, outside=outside)

    return [one for one in _side_by_side(tell, waiting) if one is not None]


def _tell(sight: Sight, report: Report, *, now: datetime, outside: Outside) -> Ticket | None:
    """End one wait with the report; None where it is over."""
    for _ in range(tickets.MOST_ROUNDS):
        tickets.settle(sight, now=now)
        if sight.status is not TicketStatus.OPEN:
            return None
        try:
            return tickets.hand_over(sight, report, now=now, outside=outside)
        except (Superseded, Busy):
            ticket = tickets.reload(sight.ticket)
            if ticket is None:
                return None
            [sight] = tickets.looked_at([ticket], now=now)
    raise tickets.contended()


def _side_by_side(tell: Callable[[Sight], Ticket | None], waiting: Sequence[Sight]) -> list[Ticket | None]:
    if len(waiting) <= 1:
        return [tell(sight) for sight in waiting]
    # What each does is counted and told with whoever sends the event.
    each_in = [(contextvars.copy_context(), one) for one in waiting]
    with ThreadPoolExecutor(min(_WIDE, len(waiting)), thread_name_prefix="event") as pool:
        return list(pool.map(lambda one: one[0].run(tell, one[1]), each_in))


def _of_key(project_id: str, key: str) -> tuple[Ticket, ...]:
    found = store.of_event_key(project_id, key) if is_event_key(key) else ()
    if not found:
        raise NotFound("event not found")
    return found


def _check_size(payload: Json) -> None:
    size = size_of(payload)
    if size > LONGEST_PAYLOAD:
        raise TooLarge(f"payload is {size} bytes of JSON; the limit is {LONGEST_PAYLOAD}", field="payload")


def _age(ticket: Ticket) -> tuple[datetime, str]:
    return ticket.created_at, ticket.id


def _not_waiting(last: Ticket, now: datetime) -> Conflict:
    [sight] = tickets.looked_at([last], now=now)
    return Conflict(f"event is {SHOWN[sight.status]}; nobody waits for it")
