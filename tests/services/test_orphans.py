"""Runs whose workflow has been removed for good: they end, in plain words, and nobody waits for them for ever."""

from __future__ import annotations

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import StepType
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.run import Run, RunStatus
from chalicelib.services import definitions, verbs
from chalicelib.services.verbs import Ask
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import history, runs
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_house, a_line, a_wait

pytestmark = pytest.mark.store
GONE = "the workflow was permanently deleted"


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    made = a_house(table, monkeypatch)

    def of(run: Run, _values: object) -> object:
        if run.id not in made.definitions:
            raise definitions.Gone("gone")
        return made.definitions[run.id]

    monkeypatch.setattr(definitions, "of", of)
    return made


def forget(house: House, run_id: str) -> None:
    """Remove what the run runs."""
    del house.definitions[run_id]


@pytest.mark.parametrize("driven", [False, True], ids=["pending", "running"])
def test_a_run_whose_definition_is_gone_fails_in_plain_words(house: House, *, driven: bool) -> None:
    run_id = house.start(a_line(a_wait("wait")))
    if driven:
        house.drain()
    forget(house, run_id)
    house.invoker.drive(run_id)
    house.drain()
    ended = house.run(run_id)
    assert (ended.status, ended.error and ended.error.message) == (RunStatus.FAILED, GONE)
    assert (ended.next_check_at, ended.lease, house.deaths) == (None, None, 0)
    [record] = history.page(run_id, cursor=None, limit=5).items
    assert (record.command, record.actor_name, record.reason) == ("fail", "stepwell", GONE)


def test_a_paused_one_fails_too_once_it_is_looked_at(house: House) -> None:
    run_id = house.start(a_line(a_wait("wait")))
    house.drain()
    ask = Ask(actor=Actor(key_id="k", name="ada"), request_id="r")
    verbs.pause("p", run_id, ask=ask, now=house.clock.now(), clock=house.clock)
    forget(house, run_id)
    assert house.settle(run_id).status is RunStatus.FAILED


def test_a_parent_is_told_that_its_child_cannot_go_on(house: House) -> None:
    calling = a_step("call", StepType.SUB_WORKFLOW, config={"workflowId": "wf", "waitForCompletion": True})
    parent = house.start(a_line(calling), invoked=False)
    child = house.start(a_line(a_wait("wait")), parent_run_id=parent, parent_step="call:1:0", depth=1)
    house.drain()
    forget(house, child)
    house.invoker.drive(child)
    house.drain()
    loaded = runs.load_collection(parent)
    assert loaded is not None
    assert [event.type for event in loaded.events] == ["child:call:1:0"]


def test_a_verb_that_comes_first_is_not_undone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = house.start(a_line(a_wait("wait")))
    house.drain()
    forget(house, run_id)
    change, calls = runs.change, []

    def raced(before: Run, after: Run, **parts: object) -> Run:
        calls.append(after)
        if len(calls) == 1:
            ask = Ask(actor=Actor(key_id="k", name="ada"), request_id="r")
            verbs.terminate("p", run_id, ask=ask, now=house.clock.now(), outside=house.outside, clock=house.clock)
        return change(before, after, **parts)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(runs, "change", raced)
    house.clock.at += CHECK_AFTER
    house.invoker.drive(run_id)
    house.drain()
    assert house.run(run_id).status is RunStatus.CANCELED


def test_what_needs_the_definition_says_that_it_is_gone(table: Table) -> None:
    run = house_less_run(table)
    with pytest.raises(NotFound, match="permanently deleted"):
        definitions.of(run, None)  # type: ignore[arg-type] # nothing is fetched where nothing is found


def house_less_run(table: Table) -> Run:
    """Return a run of a workflow that there is not."""
    house = House(table.client, table.name)
    return house.run(house.start(a_line(a_wait("wait")), invoked=False))
