"""Many runs canceled, or replayed, while others act on them: one wins, the other is told, and there is one effect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import RunStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import bulk, retries, verbs
from chalicelib.services.bulk import Done
from chalicelib.services.clock import SystemClock
from chalicelib.services.verbs import Ask
from chalicelib.store import history, runs
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_house, a_line, a_wait
from tests.services.test_races import a_drive

pytestmark = pytest.mark.store

ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")
MANY = 12


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    house = a_house(table, monkeypatch)
    house.clock = SystemClock()  # type: ignore[assignment] # threads cannot share a clock held in hand
    house.parking.clock = house.clock
    return house


def cancel(house: House, run_ids: list[str]) -> tuple[Done, ...]:
    return bulk.cancel("p", run_ids, ask=ASK, now=house.clock.now(), outside=house.outside, clock=house.clock)


def replay(house: House, run_ids: list[str]) -> tuple[Done, ...]:
    return bulk.replay(
        "p", run_ids, new_id=lambda one: f"{one}-n", ask=ASK, now=house.clock.now(), outside=house.outside
    )


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Do all at one moment; return what each came to."""
    gate = Barrier(len(actions))

    def act(action: Callable[[], object]) -> object:
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def done_to(run_id: str, command: str) -> list[HistoryRecord]:
    """The records of a command that took effect."""
    found = history.page(run_id, cursor=None, limit=50).items
    return [one for one in found if (one.command, one.outcome) == (command, Outcome.DONE)]


def test_a_run_is_canceled_or_completes_and_the_caller_is_told_which(house: House) -> None:
    run_ids = [house.start(a_line(a_step("a")), invoked=False) for _ in range(MANY)]

    def finish_all() -> None:
        for run_id in run_ids:
            a_drive(house, run_id)()

    told, _ = at_once(partial(cancel, house, run_ids), finish_all)
    assert isinstance(told, tuple)
    for one in told:
        status = house.run(one.id).status
        assert status is (RunStatus.COMPLETED if isinstance(one.refused, Refusal) else RunStatus.CANCELED)
        assert len(done_to(one.id, "cancel")) == (status is RunStatus.CANCELED)


def test_of_two_that_cancel_the_same_runs_each_run_has_one(house: House) -> None:
    run_ids = [house.start(a_line(a_wait("w")), invoked=False) for _ in range(MANY)]
    told = at_once(*(partial(cancel, house, run_ids) for _ in range(2)))
    for number, run_id in enumerate(run_ids):
        answers = [one[number] for one in told if isinstance(one, tuple)]
        assert [answer.refused is None for answer in answers].count(True) == 1
        assert len(done_to(run_id, "cancel")) == 1


def test_of_two_that_replay_the_same_runs_under_one_key_each_run_has_one_successor(house: House) -> None:
    run_ids = [house.start(a_line(a_wait("w")), invoked=False) for _ in range(MANY)]
    house.definitions |= {f"{run_id}-n": house.definitions[run_id] for run_id in run_ids}
    for run_id in run_ids:
        verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside, clock=house.clock)
    first, second = at_once(*(partial(replay, house, run_ids) for _ in range(2)))
    assert first == second
    assert all(len(done_to(run_id, "retry")) == 1 for run_id in run_ids)
    assert len(runs.page_of_project("p", status=None, cursor=None, limit=100).items) == 2 * MANY
