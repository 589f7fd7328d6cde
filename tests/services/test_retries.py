"""A run made again as a new one: what it takes over from the old, and what it leaves."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition
from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.domain.refusal import BadRequest, NotFound, TooMany
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import repairs, retries, verbs
from chalicelib.services.repairs import Asked
from chalicelib.services.verbs import Ask
from chalicelib.store import history
from chalicelib.store.errors import Unavailable
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.faults import Fault, writes
from tests.services.house import House, a_call, a_house, a_line, a_wait

pytestmark = pytest.mark.store

ASK = Ask(actor=Actor(key_id="k2", name="bob"), request_id="r2", reason="the bank is back")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def retried(house: House, run_id: str, *, new_id: str = "", settings: WorkflowSettings | None = None) -> Run:
    """Retry a run whose workflow has the settings."""
    new_id = new_id or str(uuid.uuid4())
    house.definitions[new_id] = house.definitions[run_id]
    return retries.retry(
        "p",
        run_id,
        new_id=new_id,
        ask=ASK,
        now=house.clock.now(),
        outside=house.outside,
        settings_of=lambda *_: settings or WorkflowSettings(),
    )


def a_failed_run(house: House, **parts: object) -> Run:
    """A run whose second step of three has failed, and will not again."""
    house.answers = lambda key, nth: 400 if (key, nth) == ("b", 1) else 200
    return house.settle(house.start(three_calls(), **parts))  # type: ignore[arg-type] # parts of a run


def three_calls() -> Definition:
    return a_line(a_call("a"), a_call("b"), a_call("c"))


def told(run_id: str) -> list[HistoryRecord]:
    return list(history.page(run_id, cursor=None, limit=50).items)


def test_only_what_had_not_completed_is_made_again(house: House) -> None:
    failed = a_failed_run(house)
    house.clock.sleep(60)
    again = house.settle(retried(house, failed.id).id)
    assert again.status is RunStatus.COMPLETED
    assert house.sent == {"a": 1, "b": 2, "c": 1}
    records = house.records(again.id)
    assert records["a"].output == house.records(failed.id)["a"].output
    assert {key: record.attempt for key, record in records.items()} == {"a": 1, "b": 1, "c": 1}


def test_the_new_run_is_of_the_old_ones_version_payload_and_length(house: House) -> None:
    began = house.clock.now()
    failed = a_failed_run(
        house,
        payload={"order": 7},
        expires_at=began + timedelta(hours=2),
        tags={"team": "a"},
        max_parallel_steps=3,
        disabled=("z",),
    )
    house.clock.sleep(3600)
    again = house.run(retried(house, failed.id).id)
    assert (again.retry_of_run_id, again.triggered_by, again.status) == (failed.id, "retry", RunStatus.PENDING)
    assert (again.version_id, again.version, again.payload) == (failed.version_id, 1, {"order": 7})
    assert (again.tags, again.max_parallel_steps, again.disabled) == ({"team": "a"}, 3, ("z",))
    assert again.expires_at == house.clock.now() + timedelta(hours=2)
    assert (again.created_by, again.created_by_key_id) == ("bob", "k2")


def test_the_old_run_stays_as_it_is_and_its_history_tells_of_the_retry(house: House) -> None:
    failed = a_failed_run(house)
    retried(house, failed.id)
    assert house.run(failed.id) == failed
    (record,) = told(failed.id)
    assert (record.command, record.before, record.after) == ("retry", "failed", "failed")
    assert (record.actor_key_id, record.reason, record.request_id) == ("k2", "the bank is back", "r2")


@pytest.mark.parametrize("verb", [None, verbs.pause])
def test_a_run_that_has_not_ended_is_not_retried(house: House, verb: object) -> None:
    run_id = house.start(a_line(a_wait("w")))
    house.drain()
    if verb is not None:
        verbs.pause("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock)
    with pytest.raises(BadRequest, match="can only retry a workflow run in terminal state"):
        retried(house, run_id)
    (record,) = (one for one in told(run_id) if one.command == "retry")
    assert (record.outcome, record.refusal) == (Outcome.REFUSED, "can only retry a workflow run in terminal state")


def test_a_run_that_completed_may_be_retried_and_runs_nothing_twice(house: House) -> None:
    done = house.settle(house.start(three_calls()))
    again = house.settle(retried(house, done.id).id)
    assert (again.status, again.output) == (RunStatus.COMPLETED, done.output)
    assert house.sent == {"a": 1, "b": 1, "c": 1}


def test_a_canceled_run_may_be_retried(house: House) -> None:
    run_id = house.start(a_line(a_step("a", config={"value": 1}), a_wait("w")))
    house.drain()
    verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside, clock=house.clock)
    again = retried(house, run_id)
    house.drain()
    assert {key: one.status for key, one in house.records(again.id).items()} == {
        "a": StepStatus.COMPLETED,
        "w": StepStatus.WAITING,
    }


def test_more_steps_than_a_transaction_holds_are_carried_over(house: House) -> None:
    house.answers = lambda key, nth: 400 if (key, nth) == ("last", 1) else 200
    steps = [a_step(f"s{number}", config={"value": number}) for number in range(130)]
    failed = house.settle(house.start(a_line(*steps, a_call("last"))))
    again = retried(house, failed.id, new_id="again")
    assert len(house.records(again.id)) == 130
    assert retried(house, failed.id, new_id="again").id == "again"
    assert house.settle(again.id).status is RunStatus.COMPLETED


def test_a_retry_under_the_same_id_is_one_run_and_one_record(house: House) -> None:
    failed = a_failed_run(house)
    first = retried(house, failed.id, new_id="again")
    house.settle("again")
    second = retried(house, failed.id, new_id="again")
    assert (first.id, second.status) == ("again", RunStatus.COMPLETED)
    assert len(told(failed.id)) == 1


def test_a_retry_of_a_retry_carries_over_what_both_completed(house: House) -> None:
    house.answers = lambda key, nth: 400 if key in {"b", "c"} and nth == 1 else 200
    failed = house.settle(house.start(three_calls()))
    second = house.settle(retried(house, failed.id).id)
    assert second.status is RunStatus.FAILED
    third = house.settle(retried(house, second.id).id)
    assert third.status is RunStatus.COMPLETED
    assert house.sent == {"a": 1, "b": 2, "c": 2}


def test_what_began_anew_and_did_not_complete_again_is_made_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    done = house.settle(house.start(three_calls()))
    house.answers = lambda _key, _nth: 400
    repairs.replay(Asked(project_id="p", run_id=done.id, key="b", ask=ASK, clock=house.clock, outside=house.outside))
    assert house.settle(done.id).status is RunStatus.FAILED
    house.answers = lambda _key, _nth: 200
    again = retried(house, done.id)
    assert house.records(again.id).keys() == {"a"}
    assert house.settle(again.id).status is RunStatus.COMPLETED
    assert house.sent == {"a": 1, "b": 3, "c": 2}


def test_a_retry_takes_a_place_among_its_workflows_runs(house: House) -> None:
    one = WorkflowSettings(max_concurrent_runs=1)
    failed = a_failed_run(house)
    assert retried(house, failed.id, new_id="again", settings=one).counted
    with pytest.raises(TooMany):
        retried(house, failed.id, settings=one)
    # The same again is no second run.
    assert retried(house, failed.id, new_id="again", settings=one).id == "again"
    assert [record.outcome for record in told(failed.id)].count(Outcome.REFUSED) == 1


def test_a_workflow_that_is_switched_off_makes_no_run_again(house: House) -> None:
    failed = a_failed_run(house)
    with pytest.raises(BadRequest, match="workflow is disabled"):
        retried(house, failed.id, settings=WorkflowSettings(enabled=False))


def test_the_parent_of_a_child_is_told_nothing_of_its_retry(house: House) -> None:
    failed = a_failed_run(house, parent_run_id="parent", parent_step="call:1:0", depth=1)
    again = retried(house, failed.id)
    assert (again.parent_run_id, again.parent_step, again.depth) == (None, None, 0)


@pytest.mark.parametrize("project_id", ["other", "p"])
def test_a_run_that_is_unknown_or_anothers_is_not_retried(house: House, project_id: str) -> None:
    failed = a_failed_run(house)
    run_id = failed.id if project_id == "other" else "nope"
    with pytest.raises(NotFound, match="Run not found"):
        retries.retry(project_id, run_id, new_id="again", ask=ASK, now=house.clock.now(), outside=house.outside)
    assert told(run_id) == []


@pytest.mark.parametrize("fault", [Fault.UNHEARD_BEFORE, Fault.UNHEARD_AFTER])
def test_a_retry_whose_write_goes_unheard_is_one_run_when_it_is_asked_for_again(house: House, fault: Fault) -> None:
    failed = a_failed_run(house)
    with writes(at=1, fault=fault), pytest.raises(Unavailable):
        retried(house, failed.id, new_id="again")
    house.clock.sleep(10)
    again = retried(house, failed.id, new_id="again")
    assert house.settle(again.id).status is RunStatus.COMPLETED
    assert len(told(failed.id)) == 1
    assert house.run(failed.id) == failed
