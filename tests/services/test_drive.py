"""Driving, on a real table: what is written, started and let go of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition
from chalicelib.domain.run import Lease, Run, RunStatus
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.services import verbs
from chalicelib.services.verbs import Ask
from chalicelib.store import runs
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_call, a_house, a_line, a_wait

pytestmark = pytest.mark.store

ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def a_chain_of(count: int) -> Definition:
    return a_line(*(a_step(f"s{index}", config={"value": f"s{index}"}) for index in range(count)))


def test_a_chain_runs_to_its_end_without_a_park(house: House) -> None:
    run_id = house.start(a_chain_of(5))
    run = house.settle(run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, "s4")
    assert [record.status for record in house.records(run_id).values()] == [StepStatus.COMPLETED] * 5
    assert house.parking.started == 0
    assert run.next_check_at is None
    assert run.lease is None


def test_a_wait_is_parked_and_woken_by_its_event(house: House) -> None:
    definition = a_definition([a_wait("w"), a_step("after", config={"value": "{{ w.n }}"})], ("w", "after"))
    run_id = house.start(definition)
    house.drain()
    run = house.run(run_id)
    assert (run.waiting_for, run.lease) == ((WaitKind.EVENT,), None)
    assert run.park_token in house.parking.waiting
    assert house.parking.started == 1
    verbs.deliver(
        "p", run_id, event_type="go", payload={"n": 7}, actor=ASK.actor, now=house.clock.now(), outside=house.outside
    )
    run = house.settle(run_id)
    assert run.output == 7
    assert house.parking.started == 1
    assert house.parking.waiting == {}


def test_an_event_sent_before_the_run_is_driven_is_taken(house: House) -> None:
    run_id = house.start(a_definition([a_wait("w")]), invoked=False)
    verbs.deliver(
        "p", run_id, event_type="go", payload=1, actor=ASK.actor, now=house.clock.now(), outside=house.outside
    )
    assert house.settle(run_id).output == 1
    assert house.parking.started == 0


def test_a_wait_whose_time_is_over_fails_the_run(house: House) -> None:
    run_id = house.start(a_definition([a_wait("w", "10 minutes")]))
    began = house.clock.now()
    run = house.settle(run_id)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.message == "event trigger timed out"
    assert timedelta(minutes=10) <= house.clock.now() - began < timedelta(minutes=11)


def test_a_run_whose_parking_was_lost_is_found_by_the_sweep(house: House) -> None:
    run_id = house.start(a_definition([a_wait("w", "10 minutes")]))
    house.drain()
    house.parking.waiting.clear()
    assert house.settle(run_id).status is RunStatus.FAILED


def test_a_run_whose_first_invocation_was_lost_is_found_by_the_sweep(house: House) -> None:
    run_id = house.start(a_chain_of(2), invoked=False)
    house.clock.at += timedelta(seconds=61)
    assert house.sweep().overdue == 1
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_a_short_pause_between_attempts_is_spent_in_the_driver_and_a_long_one_parked(house: House) -> None:
    house.answers = lambda _key, nth: 503 if nth < 3 else 200
    run_id = house.start(a_definition([a_call("a", retries=5)]))
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert house.records(run_id)["a"].attempt == 3
    assert house.parking.started == 2


def test_a_wide_run_is_worked_on_by_other_invocations(house: House) -> None:
    steps = [a_step("first", config={"value": 0}), *(a_call(f"s{index}") for index in range(100)), a_step("join")]
    edges = [edge for index in range(100) for edge in (("first", f"s{index}"), (f"s{index}", "join"))]
    run_id = house.start(a_definition(steps, *edges))
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert set(house.sent.values()) == {1}
    assert len(house.records(run_id)) == 102


def test_quick_steps_stay_in_the_driver_however_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        a_step("first", config={"value": 0}),
        *(a_step(f"s{index}", config={"value": index}) for index in range(60)),
    ]
    handed: list[str] = []
    monkeypatch.setattr(house.invoker, "work", lambda run_id, *_: handed.append(run_id))
    run = house.settle(house.start(a_definition(steps, *(("first", f"s{index}") for index in range(60)))))
    assert isinstance(run.output, dict)
    assert sorted(run.output.values()) == list(range(60))
    assert handed == []


def test_a_paused_run_starts_nothing_until_it_is_resumed(house: House) -> None:
    run_id = house.start(a_chain_of(3), invoked=False)
    verbs.pause("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock)
    house.invoker.drive(run_id)
    house.drain()
    assert house.records(run_id) == {}
    assert (house.run(run_id).waiting_for, house.run(run_id).started_at) == ((WaitKind.PAUSE,), None)
    verbs.resume("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_a_pause_that_comes_while_a_step_runs_stops_the_next_one(house: House) -> None:
    run_id = house.start(a_definition([a_call("a"), a_call("b")], ("a", "b")))

    def pause_then_answer(key: str, _nth: int) -> int:
        if key == "a":
            verbs.pause("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock)
        return 200

    house.answers = pause_then_answer
    house.drain()
    assert house.sent == {"a": 1}
    assert house.records(run_id)["a"].status is StepStatus.COMPLETED
    assert house.records(run_id)["a"].claims == {}
    house.answers = lambda _key, _nth: 200
    verbs.resume("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
    assert house.settle(run_id).status is RunStatus.COMPLETED
    assert house.sent == {"a": 1, "b": 1}
    assert house.records(run_id)["b"].attempt == 1


def test_a_first_step_that_a_pause_forestalled_is_given_back_and_starts_at_the_resume(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = house.start(a_line(a_call("a"), a_call("b")))
    take_lease = runs.take_lease

    def paused_as_soon_as_taken(run: Run, **parts: Any) -> Run:
        taken = take_lease(run, **parts)
        if run.lease_seq == 0:
            verbs.pause("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock)
        return taken

    monkeypatch.setattr(runs, "take_lease", paused_as_soon_as_taken)
    house.drain()
    assert house.sent == {}
    assert house.run(run_id).claims == {}
    before = house.clock.now()
    verbs.resume("p", run_id, ask=ASK, now=before, outside=house.outside)
    house.drain()
    assert (house.run(run_id).status, house.clock.now()) == (RunStatus.COMPLETED, before)
    assert {record.attempt for record in house.records(run_id).values()} == {1}


def test_nothing_starts_after_a_terminate_that_comes_while_a_step_runs(house: House) -> None:
    run_id = house.start(a_definition([a_call("a"), a_call("b")], ("a", "b")))

    def end_then_answer(_key: str, _nth: int) -> int:
        verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
        return 200

    house.answers = end_then_answer
    house.drain()
    assert house.sent == {"a": 1}
    run = house.run(run_id)
    assert (run.status, run.next_check_at, run.finished_at is not None) == (RunStatus.CANCELED, None, True)


def test_terminating_a_parked_run_ends_its_execution(house: House) -> None:
    run_id = house.start(a_definition([a_wait("w")]))
    house.drain()
    verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
    assert house.parking.waiting == {}
    house.drain()
    assert house.run(run_id).status is RunStatus.CANCELED


def test_a_doubled_drive_of_a_parked_run_writes_nothing(house: House) -> None:
    run_id = house.start(a_definition([a_wait("w")]))
    house.drain()
    before = house.run(run_id)
    house.invoker.drive(run_id)
    house.drain()
    assert house.run(run_id) == before
    assert house.parking.started == 1


def test_a_drive_of_a_run_that_is_driven_leaves_it_alone(house: House) -> None:
    run_id = house.start(a_chain_of(2), invoked=False)
    run = house.run(run_id)
    runs.take_lease(
        run,
        lease=Lease(owner="other", expires_at=house.clock.now() + timedelta(minutes=5)),
        claims={},
        status=RunStatus.RUNNING,
        started_at=house.clock.now(),
        now=house.clock.now(),
    )
    house.invoker.drive(run_id)
    house.drain()
    assert house.records(run_id) == {}
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_an_output_that_is_too_large_is_an_error_of_its_step(house: House) -> None:
    definition = a_definition(
        [a_step("big", config={"value": "{{ payload }}" * 6}), a_step("mend", config={"value": "{{ error.code }}"})],
        ("big", "mend", "error"),
    )
    run_id = house.start(definition, payload="x" * 200_000)
    assert house.settle(run_id).output == "output_too_large"


def test_a_large_output_lies_in_s3_and_is_there_for_the_next_step(house: House) -> None:
    definition = a_definition(
        [
            a_step("big", config={"value": {"text": "{{ payload }}"}}),
            a_step("next", config={"value": "{{ length(big.text) }}"}),
        ],
        ("big", "next"),
    )
    run_id = house.start(definition, payload="x" * 90_000)
    assert house.settle(run_id).output == 90_000
    assert len(house.outside.payloads.texts) == 1  # type: ignore[attr-defined] # the fake's


def test_a_template_that_cannot_be_worked_out_is_an_error_of_its_step(house: House) -> None:
    definition = a_definition([a_step("a", config={"value": "{{ length(`1`) }}"})])
    run = house.settle(house.start(definition))
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("template", "a")
