"""What a run takes over from what is deployed, and how many there may be at once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import StepType
from chalicelib.domain.idempotency import Once
from chalicelib.domain.refusal import BadRequest, Invalid, NotFound, TooMany
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import definitions, starts, verbs, versions
from chalicelib.services.starts import Start, Triggered
from chalicelib.services.verbs import Ask
from chalicelib.store import deployments
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_deployment, a_house, a_line

pytestmark = pytest.mark.store

ADA = Actor(key_id="k1", name="ada")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def begun(house: House, settings: WorkflowSettings | None = None, **parts: object) -> Triggered:
    """Start a run; a test names what matters of it."""
    start = Start(run_id=str(uuid.uuid4()), triggered_by="api", created_by="ada")
    return starts.begin(
        a_deployment(settings),
        replace(start, **parts),  # type: ignore[arg-type] # a test names the parts
        now=house.clock.now(),
        outside=house.outside,
    )


def end(house: House, run: Run) -> None:
    ask = Ask(actor=ADA, request_id="r1")
    verbs.terminate("p", run.id, ask=ask, now=house.clock.now(), outside=house.outside, clock=house.clock)


@pytest.fixture
def deployed(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The house, with a workflow of two steps deployed."""
    monkeypatch.setattr(deployments, "load", lambda _workflow, _connection: a_deployment())
    monkeypatch.setattr(versions, "definition", lambda *_: a_line(a_step("a"), a_step("b")))
    return house


def trigger(house: House, **parts: object) -> Triggered:
    given = {"connection_id": "conn_default", "payload": None, "actor": ADA, "once": None, **parts}
    return starts.trigger("p", "wf", now=house.clock.now(), outside=house.outside, **given)  # type: ignore[arg-type] # the same


def test_a_run_has_what_its_workflows_settings_say(house: House) -> None:
    settings = WorkflowSettings(timeout=timedelta(hours=1), max_parallel_steps=3, tags={"team": "a", "env": "prod"})
    run = house.run(begun(house, settings, tags={"env": "test"}).run.id)
    assert run.expires_at == house.clock.now() + timedelta(hours=1)
    assert (run.max_parallel_steps, run.tags) == (3, {"team": "a", "env": "test"})
    assert not run.counted


def test_a_run_knows_the_key_that_started_it(deployed: House) -> None:
    run = deployed.run(trigger(deployed).run.id)
    assert (run.created_by, run.created_by_key_id, run.triggered_by) == ("ada", "k1", "api")


def test_a_run_carries_twenty_tags_at_most_its_workflows_own_among_them(house: House) -> None:
    settings = WorkflowSettings(tags={f"own{n}": "" for n in range(10)})
    assert len(begun(house, settings, tags={f"t{n}": "" for n in range(10)}).run.tags) == 20
    with pytest.raises(Invalid, match="at most 20 tags, with its workflow's own it would be 21"):
        begun(house, settings, tags={f"t{n}": "" for n in range(11)})


def test_steps_that_are_switched_off_are_kept_with_the_run(deployed: House) -> None:
    run = trigger(deployed, overrides={"a": False, "b": True}).run
    assert deployed.run(run.id).disabled == ("a",)


def test_a_switch_for_a_step_that_is_not_there_is_refused_by_name(deployed: House) -> None:
    with pytest.raises(Invalid, match="the workflow has no step z") as refused:
        trigger(deployed, overrides={"a": False, "z": True})
    assert [detail.path for detail in refused.value.details] == ["step_overrides.1.step_ref"]


def test_a_workflow_that_is_switched_off_starts_nothing(deployed: House, monkeypatch: pytest.MonkeyPatch) -> None:
    off = a_deployment(WorkflowSettings(enabled=False))
    monkeypatch.setattr(deployments, "load", lambda _workflow, _connection: off)
    with pytest.raises(BadRequest, match="workflow is disabled"):
        trigger(deployed)


def test_a_start_under_the_same_id_is_one_run(deployed: House) -> None:
    first = trigger(deployed, run_id="r-1", payload=1)
    deployed.clock.sleep(1)
    again = trigger(deployed, run_id="r-1", payload=1)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.run == deployed.run("r-1")


