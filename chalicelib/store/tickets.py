"""Tickets: written, and found by id or event key. Each write says why its race is harmless.

Callers find here too a project's lists of them, which stand in a module of their own (``ticket_lists``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.run import Run
from chalicelib.domain.step import Event
from chalicelib.domain.ticket import Ticket
from chalicelib.store import history as histories
from chalicelib.store import keys, transactions
from chalicelib.store.errors import Exists
from chalicelib.store.run_changes import delivery
from chalicelib.store.table import find, none_if_impossible, query
from chalicelib.store.ticket_items import TicketItem, found_at, place_of
from chalicelib.store.ticket_lists import claimed_jobs, page, visible_jobs
from chalicelib.store.transactions import Write

__all__ = [
    "change_write",
    "claimed_jobs",
    "create",
    "deliver",
    "load",
    "load_many",
    "note_refusal",
    "of_event_key",
    "of_events",
    "page",
    "save",
    "visible_jobs",
]


def create(ticket: Ticket) -> None:
    """Keep a new ticket. One that is there already stays as it is: the same id is the same wait, asked for again."""
    try:
        transactions.make(transactions.create(TicketItem.of(ticket), part="ticket"))
    except Exists:
        return


def save(ticket: Ticket) -> None:
    """Write a changed ticket, its ``revision`` one higher; Superseded if the stored one is not the one before.

    Of two that change it at once, one does; who wrote the very same cannot tell, and need not.
    """
    text = TicketItem.of(ticket).serialize()
    transactions.make_once(change_write(ticket), TicketItem, landed=lambda stored: stored.serialize() == text)


def deliver(
    ticket: Ticket,
    event: Event,
    run: Run,
    *,
    answer_token: bool,
    next_check_at: datetime | None,
    after: Run | None = None,
) -> None:
    """Write a ticket that is closed now, and with it the event that tells its run, which is woken.

    Superseded, by its ``part``: the ``ticket`` is not of the revision before, so that of two that close it one does; or
    the ``run`` has ended, or its token is not as in ``run``, so that the token is answered once; or what it has used is
    not as in ``run`` where there is an ``after``, which holds that together with what the event tells of.
    """
    transactions.commit(
        change_write(ticket),
        *delivery(run, event, answer_token=answer_token, next_check_at=next_check_at, after=after),
    )


def note_refusal(ticket: Ticket, history: HistoryRecord, *, most: int) -> None:
    """Keep in a run's history that a callback to its agent's ticket was refused; Superseded beyond the ``most``.

    The count is added to, so that no two at once take one place. A heartbeat that was judged before it writes an older
    count back, and then a few more are kept than were to be.
    """
    below = TicketItem.refused.does_not_exist() | (TicketItem.refused < most)
    there = TicketItem.pk.exists()
    transactions.commit(
        transactions.update(TicketItem, place_of(ticket), [TicketItem.refused.add(1)], there & below, part="ticket"),
        histories.creation(history),
    )


def change_write(ticket: Ticket) -> Write:
    """Return the write of a changed ticket over the revision before it."""
    as_judged = TicketItem.revision == ticket.revision - 1
    return transactions.put(TicketItem.of(ticket), as_judged, part="ticket")


@none_if_impossible
def load(ticket_id: str) -> Ticket | None:
    """Return an approval's, a job's or an agent's ticket as it stands now."""
    item = find(TicketItem, keys.ticket(ticket_id))
    return item.ticket() if item else None


def of_event_key(project_id: str, event_key: str) -> tuple[Ticket, ...]:
    """Return the tickets of all waits on an event key, the newest first: those of the last days, and all open ones."""
    found = query(keys.event_waits(project_id, event_key), TicketItem.sk.startswith(keys.WAITS))
    tickets = (TicketItem.from_raw_data(raw).ticket() for raw in found)
    return tuple(sorted(tickets, key=lambda ticket: (ticket.created_at, ticket.id), reverse=True))


def of_events(project_id: str, waits: Iterable[tuple[str, str]]) -> tuple[Ticket, ...]:
    """Return the tickets of event waits, by event key and ticket id, in the order given, as they stand now.

    Those that are not there are left out.
    """
    return found_at(keys.event_wait(project_id, event_key, ticket_id) for event_key, ticket_id in waits)


def load_many(ticket_ids: Iterable[str]) -> tuple[Ticket, ...]:
    """Return tickets that are no event waits, in the order given, as they stand now; absent ones are left out."""
    return found_at(keys.ticket(ticket_id) for ticket_id in ticket_ids)
