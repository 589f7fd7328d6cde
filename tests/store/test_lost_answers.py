"""A write that lands while its answer is lost is made twice by botocore, and is known as its own the second time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.store import runs
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
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


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
def test_a_run_ends_though_the_answer_is_lost(calls: Calls, status: RunStatus) -> None:
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
    started = a_run()
    record = IdempotencyRecord(
        scope="trigger",
        key=f"key of {started.id}",
        project_id="proj_1",
        request_digest="d",
        created_at=NOW,
        expires_at=later(9),
    )
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
