"""What a run's driver writes, and what keeps others from writing it too."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepError, WaitKind
from chalicelib.store import keys, runs
from chalicelib.store.errors import Superseded
from chalicelib.store.run_items import LARGEST_IN_ROOT
from chalicelib.store.step_items import StepItem
from tests.conftest import Table
from tests.store.builders import (
    CHECK_AT,
    a_claim,
    a_driven_run,
    a_history_record,
    a_lease,
    a_record,
    a_run,
    a_stored_run,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

LARGE = {"text": "x" * (LARGEST_IN_ROOT + 1)}


def paused(run: Run) -> Run:
    """Return the run after somebody has paused it, whoever drives it."""
    after = replace(run, status=RunStatus.PAUSED)
    return runs.change(run, after, history=a_history_record(run), answer_token=False)


def released(run: Run) -> Run:
    return runs.release(run, next_check_at=CHECK_AT, waiting_for=[WaitKind.EVENT], claims={}, now=later(4))


def test_a_lease_makes_the_run_its_owners() -> None:
    run = a_stored_run(park_token="token", waiting_for=(WaitKind.EVENT,))
    claim = a_claim()
    driven = taken(run, "request-1", claim)
    assert driven == replace(
        run,
        status=RunStatus.RUNNING,
        started_at=later(1),
        updated_at=later(1),
        lease=a_lease(),
        lease_seq=1,
        claims={"charge": claim},
        park_token=None,
        waiting_for=(),
    )
    assert runs.load(run.id) == driven


def test_of_two_drivers_that_loaded_one_run_one_drives() -> None:
    run = a_stored_run()
    driven = taken(run, "request-1", a_claim())
    with pytest.raises(Superseded):
        taken(run, "request-2")
    assert runs.load(run.id) == driven


def test_the_same_invocation_takes_its_lease_again() -> None:
    driven = a_driven_run()
    again = taken(driven)
    assert again.lease_seq == 2
    assert runs.load(driven.id) == again


def test_a_token_stored_since_the_run_was_loaded_is_removed_with_the_lease(table: Table) -> None:
    run = a_stored_run()
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": keys.run_partition(run.id)}, "sk": {"S": "#RUN"}},
        UpdateExpression="SET park_token = :token",
        ConditionExpression="attribute_exists(next_check_at) AND wake_seq = :seq",
        ExpressionAttributeValues={":token": {"S": "token"}, ":seq": {"N": "0"}},
    )
    taken(run)
    found = runs.load(run.id)
    assert found is not None
    assert found.park_token is None


@pytest.mark.parametrize("verb", ["pause", "wake", "event", "end"])
def test_a_lease_is_not_taken_past_a_verb_that_its_driver_has_not_seen(verb: str) -> None:
    run = a_driven_run()
    if verb == "pause":
        paused(run)
    elif verb == "wake":
        runs.wake(run.id)
    elif verb == "event":
        runs.put_event(run, an_event(), answer_token=False)
    else:
        runs.finish(ended(run), owner="request-1", parent_event=None)
    before = runs.load(run.id)
    with pytest.raises(Superseded):
        taken(run)
    assert runs.load(run.id) == before


def test_a_lease_writes_to_an_index_only_what_changes(calls: Calls) -> None:
    run = a_stored_run(status=RunStatus.RUNNING)
    lease = a_lease()
    driven = runs.take_lease(
        run,
        lease=lease,
        claims={},
        status=RunStatus.RUNNING,
        started_at=None,
        now=later(1),
    )
    body = calls.sent[-1][1]
    written = body["UpdateExpression"]
    names = {name for short, name in body["ExpressionAttributeNames"].items() if f"{short} =" in written}
    assert "lease_seq" in names
    assert not names & {"list_key", "next_check_at", "sweep_shard"}
    later_check = CHECK_AT + timedelta(minutes=9)
    again = runs.take_lease(
        driven,
        lease=lease,
        claims={},
        status=RunStatus.RUNNING,
        started_at=None,
        now=later(1),
        next_check_at=later_check,
    )
    assert again.next_check_at == later_check
    assert runs.load(run.id) == again


def test_claims_are_replaced_by_the_driver_alone() -> None:
    driven = a_driven_run()
    claims = {"ship": a_claim("ship")}
    after = runs.update_claims(driven, claims, later(2))
    assert after == replace(driven, claims=claims, updated_at=later(2))
    assert runs.load(driven.id) == after
    stranger = replace(driven, lease=a_lease("request-2"))
    with pytest.raises(Superseded):
        runs.update_claims(stranger, {}, later(3))
    with pytest.raises(ValueError, match="driver"):
        runs.update_claims(replace(driven, lease=None), {}, later(3))


def test_claims_are_not_replaced_past_a_verb() -> None:
    driven = a_driven_run()
    runs.wake(driven.id)
    with pytest.raises(Superseded):
        runs.update_claims(driven, {}, later(2))


def test_a_release_gives_the_lease_back() -> None:
    driven = a_driven_run()
    check_at = CHECK_AT + timedelta(days=1)
    kinds = [WaitKind.EVENT, WaitKind.SLEEP]
    claims = {"ship": a_claim("ship")}
    free = runs.release(driven, next_check_at=check_at, waiting_for=kinds, claims=claims, now=later(4))
    assert free == replace(
        driven,
        lease=None,
        next_check_at=check_at,
        waiting_for=(WaitKind.EVENT, WaitKind.SLEEP),
        claims=claims,
        updated_at=later(4),
    )
    assert runs.load(driven.id) == free


def test_a_lease_is_not_given_back_past_a_verb() -> None:
    driven = a_driven_run()
    runs.wake(driven.id)
    with pytest.raises(Superseded):
        released(driven)
    found = runs.load(driven.id)
    assert found is not None
    assert found.lease == driven.lease


def test_a_lease_is_not_given_back_by_another() -> None:
    driven = a_driven_run("request-1")
    again = taken(driven, "request-2")
    with pytest.raises(Superseded):
        released(driven)
    assert runs.load(driven.id) == again


def test_a_step_is_written_revision_by_revision() -> None:
    run = a_stored_run()
    first = a_record(attempt=1)
    second = replace(first, attempt=2, revision=2)
    runs.put_step(run.id, first, write_id="1")
    runs.put_step(run.id, second, write_id="2")
    for late in (first, second, replace(first, revision=4)):
        with pytest.raises(Superseded):
            runs.put_step(run.id, late, write_id="3")
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records == {"charge": second}


def test_a_steps_later_revision_needs_the_one_before() -> None:
    run = a_stored_run()
    with pytest.raises(Superseded):
        runs.put_step(run.id, a_record(revision=2), write_id="1")


def test_a_usual_step_is_one_write_unit_and_touches_no_index() -> None:
    claim = a_claim("step-18", owner=str(uuid.uuid4()))
    output = {"total": 4999, "currency": "EUR", "lines": [{"sku": "a-1", "count": 2}] * 8}
    record = a_record("step-17", output=output, claims={claim.key: claim})
    item = StepItem.of(str(uuid.uuid4()), record, uuid.uuid4().hex).serialize()
    assert not {"project_id", "workflow_id", "list_key", "sweep_shard", "next_check_at"} & set(item)
    assert sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items()) < 1000


def test_the_end_leaves_nothing_to_look_at() -> None:
    driven = taken(a_stored_run(), "request-1", a_claim())
    over = ended(driven, output={"total": 42}, claims={})
    runs.finish(over, owner="request-1", parent_event=None)
    assert runs.load(driven.id) == over
    assert driven.id not in runs.overdue(later(9999), 1000)


@pytest.mark.parametrize("output", [None, LARGE, "small"])
def test_the_end_keeps_output_error_and_payload(output: object) -> None:
    driven = a_driven_run(payload=LARGE)
    error = StepError(code="timeout", message="too slow", step="charge")
    over = ended(driven, RunStatus.TIMED_OUT, output=output, error=error)
    runs.finish(over, owner="request-1", parent_event=None)
    assert runs.load(driven.id) == over


def test_only_its_driver_ends_a_run_and_not_past_a_verb() -> None:
    driven = a_driven_run()
    with pytest.raises(Superseded):
        runs.finish(ended(driven), owner="request-2", parent_event=None)
    runs.wake(driven.id)
    with pytest.raises(Superseded):
        runs.finish(ended(driven), owner="request-1", parent_event=None)
    assert runs.load(driven.id) == replace(driven, wake_seq=1)


def test_a_driver_that_ends_a_run_too_late_overwrites_no_output() -> None:
    stale = a_driven_run("request-1")
    driven = taken(stale, "request-2")
    over = ended(driven, output=LARGE)
    runs.finish(over, owner="request-2", parent_event=None)
    with pytest.raises(Superseded):
        runs.finish(ended(stale, output={**LARGE, "late": True}), owner="request-1", parent_event=None)
    assert runs.load(driven.id) == over


def test_a_childs_end_tells_its_parent_and_wakes_it() -> None:
    parent = a_stored_run()
    child = a_driven_run(parent_run_id=parent.id, parent_step="sub")
    event = an_event("child")
    over = ended(child)
    runs.finish(over, owner="request-1", parent_event=event)
    assert runs.load(child.id) == over
    loaded = runs.load_collection(parent.id)
    assert loaded is not None
    assert loaded.events == (event,)
    assert loaded.run.wake_seq == 1
    assert loaded.run.next_check_at == event.received_at.replace(microsecond=123000)


@pytest.mark.parametrize("fate", ["gone", "ended"])
def test_a_child_ends_without_a_parent_that_still_waits(fate: str) -> None:
    parent = a_run() if fate == "gone" else a_driven_run()
    if fate == "ended":
        runs.finish(ended(parent), owner="request-1", parent_event=None)
    child = a_driven_run(parent_run_id=parent.id, parent_step="sub")
    runs.finish(ended(child), owner="request-1", parent_event=an_event("child"))
    assert runs.load(child.id) == ended(child)
    loaded = runs.load_collection(parent.id)
    assert loaded is None or loaded.events == ()


def test_a_child_that_may_not_end_tells_its_parent_nothing() -> None:
    parent = a_stored_run()
    child = a_driven_run(parent_run_id=parent.id, parent_step="sub")
    runs.wake(child.id)
    with pytest.raises(Superseded):
        runs.finish(ended(child), owner="request-1", parent_event=an_event("child"))
    loaded = runs.load_collection(parent.id)
    assert loaded is not None
    assert (loaded.run, loaded.events) == (parent, ())


def test_a_run_is_looked_at_later_unless_somebody_set_another_time() -> None:
    driven = a_driven_run()
    later_check = CHECK_AT + timedelta(minutes=5)
    runs.check_at(driven, later_check)
    assert runs.load(driven.id) == replace(driven, next_check_at=later_check)
    runs.check_at(driven, CHECK_AT + timedelta(days=9))
    assert runs.load(driven.id) == replace(driven, next_check_at=later_check)


def test_a_run_that_was_not_woken_in_time_loses_its_token() -> None:
    run = a_stored_run(park_token="token")
    later_check = CHECK_AT + timedelta(minutes=5)
    runs.unpark(run, later_check)
    assert runs.load(run.id) == replace(run, park_token=None, next_check_at=later_check)
    with pytest.raises(Superseded):
        runs.unpark(run, later_check)
