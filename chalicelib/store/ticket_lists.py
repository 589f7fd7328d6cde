"""A project's lists of tickets: by kind and status, and a worker's inbox."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.store import keys
from chalicelib.store.paging import Page, Place, decoded, encoded, places, places_after
from chalicelib.store.table import ByProject
from chalicelib.store.ticket_items import found_at

#: A ticket that is closed while its list is read is met again under the later status, not missed.
_LIFECYCLE: Final = (
    TicketStatus.OPEN,
    TicketStatus.DONE,
    TicketStatus.FAILED,
    TicketStatus.TIMED_OUT,
    TicketStatus.CANCELED,
)
_INBOX: Final = keys.listed_tickets(TicketKind.JOB, TicketStatus.OPEN)


def page(
    project_id: str,
    kind: TicketKind,
    status: TicketStatus | None,
    *,
    cursor: str | None,
    limit: int,
) -> Page[Ticket]:
    """Return a project's tickets of a kind, newest first; a cursor that is none of ours is Invalid.

    An open job stands where its ``visible_at`` is. A ticket that has left the status meanwhile is left out.
    """
    before = decoded(cursor) if cursor is not None else None
    statuses = (status,) if status is not None else _LIFECYCLE
    found = itertools.chain.from_iterable(
        places(ByProject.Meta.index_name, project_id, keys.listed_tickets(kind, one), before, limit + 1)
        for one in statuses
    )
    newest = heapq.nlargest(limit + 1, set(found))
    tickets, next_cursor = _page_of(newest, limit)
    return Page(
        items=tuple(ticket for ticket in tickets if status is None or ticket.status is status),
        cursor=next_cursor,
    )


def visible_jobs(project_id: str, now: datetime, *, cursor: str | None, limit: int) -> Page[Ticket]:
    """Return the jobs that a worker may claim now, the longest visible first; a cursor not of ours is Invalid."""
    after = decoded(cursor) if cursor is not None else ""
    found = list(places_after(project_id, _INBOX, after, keys.until(now), limit + 1))
    tickets, next_cursor = _page_of(found, limit)
    return Page(
        items=tuple(ticket for ticket in tickets if _is_open(ticket) and not _is_claimed(ticket, now)),
        cursor=next_cursor,
    )


def claimed_jobs(project_id: str, now: datetime, *, cursor: str | None, limit: int) -> Page[Ticket]:
    """Return the jobs that a worker has claimed and still holds, the soonest free first; see ``visible_jobs``."""
    after = max(decoded(cursor) if cursor is not None else "", keys.until(now))
    found = list(places_after(project_id, _INBOX, after, keys.until(None), limit + 1))
    tickets, next_cursor = _page_of(found, limit)
    return Page(
        items=tuple(ticket for ticket in tickets if _is_open(ticket) and _is_claimed(ticket, now)),
        cursor=next_cursor,
    )


def _page_of(found: Sequence[Place], limit: int) -> tuple[tuple[Ticket, ...], str | None]:
    """Return the tickets at the first ``limit`` places as they stand now, with a cursor if there are more."""
    wanted = found[:limit]
    return found_at(place.key for place in wanted), encoded(wanted[-1].position) if len(found) > limit else None


def _is_open(ticket: Ticket) -> bool:
    return ticket.status is TicketStatus.OPEN


def _is_claimed(ticket: Ticket, now: datetime) -> bool:
    return ticket.visible_at is not None and now < ticket.visible_at
