"""Two at once, with real threads on a real table.

One wins, the other is told or does nothing, and there is one effect.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.services import drive, verbs
from chalicelib.services.clock import SystemClock
from chalicelib.services.verbs import Ask
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_call, a_house, a_line

pytestmark = pytest.mark.store

ROUNDS = 8
ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    house.clock = SystemClock()  # type: ignore[assignment] # threads cannot share a clock held in hand
    house.parking.clock = house.clock
    return house


def calls(count: int) -> Definition:
    return a_line(*(a_call(f"s{index}") for index in range(count)))


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Do all at one moment; return what each came to, a refusal included."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> object:
        gate.wait()
        try:
            return action()
        except Refusal as refused:
            return refused

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def a_drive(house: House, run_id: str) -> Callable[[], object]:
    now = house.clock.now()
    invocation = drive.Invocation(owner=uuid.uuid4().hex, started_at=now, deadline=now + timedelta(seconds=900))
    return lambda: drive.drive(run_id, invocation, clock=house.clock, outside=house.outside)


def test_two_drivers_start_no_step_twice(house: House) -> None:
    for _ in range(ROUNDS):
        run_id = house.start(calls(4), invoked=False)
        house.sent.clear()
        at_once(*(a_drive(house, run_id) for _ in range(3)))
        house.drain()
        assert house.run(run_id).status is RunStatus.COMPLETED
        assert set(house.sent.values()) == {1}
        assert {record.attempt for record in house.records(run_id).values()} == {1}


def test_no_step_starts_between_the_answer_to_a_pause_and_the_resume(house: House) -> None:
    for round_ in range(ROUNDS):
        run_id = house.start(calls(60), invoked=False)
        driver = threading.Thread(target=a_drive(house, run_id))
        driver.start()
        threading.Event().wait(0.02 * round_)
        verbs.pause("p", run_id, ask=ASK, now=house.clock.now())
        started = dict(house.sent)
        driver.join()
        house.drain()
        assert house.sent == started
        records = house.records(run_id)
        assert {key for record in records.values() for key in record.claims} <= records.keys()
        house.sent.clear()
        if house.run(run_id).status.ended:
            continue
        verbs.resume("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
        house.drain()
        records = house.records(run_id)
        assert house.run(run_id).status is RunStatus.COMPLETED
        assert {(record.status, record.attempt) for record in records.values()} == {(StepStatus.COMPLETED, 1)}
        assert started.keys().isdisjoint(house.sent)
        assert len(started) + len(house.sent) == 60
        house.sent.clear()


def test_nothing_starts_after_the_answer_to_a_terminate(house: House) -> None:
    for round_ in range(ROUNDS):
        run_id = house.start(calls(60), invoked=False)
        driver = threading.Thread(target=a_drive(house, run_id))
        driver.start()
        threading.Event().wait(0.02 * round_)
        answered = at_once(
            partial(verbs.terminate, "p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside),
        )[0]
        started = dict(house.sent)
        driver.join()
        house.drain()
        assert house.sent == started
        ended = house.run(run_id).status
        assert ended is (RunStatus.COMPLETED if isinstance(answered, Refusal) else RunStatus.CANCELED)
        house.sent.clear()


def test_of_a_pause_and_an_end_both_leave_the_run_ended_or_resumable(house: House) -> None:
    for _ in range(ROUNDS):
        run_id = house.start(calls(1), invoked=False)
        at_once(a_drive(house, run_id), partial(verbs.pause, "p", run_id, ask=ASK, now=house.clock.now()))
        house.drain()
        if house.run(run_id).status is RunStatus.PAUSED:
            verbs.resume("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
            house.drain()
        assert house.run(run_id).status is RunStatus.COMPLETED


def test_events_sent_at_once_are_each_taken_by_one_wait(house: House) -> None:
    waits = [a_step(f"w{index}", StepType.WAIT_FOR_EVENT, config={"eventType": "go"}) for index in range(4)]
    run_id = house.start(a_definition(waits))
    house.drain()

    def send(number: int) -> object:
        return verbs.deliver(
            "p",
            run_id,
            event_type="go",
            payload=number,
            actor=ASK.actor,
            now=house.clock.now(),
            outside=house.outside,
        )

    at_once(*(lambda number=number: send(number) for number in range(4)))
    house.drain()
    run = house.run(run_id)
    assert run.status is RunStatus.COMPLETED
    assert isinstance(run.output, dict)
    assert sorted(run.output.values()) == [0, 1, 2, 3]
    assert house.parking.waiting == {}
