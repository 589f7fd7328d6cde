"""A run's number: from its start, or from its first driver, and then for good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.run import RunStatus
from chalicelib.services import verbs
from chalicelib.services.verbs import Ask
from chalicelib.store import counters
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_call, a_house, a_line, a_wait

ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def test_runs_are_numbered_as_they_are_first_driven(house: House) -> None:
    started = [house.start(a_line(a_step("a"))) for _ in range(3)]
    assert [house.run(run).number for run in started] == [None] * 3
    house.drain()
    assert [house.run(run).number for run in started] == [1, 2, 3]


def test_a_number_stays_through_waits_and_retries(house: House) -> None:
    house.answers = lambda _key, nth: 503 if nth == 1 else 200
    run = house.start(a_line(a_call("a", retries=1), a_wait("w")))
    house.settle(run, until=lambda run: bool(run.waiting_for) and "a" in house.sent)
    later = house.start(a_line(a_step("a")))
    house.settle(later)
    assert house.settle(run).status is RunStatus.FAILED
    assert (house.run(run).number, house.run(later).number) == (1, 2)
    assert counters.last_runs(["wf"])["wf"].run_id == later


def test_a_number_that_the_start_gave_is_kept(house: House) -> None:
    run = house.start(a_line(a_step("a")), number=7)
    assert house.settle(run).number == 7
    assert counters.last_runs(["wf"]) == {}


def test_a_run_that_ends_before_it_is_driven_has_none(house: House) -> None:
    run = house.start(a_line(a_step("a")), invoked=False)
    verbs.terminate("p", run, ask=ASK, now=house.clock.now(), outside=house.outside, clock=house.clock)
    house.drain()
    assert house.run(run).number is None


def test_an_older_run_that_is_driven_late_is_not_the_newest(house: House) -> None:
    older = house.start(a_line(a_step("a")), invoked=False)
    house.clock.at += timedelta(seconds=1)
    newer = house.start(a_line(a_step("a")))
    house.drain()
    house.invoker.drive(older)
    house.drain()
    assert (house.run(newer).number, house.run(older).number) == (1, 2)
    assert counters.last_runs(["wf"])["wf"].run_id == newer
