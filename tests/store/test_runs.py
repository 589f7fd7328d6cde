"""Runs: created once, read whole, changed by verbs and events that were judged on what is stored."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import PastAttempt, Reset, StepError, StepStatus, Wait, WaitKind
from chalicelib.domain.usage import UNIT_NAMES, ModelUsage, Units
from chalicelib.domain.value import Json, Offloaded
from chalicelib.store import history, idempotency, keys, runs
from chalicelib.store.errors import Exists, Superseded
from chalicelib.store.run_items import LARGEST_IN_ROOT, RunItem
from tests.conftest import Table
from tests.store.builders import (
    CHECK_AT,
    NOW,
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
)
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

LARGE = {"text": "ü" * LARGEST_IN_ROOT}


def a_full_run() -> Run:
    """Return a run with something in every field."""
    return a_run(
        status=RunStatus.RUNNING,
        started_at=later(1),
        finished_at=later(2),
        expires_at=later(3),
        output=[1, None],
        error=StepError(code="http_status", message="402", step="charge"),
        tags={"team": "orders"},
        max_parallel_steps=4,
        parent_run_id="parent",
        parent_step="child",
        depth=2,
        number=12,
        units=Units(**{name: place for place, name in enumerate(UNIT_NAMES, start=1)}),
        usage=(ModelUsage(tool="claude", model="", input_tokens=1, output_tokens=2, cost_nano_usd=3),),
        branch_name="main",
        pr_url="https://example.com/pull/1",
        retry_of_run_id="before",
        created_by_key_id="key1",
        disabled=("charge", "each.ship"),
        resets=(
            Reset(generation=2, step="charge", subtree=True, reopened=False),
            Reset(generation=3, step="ship", subtree=False, reopened=True, forced=True),
        ),
        counted=True,
        hold_until=later(4),
        wake_seq=3,
        lease_seq=4,
        lease=a_lease(),
        claims={
            "charge": a_claim(failures=1, losses=2, generation=3),
            "loop": a_claim("loop", owner="", deadline=None),
        },
        park_token="token",
        waiting_for=(WaitKind.EVENT, WaitKind.SLEEP),
    )


def an_idempotency_record(run: Run, key: str = "mine") -> IdempotencyRecord:
    return IdempotencyRecord(
        scope="trigger",
        key=key,
        project_id=run.project_id,
        request_digest="d1",
        run_id=run.id,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )


def test_the_full_run_of_these_tests_is_full() -> None:
    bare, full = a_run(), a_full_run()
    optional = [field.name for field in fields(Run) if field.default is not field.default_factory]
    assert [name for name in optional if getattr(full, name) == getattr(bare, name)] == ["payload", "next_check_at"]


@pytest.mark.parametrize("run", [a_run(), a_full_run(), a_run(payload=None)], ids=["bare", "full", "no payload"])
def test_a_run_comes_back_as_it_went_in(run: Run) -> None:
    runs.put(run, most_concurrent=1)
    assert runs.load(run.id) == run
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.run == run


@pytest.mark.parametrize("value", [LARGE, Offloaded(digest="ab12", size=99_000), "", 0, False, [], {}])
def test_any_payload_and_output_comes_back(value: Json | Offloaded) -> None:
    run = a_stored_run(payload=value, output=value)
    assert runs.load(run.id) == run
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.run == run


def test_a_large_payload_and_output_lie_apart_from_the_root(table: Table) -> None:
    run = a_stored_run(payload=LARGE, output=[LARGE])
    found = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": keys.run(run.id).pk}},
    )["Items"]
    assert [item["sk"]["S"].split("#")[0] for item in found] == ["", "OUTPUT", "PAYLOAD"]
    assert len(str(found[0])) < 1500


def test_a_run_that_does_not_exist_is_none() -> None:
    for absent in ("none", "", "a#b", "x" * 5000, "\ud800"):
        assert runs.load(absent) is None
        assert runs.load_collection(absent) is None
        assert runs.look(absent) is None


def test_a_payload_without_its_run_is_no_run() -> None:
    run = a_stored_run()
    with pytest.raises(Exists):
        runs.put(replace(run, payload=LARGE, created_at=later(1)))
    assert runs.load(run.id) == run


def test_a_run_is_created_once() -> None:
    run = a_stored_run()
    with pytest.raises(Exists):
        runs.put(replace(run, created_by="another", payload="other"))
    assert runs.load(run.id) == run


def test_a_run_that_would_never_be_looked_at_is_not_stored() -> None:
    with pytest.raises(ValueError, match="look at it again"):
        runs.put(a_run(next_check_at=None))


def test_a_run_and_the_record_of_its_idempotency_key_are_created_together() -> None:
    run = a_run()
    record = an_idempotency_record(run, key="together")
    runs.put(run, idempotency=record)
    assert runs.load(run.id) == run
    assert idempotency.load(run.project_id, "trigger", "together", now=later(1)) == record


def test_an_idempotency_key_in_use_creates_no_run() -> None:
    first, second = a_run(), a_run()
    runs.put(first, idempotency=an_idempotency_record(first))
    with pytest.raises(Exists) as raised:
        runs.put(second, idempotency=an_idempotency_record(second))
    assert raised.value.part == "idempotency"
    assert runs.load(second.id) is None


def test_a_collection_has_the_steps_and_the_events_in_order() -> None:
    run = a_stored_run()
    past = PastAttempt(
        attempt=1,
        generation=1,
        status=StepStatus.FAILED,
        started_at=NOW,
        finished_at=later(2),
        output=[{"a": None}],
        error=StepError(code="a", message="b", step="i"),
        event_id="0001",
    )
    records = [
        a_record("charge", output=Offloaded(digest="ab", size=1), claims={"ship": a_claim("ship")}, generation=2),
        a_record("each.1.ask", status=StepStatus.WAITING, wait=Wait(kind=WaitKind.EVENT, event_type="a", until=NOW)),
        a_record("f", status=StepStatus.FAILED, error=StepError(code="a", message="b"), failures=2, losses=1),
        a_record("g", status=StepStatus.PENDING, retry_at=later(9), started_at=None, finished_at=None, output=None),
        a_record("h", branch="yes", event_id="0001", attempt=3),
        a_record("i", attempts=(past, replace(past, output=Offloaded(digest="ef", size=3))), forced=True),
        a_record("j", status=StepStatus.RUNNING, wait=Wait(kind=WaitKind.JOB, event_type="ticket:j:1:0", ticket="t")),
        a_record(
            "k", attempts=(replace(past, started_at=None, finished_at=None, error=None, event_id=None, output=None),)
        ),
        a_record("ö" * 300),
    ]
    for record in records:
        runs.put_step(run.id, record, write_id="1")
    events = [
        an_event("0002", payload=Offloaded(digest="cd", size=2)),
        an_event("0001"),
        an_event("0003", payload=None),
    ]
    for event in events:
        runs.put_event(run, event, answer_token=False)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.run == replace(run, wake_seq=3)
    assert loaded.records == {record.key: record for record in records}
    assert loaded.events == (events[1], events[0], events[2])


def test_a_collection_of_many_pages_is_read_whole() -> None:
    run = a_stored_run()
    for number in range(6):
        runs.put_step(run.id, a_record(f"s{number}", output="x" * 250_000), write_id="1")
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert len(loaded.records) == 6


def test_the_records_that_a_run_begins_with_are_there_before_it(calls: Calls) -> None:
    run = a_run()
    records = [a_record(f"s{number}") for number in range(60)]
    runs.put_records(run.id, records)
    runs.put_records(run.id, records)
    assert calls.operations == ["BatchWriteItem"] * 6
    assert runs.load_collection(run.id) is None
    runs.put(run)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.records == {record.key: record for record in records}
    after = replace(records[0], revision=2, output=None)
    runs.put_step(run.id, after, write_id="1")
    assert runs.load_steps([(run.id, "s0")]) == {(run.id, "s0"): after}


def test_the_steps_of_many_runs_are_read_at_once(calls: Calls) -> None:
    made = {(a_stored_run().id, key): a_record(key) for key in ("a", "ö" * 300, "b")}
    for (run_id, _), record in made.items():
        runs.put_step(run_id, record, write_id="1")
    calls.sent.clear()
    assert runs.load_steps([*made, ("none", "a"), *made]) == made
    assert calls.operations == ["BatchGetItem"]
    assert runs.load_steps([]) == {}


def test_a_look_says_who_drives_and_whether_the_run_was_woken() -> None:
    run = a_stored_run()
    assert runs.look(run.id) == runs.Look(status=RunStatus.PENDING, wake_seq=0, lease_owner=None)
    driven = a_driven_run("request-7")
    runs.wake(driven.id)
    assert runs.look(driven.id) == runs.Look(status=RunStatus.RUNNING, wake_seq=1, lease_owner="request-7")


def test_a_verb_is_recorded_with_its_history() -> None:
    run = a_stored_run()
    record = a_history_record(run)
    paused = runs.change(run, replace(run, status=RunStatus.PAUSED), history=record, answer_token=False)
    assert paused == replace(run, status=RunStatus.PAUSED, wake_seq=1)
    assert runs.load(run.id) == paused
    assert history.page(run.id, cursor=None, limit=5).items == (record,)


@pytest.mark.parametrize("changed", [{"status": RunStatus.RUNNING}, {"wake_seq": 7}, {"park_token": "another"}])
def test_a_verb_judged_on_another_state_is_superseded_and_leaves_no_history(changed: dict[str, object]) -> None:
    run = a_stored_run()
    judged = replace(run, **changed)  # type: ignore[arg-type]
    paused = replace(judged, status=RunStatus.PAUSED)
    with pytest.raises(Superseded):
        runs.change(judged, paused, history=a_history_record(run), answer_token=False)
    assert runs.load(run.id) == run
    assert history.page(run.id, cursor=None, limit=5).items == ()


def test_a_verb_undoes_nothing_that_the_driver_writes_meanwhile() -> None:
    driven = a_driven_run()
    claims = {"ship": a_claim("ship")}
    runs.update_claims(driven, claims, later(2))
    after = replace(driven, status=RunStatus.PAUSED)
    runs.change(driven, after, history=a_history_record(driven), answer_token=False)
    found = runs.load(driven.id)
    assert found is not None
    assert (found.claims, found.status, found.lease) == (claims, RunStatus.PAUSED, driven.lease)


def test_a_verb_takes_the_token_that_it_answers_and_no_other() -> None:
    for answer, left in ((True, None), (False, "token")):
        run = a_stored_run(park_token="token")
        after = replace(run, status=RunStatus.PAUSED)
        changed = runs.change(run, after, history=a_history_record(run), answer_token=answer)
        assert changed.park_token == left
        assert runs.load(run.id) == changed


def test_a_verb_that_ends_a_run_ends_its_looking_at_and_reopening_begins_it_again(table: Table) -> None:
    run = a_stored_run()
    canceled = runs.change(run, ended(run, RunStatus.CANCELED), history=a_history_record(run), answer_token=False)
    assert run.id not in runs.overdue(later(9999), 1000)
    again = replace(canceled, status=RunStatus.RUNNING, finished_at=None, error=None, next_check_at=CHECK_AT)
    runs.change(canceled, again, history=a_history_record(run), answer_token=False)
    assert run.id in runs.overdue(later(9999), 1000)
    raw = table.client.get_item(TableName=table.name, Key={"pk": {"S": f"RUN#{run.id}"}, "sk": {"S": "#RUN"}})["Item"]
    assert "finished_at" not in raw
    assert raw["list_key"]["S"].startswith("RUN#running#")


def test_a_verb_that_changes_no_status_writes_no_list_key(calls: Calls) -> None:
    run = a_stored_run()
    runs.change(run, replace(run, updated_at=later(1)), history=a_history_record(run), answer_token=False)
    names = calls.sent[-1][1]["TransactItems"][0]["Update"]["ExpressionAttributeNames"].values()
    assert "list_key" not in names
    assert "next_check_at" not in names


def test_an_event_is_kept_and_wakes_the_run() -> None:
    run = a_stored_run(park_token="token")
    event = an_event()
    runs.put_event(run, event, answer_token=True, next_check_at=CHECK_AT + timedelta(hours=1))
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.events == (event,)
    woken = replace(run, wake_seq=1, park_token=None, next_check_at=CHECK_AT + timedelta(hours=1))
    assert loaded.run == woken


def test_two_events_judged_on_one_state_are_both_kept() -> None:
    run = a_stored_run()
    runs.put_event(run, an_event("0001"), answer_token=False)
    runs.put_event(run, an_event("0002"), answer_token=False)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert ([event.id for event in loaded.events], loaded.run.wake_seq) == (["0001", "0002"], 2)


def test_a_token_is_answered_once() -> None:
    run = a_stored_run(park_token="token")
    runs.put_event(run, an_event("0001"), answer_token=True)
    with pytest.raises(Superseded):
        runs.put_event(run, an_event("0002"), answer_token=True)


def test_an_event_for_a_run_that_has_ended_is_superseded() -> None:
    run = a_driven_run()
    runs.finish(ended(run), owner="request-1", parent_event=None)
    with pytest.raises(Superseded):
        runs.put_event(run, an_event(), answer_token=False)
    loaded = runs.load_collection(run.id)
    assert loaded is not None
    assert loaded.events == ()


def test_a_run_that_has_ended_or_is_none_is_not_woken() -> None:
    run = a_driven_run()
    runs.finish(ended(run), owner="request-1", parent_event=None)
    for nobody in (run.id, "none", "a#b"):
        runs.wake(nobody)
    assert runs.load("none") is None
    found = runs.load(run.id)
    assert found is not None
    assert found.wake_seq == 0


def test_the_item_of_a_usual_run_is_one_write_unit() -> None:
    item = RunItem.of(a_full_run()).serialize()
    size = sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())
    assert size < 1800
    bare = RunItem.of(a_run()).serialize()
    assert sum(len(name) + len(str(next(iter(value.values())))) for name, value in bare.items()) < 1000
