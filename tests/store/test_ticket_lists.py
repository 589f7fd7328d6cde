"""A project's lists of tickets, page by page, and the worker's inbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.domain.refusal import Invalid
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.store import paging, table, tickets
from chalicelib.store.paging import Page
from tests.store.builders import a_ticket, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_projects = itertools.count(1)
LIMITS = [1, 2, 3, 5, 100]


def some_tickets(kind: TicketKind, count: int) -> list[Ticket]:
    """Store tickets of a new project in turn in every status, and return them newest first."""
    project = f"proj-listed-{next(_projects)}"
    made = [
        a_ticket(kind, project_id=project, created_at=later(place), visible_at=None, status=status)
        for place, status in zip(range(count), itertools.cycle(TicketStatus), strict=False)
    ]
    for ticket in made:
        tickets.create(ticket)
    return made[::-1]


def some_jobs() -> list[Ticket]:
    """Store open jobs of a new project, visible one second after another, and return them the first visible first."""
    project = f"proj-inbox-{next(_projects)}"
    made = [
        a_ticket(TicketKind.JOB, project_id=project, created_at=later(-place), visible_at=later(place))
        for place in range(9)
    ]
    for ticket in made:
        tickets.create(ticket)
    return made


def pages(ask: Callable[..., Page[Ticket]], limit: int) -> list[tuple[Ticket, ...]]:
    """Return all pages of a list."""
    found, cursor = [], None
    while True:
        page = ask(cursor=cursor, limit=limit)
        found.append(page.items)
        cursor = page.cursor
        if cursor is None:
            return found


def of(kind: TicketKind, project: str, status: TicketStatus | None = None) -> Callable[..., Page[Ticket]]:
    return lambda **asked: tickets.page(project, kind, status, **asked)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", list(TicketKind))
def test_all_tickets_of_a_kind_are_listed_newest_first_page_by_page(kind: TicketKind, limit: int) -> None:
    stored = some_tickets(kind, 7)
    found = pages(of(kind, stored[0].project_id), limit)
    assert [ticket for page in found for ticket in page] == stored
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    other = next(one for one in TicketKind if one is not kind)
    assert pages(of(other, stored[0].project_id), limit) == [()]


@pytest.mark.parametrize("status", list(TicketStatus))
@pytest.mark.parametrize("kind", list(TicketKind))
def test_the_tickets_of_a_status_are_listed_alone(kind: TicketKind, status: TicketStatus) -> None:
    stored = some_tickets(kind, 12)
    found = pages(of(kind, stored[0].project_id, status), 1)
    assert [ticket for page in found for ticket in page] == [one for one in stored if one.status is status]


def test_a_page_costs_the_same_however_many_tickets_there_are(calls: Calls) -> None:
    costs = []
    for count in (10, 40):
        stored = some_tickets(TicketKind.EVENT, count)
        calls.sent.clear()
        tickets.page(stored[0].project_id, TicketKind.EVENT, TicketStatus.OPEN, cursor=None, limit=1)
        costs.append(calls.operations)
    assert costs[0] == costs[1] == ["Query", "BatchGetItem"]


def test_a_ticket_that_is_closed_while_its_list_is_read_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = a_ticket(project_id="proj-closing")
    tickets.create(ticket)
    asked = []
    query = table.query

    def closing(*arguments: object, **options: object) -> object:
        asked.append(arguments)
        if len(asked) == 2:
            # It has been listed as open; from here on it is done.
            tickets.save(replace(ticket, status=TicketStatus.DONE, revision=2))
        return query(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(paging, "query", closing)
    found = tickets.page("proj-closing", TicketKind.APPROVAL, None, cursor=None, limit=5)
    assert [(one.id, one.status) for one in found.items] == [(ticket.id, TicketStatus.DONE)]


def test_a_ticket_that_has_left_the_status_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = some_jobs()
    project, query = jobs[0].project_id, table.query

    def leaving(*arguments: object, **options: object) -> object:
        found = list(query(*arguments, **options))  # type: ignore[arg-type]
        changed = iter((replace(jobs[1], visible_at=later(60), revision=2), replace(jobs[2], visible_at=later(0))))
        tickets.save(next(changed))
        tickets.save(replace(next(changed), revision=2, status=TicketStatus.DONE))
        return found

    monkeypatch.setattr(paging, "query", leaving)
    found = tickets.visible_jobs(project, later(3), cursor=None, limit=9)
    assert found.items == (jobs[0], jobs[3])


@pytest.mark.parametrize("limit", LIMITS)
def test_the_inbox_has_the_jobs_that_are_visible_the_longest_visible_first(limit: int) -> None:
    jobs = some_jobs()
    found = pages(lambda **asked: tickets.visible_jobs(jobs[0].project_id, later(4), **asked), limit)
    assert [job for page in found for job in page] == jobs[:5]
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_jobs_that_are_claimed_are_listed_apart(limit: int) -> None:
    jobs = some_jobs()
    found = pages(lambda **asked: tickets.claimed_jobs(jobs[0].project_id, later(4), **asked), limit)
    assert [job for page in found for job in page] == jobs[5:]


def test_a_claim_takes_a_job_out_of_the_inbox_and_its_end_puts_it_back() -> None:
    jobs = some_jobs()
    project, now = jobs[0].project_id, later(0)
    tickets.save(replace(jobs[0], visible_at=later(60), holder="a worker", revision=2))
    assert tickets.visible_jobs(project, now, cursor=None, limit=9).items == ()
    assert len(tickets.claimed_jobs(project, now, cursor=None, limit=9).items) == 9
    assert [one.id for one in tickets.visible_jobs(project, later(60), cursor=None, limit=9).items][-1] == jobs[0].id
    tickets.save(replace(jobs[0], status=TicketStatus.DONE, revision=3))
    assert jobs[0].id not in [one.id for one in tickets.visible_jobs(project, later(60), cursor=None, limit=9).items]


def test_a_cursor_of_another_list_is_no_fault() -> None:
    jobs = some_jobs()
    project, now = jobs[0].project_id, later(2)
    far = paging.encoded(f"9999-01-01T00:00:00.000000Z#{jobs[0].id}")
    near = paging.encoded(f"1999-01-01T00:00:00.000000Z#{jobs[0].id}")
    assert tickets.visible_jobs(project, now, cursor=far, limit=9) == Page(items=(), cursor=None)
    assert tickets.claimed_jobs(project, now, cursor=far, limit=9) == Page(items=(), cursor=None)
    assert tickets.claimed_jobs(project, now, cursor=near, limit=9).items == tuple(jobs[3:])
    assert tickets.page(project, TicketKind.JOB, None, cursor=near, limit=9) == Page(items=(), cursor=None)


@pytest.mark.parametrize("cursor", ["", "x", "ü", "====", paging.encoded("now#a"), paging.encoded("#")])
def test_a_cursor_that_is_none_of_ours_is_invalid(cursor: str) -> None:
    lists: list[Callable[..., Page[Ticket]]] = [
        of(TicketKind.JOB, "proj"),
        lambda **asked: tickets.visible_jobs("proj", later(0), **asked),
        lambda **asked: tickets.claimed_jobs("proj", later(0), **asked),
    ]
    for ask in lists:
        with pytest.raises(Invalid) as raised:
            ask(cursor=cursor, limit=5)
        assert raised.value.field == "cursor"
