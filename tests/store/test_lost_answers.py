"""A write that lands while its answer is lost is made twice by botocore, and is known as its own the second time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.ticket import TicketKind, TicketStatus
from chalicelib.store import idempotency, runs, tickets, workflows
from chalicelib.store.errors import Superseded, Unavailable
from tests.store.builders import (
    CHECK_AT,
    NOW,
    a_claim,
    a_driven_run,
    a_history_record,
    a_record,
    a_run,
    a_stored_run,
    a_ticket,
    a_workflow,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def an_idempotency_record(key: str) -> IdempotencyRecord:
    return IdempotencyRecord(
        scope="trigger",
        key=key,
        project_id="proj_1",
        request_digest="d",
        created_at=NOW,
        expires_at=later(9),
    )


def test_a_run_is_created_though_the_answer_is_lost(calls: Calls) -> None:
    run = a_run()
    calls.lose = 1
    runs.put(run)
    assert calls.operations == ["PutItem", "PutItem"]
    assert runs.load(run.id) == run


def test_a_lease_is_taken_though_the_answer_is_lost(calls: Calls) -> None:
    run = a_stored_run()
    calls.lose = 1
    driven = taken(run, "request-1", a_claim())
    assert runs.load(run.id) == driven
    assert driven.lease_seq == 1


def test_a_workflow_is_gone_for_good_though_the_answer_is_lost(calls: Calls) -> None:
    workflow = a_workflow(deleted_at=NOW)
    workflows.put(workflow)
    calls.lose = 1
    workflows.purge(replace(workflow, purged_at=later(1), revision=workflow.revision + 1))
    assert workflows.load(workflow.id) is None


def test_a_step_is_written_though_the_answer_is_lost(calls: Calls) -> None:
    run = a_stored_run()
    first = a_record()
    for record in (first, replace(first, revision=2)):
        calls.lose = 1
        runs.put_step(run.id, record, write_id=f"write-{record.revision}")
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records["charge"].revision == 2


def test_anothers_step_is_not_taken_for_ones_own(calls: Calls) -> None:
    run = a_stored_run()
    runs.put_step(run.id, a_record(), write_id="theirs")
    with pytest.raises(Superseded):
        runs.put_step(run.id, a_record(), write_id="mine")


def test_claims_are_replaced_though_the_answer_is_lost(calls: Calls) -> None:
    driven = a_driven_run()
    calls.lose = 1
    after = runs.update_claims(driven, {"ship": a_claim("ship")}, later(2))
    assert runs.load(driven.id) == after


def test_a_lease_is_given_back_though_the_answer_is_lost(calls: Calls) -> None:
    driven = a_driven_run()
    calls.lose = 1
    free = runs.release(driven, next_check_at=CHECK_AT, waiting_for=[WaitKind.EVENT], claims={}, now=later(4))
    assert runs.load(driven.id) == free


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED])
def test_a_run_ends_though_the_answer_is_lost(calls: Calls, status: RunStatus, on_local: None) -> None:
    driven = a_driven_run()
    over = ended(driven, status)
    calls.lose = 1
    runs.finish(over, owner="request-1", parent_event=None)
    assert runs.load(driven.id) == over


def test_an_end_that_is_another_drivers_is_not_taken_for_ones_own(calls: Calls) -> None:
    driven = a_driven_run()
    runs.finish(ended(driven, RunStatus.FAILED), owner="request-1", parent_event=None)
    with pytest.raises(Superseded):
        runs.finish(ended(driven, RunStatus.COMPLETED), owner="request-1", parent_event=None)


def test_a_run_is_held_though_the_answer_is_lost(calls: Calls) -> None:
    driven = a_driven_run()
    calls.lose = 1
    held = runs.hold(driven, later(2))
    assert calls.operations[-2:] == ["UpdateItem", "UpdateItem"]
    assert runs.load(driven.id) == held


def test_anothers_hold_is_not_taken_for_ones_own(calls: Calls) -> None:
    driven = a_driven_run()
    runs.hold(driven, later(3))
    with pytest.raises(Superseded):
        runs.hold(driven, later(2))


def test_a_run_of_other_steps_begins_though_an_answer_is_lost(calls: Calls) -> None:
    run, record = a_run(), a_record()
    calls.lose = 1
    runs.put_records(run.id, [record])
    assert runs.load_steps([(run.id, "charge")]) == {(run.id, "charge"): record}


@pytest.mark.parametrize("kind", list(TicketKind))
def test_a_ticket_is_made_and_changed_though_the_answers_are_lost(calls: Calls, kind: TicketKind) -> None:
    ticket = a_ticket(kind)
    changed = replace(ticket, holder="a worker", payload={"lines": (1, 2.0)}, revision=2)
    calls.lose = 1
    tickets.create(ticket)
    calls.lose = 1
    tickets.save(changed)
    assert calls.operations == ["PutItem"] * 4
    (found,) = tickets.load_many([ticket.id]) or tickets.of_events("proj_1", [(str(ticket.name), ticket.id)])
    assert found.holder == "a worker"
    with pytest.raises(Superseded):
        tickets.save(replace(changed, holder="another"))


@pytest.mark.parametrize("due_at", [None, CHECK_AT + timedelta(hours=1)])
def test_a_schedule_is_set_though_the_answer_is_lost(calls: Calls, due_at: datetime | None) -> None:
    workflow = a_workflow(due_at=CHECK_AT)
    workflows.put(workflow)
    calls.lose = 1
    workflows.set_due(workflow, due_at)
    assert workflows.load(workflow.id) == replace(workflow, due_at=due_at)


def test_an_idempotency_key_is_freed_though_the_answer_is_lost(calls: Calls) -> None:
    record = an_idempotency_record("freed")
    idempotency.put(record)
    calls.lose = 1
    idempotency.remove(record)
    assert idempotency.load("proj_1", "trigger", "freed", now=NOW) is None


def test_a_write_whose_every_answer_is_lost_is_unavailable_though_it_landed(calls: Calls) -> None:
    run = a_stored_run()
    calls.lose = 4
    with pytest.raises(Unavailable):
        runs.put_step(run.id, a_record(), write_id="1")
    runs.put_step(run.id, a_record(), write_id="1")
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert set(loaded.records) == {"charge"}


def test_a_transaction_is_sent_twice_under_one_token(calls: Calls, on_local: None) -> None:
    run = a_stored_run()
    parent = a_stored_run()
    child = a_driven_run(parent_run_id=parent.id, parent_step="sub")
    started, counted = a_run(), a_run(workflow_id="wf-lost", counted=True)
    record = an_idempotency_record(f"key of {started.id}")
    idempotency.put(replace(record, key="taken over"))
    ticket = a_ticket()
    tickets.create(ticket)
    closed = replace(ticket, status=TicketStatus.DONE, closed_at=later(9), revision=2)
    reported, held = a_stored_run(), runs.hold(a_driven_run(), later(2))
    repaired = a_stored_run()
    paused = replace(run, status=RunStatus.PAUSED)
    writes: list[Callable[[], object]] = [
        lambda: runs.put_event(run, an_event(), answer_token=False),
        lambda: runs.change(
            replace(run, wake_seq=1),
            replace(paused, wake_seq=1),
            history=a_history_record(run),
            answer_token=False,
        ),
        lambda: runs.finish(ended(child), owner="request-1", parent_event=an_event("child")),
        lambda: runs.put(started, idempotency=record),
        lambda: runs.put(counted, most_concurrent=1),
        lambda: runs.change(
            counted, ended(counted, RunStatus.CANCELED), history=a_history_record(counted), answer_token=False
        ),
        lambda: tickets.deliver(closed, an_event(), reported, answer_token=False, next_check_at=CHECK_AT),
        lambda: runs.repair(
            repaired,
            repaired,
            history=a_history_record(repaired),
            record=a_record(),
            write_id="1",
            answer_token=False,
        ),
        lambda: runs.note(a_history_record(held), release_hold_of=held),
        lambda: workflows.create(a_workflow(slug="lost")),
        lambda: idempotency.take_over(
            replace(record, key="taken over", created_at=later(60)), before=replace(record, key="taken over")
        ),
    ]
    for write in writes:
        calls.sent.clear()
        calls.lose = 1
        write()
        assert calls.operations == ["TransactWriteItems", "TransactWriteItems"]
        first, second = (body["ClientRequestToken"] for _, body in calls.sent)
        assert first == second
    changed, told = runs.load(run.id), runs.load(parent.id)
    assert changed is not None
    assert told is not None
    assert (changed.status, changed.wake_seq, told.wake_seq) == (RunStatus.PAUSED, 2, 1)
    assert runs.load(child.id) == ended(child)
    assert runs.load(started.id) == started
    assert workflows.active_runs("wf-lost") == 0
    assert tickets.load(ticket.id) == closed
    assert runs.load(held.id) == replace(held, hold_until=None, wake_seq=2)
    assert runs.load(repaired.id) == replace(repaired, wake_seq=1)
