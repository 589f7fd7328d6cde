"""Verbs at the same moment, with real threads on a real table: one wins, the other is told, one effect is on record.

A pause against the end, and a cancel, are in ``test_races``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import bulk, repairs, retries, verbs
from chalicelib.services.clock import SystemClock
from chalicelib.services.repairs import Asked
from chalicelib.store import history
from tests.conftest import Table
from tests.services.house import House, a_call, a_house, a_line
from tests.services.test_races import ASK, a_drive, at_once, calls
from tests.services.waiting import an_approval, waiting

pytestmark = pytest.mark.store

ROUNDS = 6


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    house.clock = SystemClock()  # type: ignore[assignment] # threads cannot share a clock held in hand
    house.parking.clock = house.clock
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    return house


def a_verb(house: House, name: str, run_id: str, key: str) -> Callable[[], object]:
    asked = Asked(project_id="p", run_id=run_id, key=key, ask=ASK, clock=house.clock, outside=house.outside)
    return partial(getattr(repairs, name), asked)


def a_cancel(house: House, run_id: str) -> Callable[[], object]:
    return partial(
        verbs.terminate,
        "p",
        run_id,
        ask=ASK,
        manners=WORKFLOW_RUNS_API,
        now=house.clock.now(),
        outside=house.outside,
    )


def done(run_id: str) -> list[HistoryRecord]:
    """Return what the history says took effect."""
    return [one for one in history.page(run_id, cursor=None, limit=100).items if one.outcome is Outcome.DONE]


def refused(answers: list[object]) -> list[bool]:
    return sorted(isinstance(answer, Refusal) for answer in answers)


def test_of_two_approvals_one_counts(house: House) -> None:
    for _ in range(ROUNDS):
        run_id = waiting(house, a_line(an_approval(), a_call("after")))
        answers = at_once(*(a_verb(house, "approve", run_id, "ok") for _ in range(2)))
        assert refused(answers) == [False, True]
        house.drain()
        assert [one.command for one in done(run_id)] == ["approve"]
        assert house.run(run_id).status is RunStatus.COMPLETED
        assert house.records(run_id)["ok"].revision == 2


def test_of_an_approval_and_a_rejection_one_counts(house: House) -> None:
    for _ in range(ROUNDS):
        run_id = waiting(house, a_line(an_approval()))
        answers = at_once(a_verb(house, "approve", run_id, "ok"), a_verb(house, "reject", run_id, "ok"))
        assert refused(answers) == [False, True]
        house.drain()
        approved = done(run_id)[0].command == "approve"
        assert len(done(run_id)) == 1
        assert house.run(run_id).status is (RunStatus.COMPLETED if approved else RunStatus.FAILED)


def test_of_a_cancel_and_an_approval_nothing_starts_after_the_cancel(house: House) -> None:
    for _ in range(ROUNDS):
        house.sent.clear()
        run_id = waiting(house, a_line(an_approval(), a_call("after")))
        canceled, approved = at_once(a_cancel(house, run_id), a_verb(house, "approve", run_id, "ok"))
        sent = dict(house.sent)
        house.drain()
        # Records stand by when the verbs were asked for, which was at once.
        commands = sorted(one.command for one in done(run_id))
        if isinstance(canceled, Refusal):
            assert (house.run(run_id).status, commands) == (RunStatus.COMPLETED, ["approve"])
        else:
            assert (house.run(run_id).status, dict(house.sent)) == (RunStatus.CANCELED, sent)
            assert commands == (["cancel"] if isinstance(approved, Refusal) else ["approve", "cancel"])


@pytest.mark.parametrize("verb", ["skip", "force_complete"])
def test_of_a_skip_and_a_start_one_happens(house: House, verb: str) -> None:
    """The step either runs and the verb is refused, or it does not run at all."""
    outcomes = set()
    for round_ in range(ROUNDS):
        house.sent.clear()
        run_id = house.start(calls(80), invoked=False)
        driver = threading.Thread(target=a_drive(house, run_id))
        driver.start()
        time.sleep(0.05 * round_)
        [answer] = at_once(a_verb(house, verb, run_id, "s60"))
        driver.join()
        house.drain()
        assert house.run(run_id).status is RunStatus.COMPLETED
        record = house.records(run_id)["s60"]
        if isinstance(answer, Refusal):
            assert (house.sent["s60"], record.status, done(run_id)) == (1, StepStatus.COMPLETED, [])
        else:
            assert house.sent["s60"] == 0
            assert record.status is (StepStatus.SKIPPED if verb == "skip" else StepStatus.COMPLETED)
            assert len(done(run_id)) == 1
        assert set(house.sent.values()) == {1}
        outcomes.add(isinstance(answer, Refusal))
    assert False in outcomes


def test_of_two_replays_one_counts(house: House) -> None:
    for _ in range(ROUNDS):
        house.sent.clear()
        run_id = house.start(calls(3))
        house.drain()
        answers = at_once(*(a_verb(house, "replay", run_id, "s1") for _ in range(2)))
        assert refused(answers) == [False, True]
        house.drain()
        assert dict(house.sent) == {"s0": 1, "s1": 2, "s2": 2}
        assert [one.command for one in done(run_id)] == ["replay-subtree"]


def test_of_a_pause_and_the_end_one_is_told(house: House) -> None:
    for _ in range(ROUNDS):
        run_id = house.start(calls(1), invoked=False)
        pause = partial(verbs.pause, "p", run_id, ask=ASK, manners=WORKFLOW_RUNS_API, now=house.clock.now())
        _, answer = at_once(a_drive(house, run_id), pause)
        house.drain()
        run = house.run(run_id)
        if isinstance(answer, Refusal):
            # It had not begun, or was over.
            assert (run.status, done(run_id)) == (RunStatus.COMPLETED, [])
        else:
            assert [one.command for one in done(run_id)] == ["pause"]
            assert run.status in {RunStatus.PAUSED, RunStatus.COMPLETED}


def test_of_a_bulk_cancel_and_the_end_each_run_has_one_end(house: House) -> None:
    run_ids = [house.start(calls(2), invoked=False) for _ in range(ROUNDS)]
    drivers = [a_drive(house, run_id) for run_id in run_ids]
    cancel = partial(bulk.cancel, "p", run_ids, ask=ASK, now=house.clock.now(), outside=house.outside)
    *_, answers = at_once(*drivers, cancel)
    house.drain()
    assert isinstance(answers, tuple)
    for answer in answers:
        ended = RunStatus.COMPLETED if answer.refused else RunStatus.CANCELED
        assert house.run(answer.id).status is ended
        assert [one.command for one in done(answer.id)] == ([] if answer.refused else ["cancel"])
