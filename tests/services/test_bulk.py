"""One verb on many runs: each is told of, and none spoils another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import BadRequest, Conflict, NotFound, TryLater
from chalicelib.domain.run import Lease, RunStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import bulk, retries
from chalicelib.services.bulk import Done
from chalicelib.services.verbs import Ask
from chalicelib.store import errors, runs
from chalicelib.store.table import connection
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_call, a_house, a_line, a_wait

pytestmark = pytest.mark.store

ASK = Ask(actor=Actor(key_id="k2", name="bob"), request_id="r2")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    return a_house(table, monkeypatch)


def cancel(house: House, *run_ids: str) -> tuple[Done, ...]:
    return bulk.cancel("p", run_ids, ask=ASK, now=house.clock.now(), outside=house.outside, clock=house.clock)


def replay(house: House, *run_ids: str) -> tuple[Done, ...]:
    """Replay runs; a new run's id is the old one's with a letter after it."""
    house.definitions |= {f"{run_id}-n": house.definitions[run_id] for run_id in run_ids if run_id in house.definitions}
    return bulk.replay(
        "p", run_ids, new_id=lambda one: f"{one}-n", ask=ASK, now=house.clock.now(), outside=house.outside
    )


def waiting(house: House) -> str:
    """A run that waits."""
    run_id = house.start(a_line(a_wait("w")))
    house.drain()
    return run_id


def failed(house: House) -> str:
    """A run whose second step has failed, and will not again."""
    house.answers = lambda key, nth: 400 if (key, nth) == ("b", 1) else 200
    return house.settle(house.start(a_line(a_call("a"), a_call("b")))).id


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls to DynamoDB meanwhile."""
    calls: Counter[str] = Counter()
    events = connection().connection.client.meta.events

    def count(model: Any, **_: object) -> None:
        calls[model.name] += 1

    events.register("before-call.dynamodb", count)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", count)


def test_each_run_that_has_not_ended_is_canceled_and_the_others_are_told_of(house: House) -> None:
    first, ended, last = waiting(house), house.settle(house.start(a_line(a_step("a")))).id, waiting(house)
    done = cancel(house, first, "nope", ended, "not#an id", "", first, last)
    assert [type(one.refused) for one in done] == [
        type(None),
        NotFound,
        BadRequest,
        NotFound,
        NotFound,
        Conflict,
        type(None),
    ]
    assert [str(one.refused) for one in (done[2], done[5])] == [
        "workflow run already in terminal state: it is completed",
        "duplicate",
    ]
    assert {house.run(one).status for one in (first, last)} == {RunStatus.CANCELED}
    assert house.run(ended).status is RunStatus.COMPLETED


def test_another_projects_run_is_left_alone(house: House) -> None:
    theirs = waiting(house)
    (done,) = bulk.cancel("other", [theirs], ask=ASK, now=house.clock.now(), outside=house.outside)
    assert isinstance(done.refused, NotFound)
    assert house.run(theirs).status is RunStatus.RUNNING


def test_each_run_that_has_ended_is_replayed_and_the_others_are_told_of(house: House) -> None:
    first, second, going = failed(house), failed(house), waiting(house)
    done = replay(house, first, going, second, first)
    assert [one.new_id for one in done] == [f"{first}-n", None, f"{second}-n", None]
    assert [type(one.refused) for one in done] == [type(None), BadRequest, type(None), Conflict]
    assert house.settle(f"{first}-n").status is RunStatus.COMPLETED
    assert house.settle(f"{second}-n").retry_of_run_id == second


def test_replayed_again_under_the_same_ids_the_runs_are_the_same(house: House) -> None:
    run_id = failed(house)
    assert replay(house, run_id) == replay(house, run_id)
    assert len(runs.page_of_project("p", status=None, cursor=None, limit=50).items) == 2


@pytest.mark.parametrize("error", [errors.Unavailable("gone"), RuntimeError("nobody foresaw it")])
def test_the_trouble_of_one_is_told_and_spoils_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    first, second = waiting(house), waiting(house)
    change = runs.change

    def change_or_fail(before: Any, *given: Any, **named: Any) -> Any:
        if before.id == first:
            raise error
        return change(before, *given, **named)

    monkeypatch.setattr(runs, "change", change_or_fail)
    done = cancel(house, first, second)
    assert [type(one.refused) for one in done] == [TryLater, type(None)]
    assert "nobody" not in str(done[0].refused)
    assert house.run(second).status is RunStatus.CANCELED


def test_a_hundred_are_canceled_in_three_calls_to_the_table_each(house: House) -> None:
    definition = a_line(a_wait("w"))
    run_ids = [house.start(definition, invoked=False) for _ in range(100)]
    with counted() as calls:
        done = cancel(house, *run_ids)
    assert not any(one.refused for one in done)
    assert sum(calls.values()) <= 3 * 100


def test_runs_that_wait_for_a_child_or_are_one_take_three_calls_too(house: House) -> None:
    parent = waiting(house)
    child = house.start(a_line(a_wait("w")), parent_run_id=parent, parent_step="call:1:0", depth=1)
    house.drain()
    for run_id in (child, parent):
        with counted() as calls:
            assert cancel(house, run_id)[0].refused is None
        assert sum(calls.values()) <= 3


def test_replays_take_three_calls_to_the_table_each_and_a_few_for_them_all(house: House) -> None:
    run_ids = [failed(house) for _ in range(5)]
    with counted() as calls:
        done = replay(house, *run_ids)
    assert not any(one.refused for one in done)
    assert sum(calls.values()) <= 3 * len(run_ids)


def test_runs_with_a_live_driver_are_canceled_side_by_side(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ids = [driven(house) for _ in range(2 * bulk.SIDE_BY_SIDE)]
    together = Barrier(bulk.SIDE_BY_SIDE)
    # Each verb waits for its driver to look, and here for as many others to be waiting for theirs.
    monkeypatch.setattr(type(house.clock), "sleep", lambda _clock, _seconds: together.wait(20))
    assert not any(one.refused for one in cancel(house, *run_ids))


def driven(house: House) -> str:
    """A run whose driver is alive."""
    run_id, now = house.start(a_line(a_wait("w")), invoked=False), house.clock.now()
    lease = Lease(owner="somebody", expires_at=now + timedelta(minutes=5))
    runs.take_lease(house.run(run_id), lease=lease, claims={}, status=RunStatus.RUNNING, started_at=now, now=now)
    return run_id
