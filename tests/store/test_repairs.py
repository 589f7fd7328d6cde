"""Repairs: judged behind a hold, written whole or not at all, and only on what was judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Reset, StepError, StepStatus
from chalicelib.domain.ticket import TicketKind, TicketStatus
from chalicelib.store import history, runs, tickets
from chalicelib.store.errors import StoreError, Superseded
from chalicelib.store.run_items import LARGEST_IN_ROOT
from tests.store.builders import (
    CHECK_AT,
    a_claim,
    a_driven_run,
    a_history_record,
    a_record,
    a_stored_run,
    a_ticket,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

RESET = Reset(generation=2, step="charge", subtree=True, reopened=True)
SKIPPED = a_record(status=StepStatus.SKIPPED, output=None, error=StepError(code="skipped", message="no need"))


def repaired(before: Run, after: Run | None = None, **parts: object) -> Run:
    """Write a repair that changes nothing of the run but what is given."""
    asked: dict[str, object] = {"history": a_history_record(before, command="skip"), "answer_token": False, **parts}
    return runs.repair(before, after or replace(before, updated_at=later(6)), **asked)  # type: ignore[arg-type]


def records_of(run: Run) -> dict[str, object]:
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    return dict(loaded.records)


def test_a_hold_is_kept_through_what_the_driver_writes() -> None:
    driven = a_driven_run()
    held = runs.hold(driven, later(2))
    assert held == replace(driven, hold_until=later(2), wake_seq=1)
    assert runs.load(driven.id) == held
    again = taken(held)
    claims = {"ship": a_claim("ship")}
    claimed = runs.update_claims(again, claims, later(3))
    free = runs.release(claimed, next_check_at=CHECK_AT, waiting_for=[], claims={}, now=later(4))
    assert free.hold_until == later(2)
    assert runs.load(driven.id) == free


@pytest.mark.parametrize("changed", [{"status": RunStatus.PAUSED}, {"wake_seq": 7}])
def test_a_run_that_is_not_as_it_was_seen_is_not_held(changed: dict[str, object]) -> None:
    driven = a_driven_run()
    with pytest.raises(Superseded):
        runs.hold(replace(driven, **changed), later(2))  # type: ignore[arg-type]
    assert runs.load(driven.id) == driven


def test_a_hold_leaves_a_token_alone(calls: Calls) -> None:
    run = a_stored_run(park_token="token")
    runs.hold(replace(run, park_token=None), later(2))
    assert runs.load(run.id) == replace(run, hold_until=later(2), wake_seq=1)
    assert calls.operations[1:-1] == ["UpdateItem"]


def test_a_driver_sees_that_its_run_is_held() -> None:
    driven = a_driven_run()
    runs.hold(driven, later(2))
    look = runs.look(driven.id)
    assert look is not None
    assert look.wake_seq == 1
    with pytest.raises(Superseded):
        runs.update_claims(driven, {}, later(3))


def test_a_repair_is_one_call_with_its_history_its_record_and_its_ticket(calls: Calls) -> None:
    run = a_stored_run(park_token="token", hold_until=later(1))
    ticket = a_ticket(run_id=run.id)
    tickets.create(ticket)
    closed = replace(ticket, status=TicketStatus.CANCELED, closed_at=later(6), revision=2)
    record = a_history_record(run, command="skip", step="charge")
    after = replace(run, hold_until=None, updated_at=later(6), next_check_at=CHECK_AT)
    calls.sent.clear()
    stands = runs.repair(run, after, history=record, record=SKIPPED, write_id="1", closes=[closed], answer_token=True)
    assert calls.operations == ["TransactWriteItems"]
    assert stands == replace(after, wake_seq=1, park_token=None)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert (loaded.run, loaded.records) == (stands, {"charge": SKIPPED})
    assert tickets.load(ticket.id) == closed
    assert history.page(run.id, cursor=None, limit=5).items == (record,)


def test_a_reset_reopens_a_run_and_takes_its_end_away() -> None:
    driven = a_driven_run(payload="x" * (LARGEST_IN_ROOT + 1))
    over = ended(driven, output="x" * (LARGEST_IN_ROOT + 1), error=StepError(code="a", message="b"))
    runs.finish(over, owner="request-1", parent_event=None)
    before = runs.load(driven.id)
    assert before is not None
    after = replace(
        before,
        status=RunStatus.RUNNING,
        resets=(RESET,),
        finished_at=None,
        output=None,
        error=None,
        next_check_at=CHECK_AT,
    )
    stands = repaired(before, after)
    assert stands.generation == 2
    assert runs.load(driven.id) == stands
    assert driven.id in runs.overdue(later(9999), 1000)
    second = repaired(stands, replace(stands, resets=(RESET, replace(RESET, generation=3, reopened=False))))
    assert runs.load(driven.id) == second


@pytest.mark.parametrize(
    "changed",
    [{"status": RunStatus.RUNNING}, {"wake_seq": 7}, {"lease_seq": 7}, {"park_token": "another"}],
)
def test_a_repair_judged_on_another_state_leaves_nothing(changed: dict[str, object]) -> None:
    run = a_stored_run()
    judged = replace(run, **changed)  # type: ignore[arg-type]
    with pytest.raises(Superseded) as raised:
        repaired(judged, record=SKIPPED, write_id="1")
    assert raised.value.part == "run"
    assert runs.load(run.id) == run
    assert records_of(run) == {}
    assert history.page(run.id, cursor=None, limit=5).items == ()


@pytest.mark.parametrize("verb", ["lease", "event", "wake", "end"])
def test_a_repair_is_not_written_past_what_it_has_not_seen(verb: str) -> None:
    run = a_driven_run()
    if verb == "lease":
        taken(run)
    elif verb == "event":
        runs.put_event(run, an_event(), answer_token=False)
    elif verb == "wake":
        runs.wake(run.id)
    else:
        runs.finish(ended(run), owner="request-1", parent_event=None)
    with pytest.raises(Superseded):
        repaired(run, record=SKIPPED, write_id="1")
    assert records_of(run) == {}


def test_a_step_is_repaired_over_the_record_that_was_judged_and_no_other() -> None:
    run = a_stored_run()
    runs.put_step(run.id, a_record(), write_id="1")
    for late in (SKIPPED, replace(SKIPPED, revision=3)):
        with pytest.raises(Superseded) as raised:
            repaired(run, record=late, write_id="2")
        assert raised.value.part == "step"
    assert runs.load(run.id) == run
    repaired(run, record=replace(SKIPPED, revision=2), write_id="2")
    assert records_of(run) == {"charge": replace(SKIPPED, revision=2)}
    with pytest.raises(Superseded):
        runs.put_step(run.id, a_record(revision=2), write_id="1")


def test_a_repair_is_not_written_past_a_report_to_its_ticket() -> None:
    run, ticket = a_stored_run(), a_ticket(TicketKind.JOB)
    tickets.create(ticket)
    tickets.save(replace(ticket, holder="a worker", revision=2))
    with pytest.raises(Superseded) as raised:
        repaired(run, closes=[replace(ticket, status=TicketStatus.CANCELED, revision=2)])
    assert raised.value.part == "ticket"
    assert runs.load(run.id) == run


def test_a_refused_command_is_noted_by_itself(calls: Calls) -> None:
    run = a_stored_run()
    record = a_history_record(run)
    calls.sent.clear()
    runs.note(record)
    runs.note(replace(record, id="second"), release_hold_of=run)
    assert calls.operations == ["PutItem", "PutItem"]
    assert runs.load(run.id) == run
    assert {one.id for one in history.page(run.id, cursor=None, limit=5).items} == {record.id, "second"}


def test_a_refused_command_ends_its_hold(calls: Calls) -> None:
    held = runs.hold(a_driven_run(), later(2))
    calls.sent.clear()
    runs.note(a_history_record(held), release_hold_of=held)
    assert calls.operations == ["TransactWriteItems"]
    assert runs.load(held.id) == replace(held, hold_until=None, wake_seq=2)
    assert len(history.page(held.id, cursor=None, limit=5).items) == 1


@pytest.mark.parametrize("fate", ["held by another", "ended", "gone"])
def test_a_refused_command_ends_no_hold_but_its_own(fate: str) -> None:
    held = runs.hold(a_driven_run(), later(2))
    if fate == "held by another":
        runs.hold(held, later(3))
    elif fate == "ended":
        runs.finish(ended(held), owner="request-1", parent_event=None)
    else:
        held = replace(held, id="none")
    before = runs.load(held.id)
    record = a_history_record(held, run_id=held.id)
    runs.note(record, release_hold_of=held)
    assert runs.load(held.id) == before
    assert record in history.page(held.id, cursor=None, limit=50).items


def test_the_end_of_a_run_is_the_end_of_its_hold() -> None:
    held = runs.hold(a_driven_run(), later(2))
    runs.finish(ended(held), owner="request-1", parent_event=None)
    assert runs.load(held.id) == ended(held, hold_until=None)


def test_a_repair_that_is_refused_says_which_part_was_another() -> None:
    run = a_stored_run()
    with pytest.raises(StoreError) as raised:
        repaired(run, record=replace(SKIPPED, revision=9), closes=[a_ticket(revision=4)])
    assert raised.value.part == "step"
