"""Wake-ups that come twice, late or never, requests whose answer is lost, and clocks that do not agree."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.idempotency import Once
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse
from chalicelib.services import drive, starts, verbs
from chalicelib.services.starts import Triggered
from chalicelib.store import deployments, runs
from chalicelib.store.errors import Unavailable
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.faults import Fault, writes
from tests.services.house import Crash, HandClock, House, a_call, a_deployment, a_house, a_line, a_wait
from tests.services.waiting import ADA

MINUTE = timedelta(minutes=1)
KEY = Once(scope="trigger", key="k", request_digest="d")
CHAIN = a_line(a_call("ask"), a_step("end", config={"value": "done"}))


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    made = a_house(table, monkeypatch)
    monkeypatch.setattr(deployments, "load", lambda _workflow, _connection: a_deployment())
    return made


def trigger(house: House, once: Once | None) -> Triggered:
    started = starts.trigger(
        "p",
        "wf",
        connection_id="conn_default",
        payload=None,
        actor=ADA,
        once=once,
        now=house.clock.now(),
        outside=house.outside,
    )
    house.definitions[started.run.id] = CHAIN
    return started


def send(house: House, run_id: str, once: Once | None = None) -> None:
    verbs.deliver(
        "p", run_id, event_type="go", payload=1, actor=ADA, once=once, now=house.clock.now(), outside=house.outside
    )


def recorded() -> list[str]:
    """The ids of the workflow's runs."""
    return [run.id for run in runs.page_of_workflow("wf", status=None, cursor=None, limit=10).items]


@pytest.mark.store
@pytest.mark.parametrize("fault", list(Fault))
def test_a_trigger_that_is_sent_again_with_its_key_is_one_run_whatever_became_of_the_first(
    house: House, fault: Fault
) -> None:
    with writes(at=1, fault=fault), pytest.raises((Crash, Unavailable)):
        trigger(house, KEY)
    landed = fault in {Fault.DIES_AFTER, Fault.UNHEARD_AFTER}
    assert not house.invoker.queue
    again = trigger(house, KEY)
    assert again.replayed is landed
    house.drain()
    assert house.run(again.run.id).status is RunStatus.COMPLETED
    assert house.sent == {"ask": 1}
    assert trigger(house, KEY).run.id == again.run.id


def test_a_trigger_without_a_key_that_is_sent_again_may_be_two_runs_and_the_first_is_driven_by_the_sweep(
    house: House,
) -> None:
    with writes(at=1, fault=Fault.DIES_AFTER), pytest.raises(Crash):
        trigger(house, None)
    second = trigger(house, None)
    for run_id in recorded():
        house.definitions[run_id] = CHAIN
    house.drain()
    house.clock.at += MINUTE
    house.sweep()
    house.drain()
    ended = {run_id: house.run(run_id).status for run_id in recorded()}
    assert len(ended) == 2
    assert second.run.id in ended
    assert set(ended.values()) == {RunStatus.COMPLETED}


def test_two_sweeps_at_once_have_a_run_driven_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.start(CHAIN, invoked=False)
    house.clock.at += MINUTE
    unpark = runs.unpark

    def after_another(*given: object) -> None:
        monkeypatch.setattr(runs, "unpark", unpark)
        assert house.sweep().overdue == 1
        unpark(*given)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(runs, "unpark", after_another)
    assert house.sweep().overdue == 0
    assert len(house.invoker.queue) == 1


def test_a_batch_that_is_delivered_twice_may_ask_twice_and_keeps_one_result_of_each_step(house: House) -> None:
    steps = [a_step("first", config={"value": 0}), *(a_call(f"s{index}") for index in range(33))]
    run_id = house.start(a_definition(steps, *(("first", f"s{index}") for index in range(33))))
    house.invoke(house.invoker.queue.popleft())
    batches = tuple(house.invoker.queue)
    assert {invocation.function for invocation in batches} == {"work"}
    answer, delivered_again = house.http.answer, threading.Lock()

    def while_they_run(request: HttpRequest) -> HttpResponse:
        if delivered_again.acquire(blocking=False):
            for batch in batches:
                house.invoke(batch)
        return answer(request)

    house.http.answer = while_they_run
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert len(house.http.sent) > 33
    assert len({request.headers["Idempotency-Key"] for request in house.http.sent}) == 33
    records = house.records(run_id)
    assert len(records) == 34
    assert {(record.attempt, record.revision) for record in records.values()} == {(1, 1)}


