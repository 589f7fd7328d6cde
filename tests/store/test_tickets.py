"""Tickets: there before their waits, changed revision by revision, closed together with the event that tells of it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from chalicelib.domain.run import Run
from chalicelib.domain.step import Event, StepError
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.value import Json, Offloaded
from chalicelib.store import keys, runs, tickets
from chalicelib.store.errors import Exists, Superseded
from tests.conftest import Table
from tests.store.builders import CHECK_AT, NOW, a_driven_run, a_stored_run, a_ticket, an_event, ended, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def a_stored_ticket(kind: TicketKind = TicketKind.APPROVAL, **changes: object) -> Ticket:
    ticket = a_ticket(kind, **changes)
    tickets.create(ticket)
    return ticket


def a_full_ticket(kind: TicketKind) -> Ticket:
    """Return a ticket with something in every field."""
    return a_ticket(
        kind,
        generation=2,
        failures=1,
        name="order/7 # paid",
        payload={"order": 7},
        note="Sure?",
        approvers=("ann", "*"),
        status=TicketStatus.FAILED,
        expires_at=later(60),
        visible_at=later(5),
        holder="a worker",
        holder_key_id="key2",
        worker="w1",
        claimed_at=later(1),
        closed_by="bob",
        closed_at=later(9),
        result=[False, None],
        result_digest="d1",
        error=StepError(code="job_failed", message="no paper", step="ask"),
        stopped_at=later(10),
        refused=3,
        revision=4,
    )


def closed(ticket: Ticket, **changes: object) -> Ticket:
    over = replace(ticket, status=TicketStatus.DONE, closed_by="bob", closed_at=later(9), revision=ticket.revision + 1)
    return replace(over, **changes)  # type: ignore[arg-type]


def delivered(ticket: Ticket, run: Run, event: Event | None = None, *, answer_token: bool = False) -> None:
    tickets.deliver(ticket, event or an_event(), run, answer_token=answer_token, next_check_at=CHECK_AT)


def found(ticket: Ticket) -> Ticket | None:
    if ticket.kind is not TicketKind.EVENT:
        return tickets.load(ticket.id)
    assert ticket.name is not None
    return next(iter(tickets.of_events(ticket.project_id, [(ticket.name, ticket.id)])), None)


def test_the_full_ticket_of_these_tests_is_full() -> None:
    bare, full = a_ticket(), a_full_ticket(TicketKind.APPROVAL)
    same = {field.name for field in fields(Ticket) if getattr(full, field.name) == getattr(bare, field.name)}
    assert same == {"kind", "project_id", "workflow_id", "run_id", "step", "created_at"}


@pytest.mark.parametrize("kind", list(TicketKind))
def test_a_ticket_comes_back_as_it_went_in(kind: TicketKind) -> None:
    for ticket in (a_stored_ticket(kind), a_full_ticket(kind)):
        tickets.create(ticket)
        assert found(ticket) == ticket


@pytest.mark.parametrize("value", [Offloaded(digest="ab12", size=99_000), "", 0, False, [], {}])
def test_any_payload_and_result_comes_back(value: Json | Offloaded) -> None:
    ticket = a_stored_ticket(TicketKind.JOB, payload=value, result=value)
    assert found(ticket) == ticket


@pytest.mark.parametrize("kind", list(TicketKind))
def test_a_ticket_that_is_there_stays_as_it_is(kind: TicketKind) -> None:
    ticket = a_stored_ticket(kind)
    over = closed(ticket)
    tickets.save(over)
    tickets.create(ticket)
    assert found(ticket) == over


def test_a_wait_on_an_event_key_needs_the_key() -> None:
    with pytest.raises(ValueError, match="key"):
        tickets.create(a_ticket(TicketKind.EVENT, name=None))


def test_a_ticket_that_does_not_exist_is_none() -> None:
    for absent in ("none", "", "a#b", "x" * 5000, "\ud800"):
        assert tickets.load(absent) is None
    assert tickets.of_event_key("proj_1", "nobody waits for it \ud800 #") == ()
    assert tickets.of_events("proj_1", []) == ()


@pytest.mark.parametrize("kind", list(TicketKind))
def test_a_ticket_is_changed_revision_by_revision(kind: TicketKind) -> None:
    ticket = a_stored_ticket(kind)
    held = replace(ticket, holder="a worker", visible_at=later(60), revision=2)
    tickets.save(held)
    for late in (closed(ticket), closed(ticket, revision=5)):
        with pytest.raises(Superseded) as raised:
            tickets.save(late)
        assert raised.value.part == "ticket"
    assert found(ticket) == held
    tickets.save(closed(held))
    assert found(ticket) == closed(held)


def test_a_ticket_that_is_not_there_is_not_changed() -> None:
    with pytest.raises(Superseded):
        tickets.save(a_ticket(revision=2))


def test_all_waits_on_an_event_key_are_found_newest_first() -> None:
    made = [a_ticket(TicketKind.EVENT, name="all # waits", created_at=later(place)) for place in (3, 1, 2)]
    elsewhere = a_stored_ticket(TicketKind.EVENT, name="all # waits", project_id="proj_2")
    a_stored_ticket(TicketKind.EVENT, name="all # wait")
    for ticket in made:
        tickets.create(ticket)
    tickets.save(closed(made[0]))
    assert tickets.of_event_key("proj_1", "all # waits") == (closed(made[0]), made[2], made[1])
    assert tickets.of_event_key("proj_2", "all # waits") == (elsewhere,)


def test_the_tickets_of_a_run_are_read_at_once(calls: Calls) -> None:
    made = [a_stored_ticket(TicketKind.EVENT, name=f"key {place}") for place in range(3)]
    jobs = [a_stored_ticket(TicketKind.JOB), a_stored_ticket()]
    calls.sent.clear()
    wanted = [("key 9", "none"), *((str(ticket.name), ticket.id) for ticket in reversed(made))]
    assert tickets.of_events("proj_1", wanted) == tuple(reversed(made))
    assert tickets.load_many([jobs[1].id, "none", jobs[0].id, jobs[1].id]) == (jobs[1], jobs[0])
    assert calls.operations == ["BatchGetItem", "BatchGetItem"]


@pytest.mark.parametrize("kind", list(TicketKind))
def test_a_report_closes_its_ticket_and_tells_the_run_in_one_call(kind: TicketKind, calls: Calls) -> None:
    run = a_stored_run(park_token="token")
    ticket = a_stored_ticket(kind, run_id=run.id)
    calls.sent.clear()
    delivered(closed(ticket), run, answer_token=True)
    assert calls.operations == ["TransactWriteItems"]
    assert found(ticket) == closed(ticket)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.events == (an_event(),)
    assert loaded.run == replace(run, wake_seq=1, park_token=None)


def test_a_ticket_is_closed_once_and_its_run_told_once() -> None:
    run = a_stored_run()
    ticket = a_stored_ticket(TicketKind.JOB, run_id=run.id)
    delivered(closed(ticket), run)
    with pytest.raises(Superseded) as raised:
        delivered(closed(ticket, status=TicketStatus.FAILED), run, an_event("0002"))
    assert raised.value.part == "ticket"
    with pytest.raises(Exists) as taken:
        delivered(closed(closed(ticket)), run)
    assert taken.value.part == "event"
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert (len(loaded.events), loaded.run.wake_seq) == (1, 1)
    assert found(ticket) == closed(ticket)


@pytest.mark.parametrize("fate", ["ended", "gone", "parked anew"])
def test_a_run_that_is_not_as_it_was_seen_is_not_told_and_its_ticket_stays(fate: str) -> None:
    run = a_driven_run()
    ticket = a_stored_ticket(TicketKind.JOB, run_id=run.id)
    if fate == "ended":
        runs.finish(ended(run), owner="request-1", parent_event=None)
    seen = replace(run, id="none") if fate == "gone" else run
    seen = replace(run, park_token="token") if fate == "parked anew" else seen
    with pytest.raises(Superseded) as raised:
        delivered(closed(ticket), seen, answer_token=seen.park_token is not None)
    assert raised.value.part == "run"
    assert found(ticket) == ticket
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.events == ()


def test_a_closed_ticket_goes_by_itself_after_thirty_days_and_an_open_one_never(table: Table) -> None:
    waiting, over = a_stored_ticket(), a_stored_ticket()
    tickets.save(closed(over))
    items = [
        table.client.get_item(TableName=table.name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}})["Item"]
        for key in (keys.ticket(waiting.id), keys.ticket(over.id))
    ]
    assert "ttl" not in items[0]
    assert int(items[1]["ttl"]["N"]) == int((later(9) + timedelta(days=30)).timestamp())


def test_a_ticket_is_in_no_list_of_runs_or_workflows() -> None:
    a_stored_ticket(project_id="proj_tickets", workflow_id="wf_tickets", created_at=NOW)
    assert runs.page_of_workflow("wf_tickets", status=None, cursor=None, limit=5).items == ()
    assert runs.page_of_project("proj_tickets", status=None, cursor=None, limit=5).items == ()
    assert not runs.any_active("wf_tickets")
