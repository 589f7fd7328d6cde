"""A part of AWS that does not answer for minutes: the run waits for it, and goes on where its records end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.gateways.errors import Unavailable as NoAnswer
from chalicelib.services import starts, verbs
from chalicelib.services.starts import Start, Triggered
from chalicelib.services.verbs import Ask
from chalicelib.store import runs
from chalicelib.store.errors import Unavailable
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_call, a_deployment, a_house, a_line, a_wait
from tests.services.outage import READS, TRANSACTIONS, WRITES, FailingPayloads, Outage, table_throttles
from tests.services.waiting import ADA

MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
#: What is declined, and how many calls apart the moments are at which it begins.
KINDS = {
    "reads": (READS, 1),
    "writes": (WRITES, 3),
    "transactions": (TRANSACTIONS, 1),
    "everything": (READS | WRITES | TRANSACTIONS, 5),
}
WORK = a_line(a_call("ask"), a_wait("wait", "2 hours"), a_call("act"), a_step("end", config={"value": "{{ wait }}"}))


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def carry_through(house: House, run_id: str, outage: Outage) -> Run:
    """Let minute after minute pass, each with its sweep, until the run has ended; send its event once it waits.

    The sender does as a client that is told to try later.
    """
    sent = False
    for _ in range(60):
        house.drain()
        with outage.unseen():
            run = house.run(run_id)
        if run.status.ended:
            return run
        if not sent and WaitKind.EVENT in run.waiting_for:
            with suppress(Unavailable):
                send(house, run_id)
                sent = True
                continue
        house.clock.at += MINUTE
        house.parking.time_out()
        with suppress(Unavailable):
            house.sweep()
    raise AssertionError(f"an hour later the run is {run}")


def begun(house: House) -> Triggered:
    """Start a run of what is deployed, as a trigger does."""
    run_id = uuid.uuid4().hex
    house.definitions[run_id] = a_line(a_call("ask"))
    start = Start(run_id=run_id, triggered_by="api", created_by="ada")
    return starts.begin(a_deployment(), start, now=house.clock.now(), outside=house.outside)


def send(house: House, run_id: str) -> None:
    verbs.deliver("p", run_id, event_type="go", payload=1, actor=ADA, now=house.clock.now(), outside=house.outside)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_outlasts_minutes_in_which_the_table_throttles(
    table: Table, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    operations, apart = KINDS[kind]
    moments = 0
    while True:
        house = a_house(table, monkeypatch)
        outage = Outage(clock=house.clock, first=1 + moments * apart, lasts=FIVE_MINUTES)
        # A trigger whose write is declined is told so, and there is no run: the outage begins after it.
        run_id = house.start(WORK)
        with table_throttles(outage, operations):
            run = carry_through(house, run_id, outage)
        records = house.records(run_id)
        assert (run.status, run.output) == (RunStatus.COMPLETED, 1)
        assert {key: records[key].attempt >= times for key, times in house.sent.items()} == {"ask": True, "act": True}
        if outage.over_at is None:
            break
        moments += 1
        # The lease of a driver that could not give it back ends with its invocation's time.
        assert house.clock.now() <= outage.over_at + 16 * MINUTE
    assert moments == {"reads": 3, "writes": 3, "transactions": 2, "everything": 3}[kind]


def a_bucket_that_declines(house: House, declined: range) -> None:
    """Have the bucket not answer some of what it is asked, and the world outside more than a record holds."""
    house.outside = replace(house.outside, payloads=FailingPayloads(declined=declined))
    answer = house.http.answer
    house.http.answer = lambda request: replace(answer(request), body="x" * 40_000)


#: One step puts a large value into the bucket, the next one gets it.
LARGE = a_line(a_call("ask"), a_step("length", config={"value": "{{ length(ask.body) }}"}))


@pytest.mark.parametrize(("declined", "step"), [(1, "ask"), (2, "length")], ids=["put", "get"])
def test_an_attempt_is_made_again_whose_large_value_the_bucket_did_not_take_or_give(
    house: House, declined: int, step: str
) -> None:
    a_bucket_that_declines(house, range(declined, declined + 2))
    run = house.settle(house.start(LARGE))
    assert (run.status, run.output) == (RunStatus.COMPLETED, 40_000)
    attempts = {key: record.attempt for key, record in house.records(run.id).items()}
    assert attempts == {"ask": 1, "length": 1, step: 3}
    assert house.deaths == 2


@pytest.mark.parametrize(("declined", "step"), [(1, "ask"), (2, "length")], ids=["put", "get"])
def test_an_attempt_that_the_bucket_has_failed_three_times_in_a_row_is_lost(
    house: House, declined: int, step: str
) -> None:
    a_bucket_that_declines(house, range(declined, declined + 3))
    run = house.settle(house.start(LARGE))
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("lost", step)


def test_a_step_whose_large_value_somebody_has_removed_from_the_bucket_fails_by_name(house: House) -> None:
    a_bucket_that_declines(house, range(0))
    run_id = house.start(a_line(a_call("ask"), a_wait("wait"), a_step("length", config={"value": "{{ ask.body }}"})))
    house.drain()
    payloads = house.outside.payloads
    assert isinstance(payloads, FailingPayloads)
    payloads.texts.clear()
    send(house, run_id)
    house.drain()
    run = house.run(run_id)
    assert run.error is not None
    assert (run.status, run.error.code, run.error.step) == (RunStatus.FAILED, "template", "length")
    assert house.deaths == 0


@contextmanager
def declined(gateway: object, method: str) -> Iterator[list[str]]:
    """Have a gateway decline every call of a method for a while, and note the calls."""
    asked: list[str] = []

    def decline(*given: object, **named: object) -> None:
        asked.append(str(given[0] if given else named["run_id"]))
        message = "park state machine: ThrottlingException"
        raise NoAnswer(message)

    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(gateway, method, decline)
        yield asked


def test_a_run_that_could_not_be_parked_ends_its_wait_by_the_sweep(house: House) -> None:
    began = house.clock.now()
    with declined(house.parking, "park") as asked:
        run_id = house.start(a_line(a_wait("wait", "10 minutes")))
        house.drain()
    # Lambda has made its two retries, and nothing holds the run.
    assert (len(asked), house.parking.waiting, house.run(run_id).lease) == (3, {}, None)
    run = house.settle(run_id)
    assert run.error is not None
    assert run.error.message == "event trigger timed out"
    assert house.clock.now() - began <= 11 * MINUTE


def test_a_run_that_could_not_be_parked_takes_its_event_at_once(house: House) -> None:
    with declined(house.parking, "park"):
        run_id = house.start(a_line(a_wait("wait", "10 minutes")))
        house.drain()
    began = house.clock.now()
    send(house, run_id)
    house.drain()
    assert house.run(run_id).output == 1
    assert house.clock.now() == began


def test_an_event_whose_token_could_not_be_answered_is_taken_by_the_sweep(house: House) -> None:
    run_id = house.start(a_line(a_wait("wait", "2 hours")))
    house.drain()
    began = house.clock.now()
    with declined(house.parking, "answer") as asked:
        send(house, run_id)
        house.drain()
    assert len(asked) == 1
    assert not house.run(run_id).status.ended
    assert house.settle(run_id).output == 1
    assert house.clock.now() - began <= MINUTE


def test_a_start_whose_driver_could_not_be_invoked_is_a_start_and_driven_by_the_sweep(house: House) -> None:
    began = house.clock.now()
    with declined(house.invoker, "drive") as asked:
        started = begun(house)
    assert asked == [started.run.id]
    assert not started.replayed
    run = house.settle(started.run.id)
    assert run.status is RunStatus.COMPLETED
    assert house.clock.now() - began <= MINUTE


def test_an_event_whose_driver_could_not_be_invoked_is_taken_by_the_sweep(house: House) -> None:
    with declined(house.parking, "park"):
        run_id = house.start(a_line(a_wait("wait", "2 hours")))
        house.drain()
    began = house.clock.now()
    with declined(house.invoker, "drive") as asked:
        send(house, run_id)
        house.drain()
    assert asked == [run_id]
    assert not house.run(run_id).status.ended
    assert house.settle(run_id).output == 1
    assert house.clock.now() - began <= MINUTE


def test_a_resumption_whose_driver_could_not_be_invoked_is_gone_on_with_by_the_sweep(house: House) -> None:
    run_id, ask = house.start(a_line(a_call("act")), invoked=False), Ask(actor=ADA, request_id="r1")
    verbs.pause("p", run_id, ask=ask, now=house.clock.now(), clock=house.clock)
    began = house.clock.now()
    with declined(house.invoker, "drive") as asked:
        resumed = verbs.resume("p", run_id, ask=ask, now=house.clock.now(), outside=house.outside)
        house.drain()
    assert asked == [run_id]
    assert resumed.status is not RunStatus.PAUSED
    assert house.sent == {}
    assert house.settle(run_id).status is RunStatus.COMPLETED
    assert house.sent == {"act": 1}
    assert house.clock.now() - began <= MINUTE


def test_a_sweep_that_could_not_invoke_the_driver_of_a_run_finds_it_again(house: House) -> None:
    run_id = house.start(WORK, invoked=False)
    house.clock.at += MINUTE
    with declined(house.invoker, "drive") as asked:
        assert house.sweep().overdue == 1
        house.clock.at += MINUTE
        house.sweep()
    assert asked == [run_id, run_id]
    house.settle(run_id, until=lambda run: bool(run.waiting_for))
    assert house.sent == {"ask": 1}


def test_a_batch_of_work_whose_driver_could_not_be_invoked_is_gone_on_with_by_the_sweep(house: House) -> None:
    steps = [a_step("first", config={"value": 0}), *(a_call(f"s{index}") for index in range(33)), a_step("join")]
    edges = [edge for index in range(33) for edge in (("first", f"s{index}"), (f"s{index}", "join"))]
    run_id = house.start(a_definition(steps, *edges))
    house.invoke(house.invoker.queue.popleft())
    began = house.clock.now()
    with declined(house.invoker, "drive") as asked:
        house.drain()
    assert asked
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert set(house.sent.values()) == {1}
    assert house.clock.now() - began <= MINUTE


def test_steps_whose_batch_could_not_be_invoked_are_made_by_the_driver_itself(house: House) -> None:
    steps = [a_step("first", config={"value": 0}), *(a_call(f"s{index}") for index in range(33))]
    run_id = house.start(a_definition(steps, *(("first", f"s{index}") for index in range(33))))
    with declined(house.invoker, "work") as asked:
        run = house.settle(run_id)
    assert asked
    assert run.status is RunStatus.COMPLETED
    assert set(house.sent.values()) == {1}


def test_the_trouble_of_one_run_does_not_stop_the_sweep(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ill, well = house.start(WORK, invoked=False), house.start(WORK, invoked=False)
    house.clock.at += MINUTE
    load = runs.load

    def loaded(run_id: str) -> Run | None:
        if run_id == ill:
            raise ValueError(run_id)
        return load(run_id)

    monkeypatch.setattr(runs, "load", loaded)
    # What cannot be looked at counts as overdue, too, so that the alarm tells of it.
    assert house.sweep().overdue == 2
    assert [invocation.event["run_id"] for invocation in house.invoker.queue] == [well]