def test_a_sweep_that_comes_an_hour_late_finds_all_that_is_overdue(house: House) -> None:
    lost = [house.start(CHAIN, invoked=False) for _ in range(3)]
    waiting = house.start(a_line(a_wait("wait", "30 minutes")))
    house.drain()
    house.parking.waiting.clear()
    house.clock.at += timedelta(hours=1)
    assert house.sweep().overdue == 4
    house.drain()
    assert {house.run(run_id).status for run_id in lost} == {RunStatus.COMPLETED}
    assert house.run(waiting).status is RunStatus.FAILED
    assert house.sweep().overdue == 0


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(minutes=-10)], ids=["fast", "slow"])
def test_a_driver_whose_clock_is_wrong_undoes_nothing_and_counts_what_it_does_again(
    house: House, ahead: timedelta
) -> None:
    run_id = house.start(a_line(a_call("ask"), a_call("act")), invoked=False)
    answer = house.http.answer

    def while_the_step_runs(request: object) -> object:
        house.http.answer = answer
        drive_by(house, run_id, HandClock(house.clock.now() + ahead))
        return answer(request)  # type: ignore[arg-type] # the same

    house.http.answer = while_the_step_runs  # type: ignore[assignment] # it stands in for the other one
    house.invoker.drive(run_id)
    house.drain()
    run = house.settle(run_id)
    records = house.records(run_id)
    assert run.status is RunStatus.COMPLETED
    assert {key: records[key].attempt for key in house.sent} == dict(house.sent)
    # One that is fast sees the lease and the claim as over; one that is slow leaves the run to its driver.
    assert house.sent == ({"ask": 2, "act": 1} if ahead > timedelta(0) else {"ask": 1, "act": 1})


def drive_by(house: House, run_id: str, clock: HandClock) -> None:
    at = clock.now()
    drive.drive(
        run_id,
        drive.Invocation(owner="other", started_at=at, deadline=at + 15 * MINUTE),
        clock=clock,
        outside=replace(house.outside),
    )


def test_an_event_sent_by_a_clock_that_is_slow_is_taken(house: House) -> None:
    run_id = house.start(a_line(a_wait("wait", "1 hour")))
    house.drain()
    verbs.deliver(
        "p",
        run_id,
        event_type="go",
        payload=1,
        actor=ADA,
        now=house.clock.now() - 10 * MINUTE,
        outside=house.outside,
    )
    house.drain()
    assert house.run(run_id).output == 1
    assert house.records(run_id)["wait"].status is StepStatus.COMPLETED


def test_a_token_that_is_answered_twice_wakes_the_run_once_more_for_nothing(house: House) -> None:
    run_id = house.start(a_line(a_wait("wait", "1 hour"), a_call("act")))
    house.drain()
    parked = house.run(run_id)
    assert parked.park_token is not None
    assert house.parking.answer(parked.park_token)
    assert not house.parking.answer(parked.park_token)
    house.drain()
    # Woken for nothing, it waits on, held by another execution.
    again = house.run(run_id)
    assert again.park_token in house.parking.waiting
    send(house, run_id)
    assert house.settle(run_id).status is RunStatus.COMPLETED
    assert house.sent == {"act": 1}


def by_hand(house: House) -> None:
    """Abort every execution: none of them drives."""
    house.parking.waiting.clear()


def late(house: House) -> None:
    """Let every execution end a quarter of an hour later than it should."""
    for token, execution in house.parking.waiting.items():
        house.parking.waiting[token] = replace(execution, ends_at=execution.ends_at + 15 * MINUTE)


@pytest.mark.parametrize("trouble", [by_hand, late])
def test_a_wait_whose_execution_was_aborted_or_is_late_ends_at_most_two_minutes_after_its_time(
    house: House, trouble: Callable[[House], None]
) -> None:
    run_id = house.start(a_line(a_wait("wait", "10 minutes")))
    house.drain()
    began = house.clock.now()
    trouble(house)
    for _ in range(12):
        house.clock.at += MINUTE
        house.parking.time_out()
        house.sweep()
        house.drain()
        if house.run(run_id).status.ended:
            break
    run = house.run(run_id)
    assert run.error is not None
    assert run.error.message == "event trigger timed out"
    assert house.clock.now() - began <= 12 * MINUTE
    # The late one's end finds nothing left to do.
    house.clock.at += timedelta(hours=1)
    house.parking.time_out()
    house.drain()
    assert house.run(run_id) == run


def test_a_run_whose_execution_was_aborted_takes_its_event_at_once(house: House) -> None:
    run_id = house.start(a_line(a_wait("wait", "10 minutes")))
    house.drain()
    by_hand(house)
    send(house, run_id)
    house.drain()
    assert house.run(run_id).output == 1