def test_no_more_runs_than_allowed_are_active_at_once(house: House) -> None:
    settings = WorkflowSettings(max_concurrent_runs=2)
    first, _ = (begun(house, settings).run for _ in range(2))
    with pytest.raises(TooMany, match="workflow has 2 active runs, its max_concurrent_runs"):
        begun(house, settings)
    end(house, first)
    assert begun(house, settings).run.counted


def test_the_same_start_is_answered_with_its_run_although_it_took_the_last_place(house: House) -> None:
    settings = WorkflowSettings(max_concurrent_runs=1)
    first = begun(house, settings, run_id="r-1")
    assert begun(house, settings, run_id="r-1") == Triggered(run=house.run(first.run.id), replayed=True)


def test_the_same_key_is_answered_with_its_run_although_it_took_the_last_place(
    deployed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = a_deployment(WorkflowSettings(max_concurrent_runs=1))
    monkeypatch.setattr(deployments, "load", lambda _workflow, _connection: one)
    once = Once(scope="trigger", key="k", request_digest="d")
    first, again = (trigger(deployed, once=once) for _ in range(2))
    assert (again.run.id, again.replayed) == (first.run.id, True)


def test_of_many_starts_at_once_as_many_succeed_as_there_are_places(house: House) -> None:
    settings = WorkflowSettings(max_concurrent_runs=3)

    def attempt(_: int) -> bool:
        try:
            begun(house, settings)
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert sum(pool.map(attempt, range(12))) == 3


def test_a_run_that_completes_by_itself_gives_its_place_back(house: House) -> None:
    settings = WorkflowSettings(max_concurrent_runs=1)
    run = begun(house, settings).run
    house.definitions[run.id] = a_line(a_step("a"))
    assert house.settle(run.id).status is RunStatus.COMPLETED
    assert not begun(house, settings).replayed


def test_a_child_has_the_settings_of_its_own_workflow(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = WorkflowSettings(timeout=timedelta(minutes=5), max_parallel_steps=2, tags={"of": "child"})
    monkeypatch.setattr(starts, "deployed", lambda *_: a_deployment(settings))
    parent = begun(house, tags={"of": "parent"}).run
    start_child(house, parent, "c-1")
    child = house.run("c-1")
    assert child.expires_at == house.clock.now() + timedelta(minutes=5)
    assert (child.max_parallel_steps, child.tags, child.depth) == (2, {"of": "child"}, 1)
    assert (child.parent_run_id, child.created_by, child.created_by_key_id) == (parent.id, parent.id, None)


def test_a_child_for_which_there_is_no_place_may_be_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "deployed", lambda *_: a_deployment(WorkflowSettings(max_concurrent_runs=1)))
    parent = begun(house).run
    start_child(house, parent, "c-1")
    start_child(house, parent, "c-1")
    with pytest.raises(CallFailed) as failed:
        start_child(house, parent, "c-2")
    assert (failed.value.code, failed.value.retryable) == ("too_many", True)


def test_a_step_whose_child_finds_no_place_starts_it_once_there_is_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = WorkflowSettings(max_concurrent_runs=1)
    monkeypatch.setattr(starts, "deployed", lambda *_: a_deployment(one))
    inner = a_line(a_step("a", config={"value": 5}))
    monkeypatch.setattr(definitions, "of", lambda run, _values: house.definitions.get(run.id) or inner)
    before = begun(house, one).run
    config: dict[str, Json] = {"workflowId": "wf", "input": None, "waitForCompletion": True}
    parent_id = house.start(a_line(a_step("child", StepType.SUB_WORKFLOW, config=config, retries=1)))
    house.invoke(house.invoker.queue.pop())
    error = house.records(parent_id)["child"].error
    assert error is not None
    assert error.code == "too_many"
    end(house, before)
    parent = house.settle(parent_id)
    assert (parent.status, parent.output) == (RunStatus.COMPLETED, 5)


def start_child(house: House, parent: Run, child_id: str) -> None:
    starts.start_child(
        parent,
        child_id,
        workflow_id="wf",
        payload=None,
        parent_step="call:1:0",
        now=house.clock.now(),
        outside=house.outside,
    )


def test_what_is_deployed_of_another_project_is_not_found(deployed: House) -> None:
    with pytest.raises(NotFound):
        starts.trigger(
            "other",
            "wf",
            connection_id="conn_default",
            payload=None,
            actor=ADA,
            once=None,
            now=deployed.clock.now(),
            outside=deployed.outside,
        )
