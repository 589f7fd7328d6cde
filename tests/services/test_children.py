"""Sub-workflows: a child's start, its end told to the parent, the parent's end ending it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, WorkflowKind
from chalicelib.services import definitions, starts, verbs
from chalicelib.services.verbs import Ask
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.faults import Fault, writes
from tests.services.house import House, a_call, a_house, a_line, a_wait

pytestmark = pytest.mark.store

ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)

    def deployed(project_id: str, workflow_id: str, connection_id: str) -> Deployment:
        return Deployment(
            id="dep",
            project_id=project_id,
            workflow_id=workflow_id,
            connection_id=connection_id,
            version_id="v",
            version=1,
            kind=WorkflowKind.WORKFLOW,
            created_by="ada",
            created_at=house.clock.now(),
        )

    monkeypatch.setattr(starts, "deployed", deployed)
    # A child runs what its workflow's id names; a run that a test has started, what the test says.
    monkeypatch.setattr(
        definitions,
        "of",
        lambda run, _values: house.definitions.get(run.id) or house.definitions[run.workflow_id],
    )
    return house


def a_child(ref: str = "child", *, waits: bool = True, timeout: str | None = None, retries: int = 0) -> StepSpec:
    config: dict[str, Json] = {
        "workflowId": "inner",
        "input": {"n": "{{ payload.n }}"},
        "waitForCompletion": waits,
        "timeout": timeout,
    }
    return a_step(ref, StepType.SUB_WORKFLOW, config=config, retries=retries)


def start(house: House, inner: Definition, *steps: StepSpec) -> str:
    house.definitions["inner"] = inner
    return house.start(a_line(*steps), payload={"n": 3})


def child_of(house: House, run_id: str) -> Run:
    wait = house.records(run_id)["child"].wait
    assert wait is not None
    assert wait.note is not None
    return house.run(wait.note)


def test_a_childs_output_is_its_steps_output(house: House) -> None:
    inner = a_line(a_step("double", config={"value": {"twice": "{{ [payload.n, payload.n] }}"}}))
    run_id = start(house, inner, a_child(), a_step("after", config={"value": "{{ child.twice }}"}))
    assert house.settle(run_id).output == [3, 3]
    child = child_of(house, run_id)
    assert (child.status, child.triggered_by, child.depth) == (RunStatus.COMPLETED, "workflow", 1)
    assert (child.parent_run_id, child.created_by) == (run_id, run_id)


def test_a_parent_waits_for_its_child_holding_nothing(house: House) -> None:
    run_id = start(house, a_line(a_wait("w")), a_child())
    house.drain()
    assert house.run(run_id).waiting_for == (WaitKind.CHILD,)
    child = child_of(house, run_id)
    verbs.deliver(
        "p", child.id, event_type="go", payload=1, actor=ASK.actor, now=house.clock.now(), outside=house.outside
    )
    assert house.settle(run_id).output == 1
    assert house.parking.waiting == {}


def test_a_childs_failure_fails_the_step_and_its_retries_start_another(house: House) -> None:
    house.answers = lambda _key, nth: 400 if nth == 1 else 200
    run_id = start(house, a_line(a_call("call")), a_child(retries=1))
    first = None
    while first is None:
        house.drain()
        first = child_of(house, run_id) if house.records(run_id) else None
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert house.run(first.id).status is RunStatus.FAILED
    assert house.records(run_id)["child"].attempt == 2


def test_a_child_without_a_second_attempt_fails_its_parent_with_its_error(house: House) -> None:
    house.answers = lambda _key, _nth: 400
    run = house.settle(start(house, a_line(a_call("call")), a_child()))
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert (run.error.code, run.error.message) == ("sub_workflow_failed", "the server answered 400")


def test_terminating_a_parent_cancels_its_child(house: House) -> None:
    run_id = start(house, a_line(a_wait("w")), a_child())
    house.drain()
    verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
    house.drain()
    assert child_of(house, run_id).status is RunStatus.CANCELED
    assert house.parking.waiting == {}


def test_a_wait_for_a_child_that_times_out_fails_the_parent_and_cancels_the_child(house: House) -> None:
    run_id = start(house, a_line(a_wait("w", "9 hours")), a_child(timeout="1 hour"))
    began = house.clock.now()
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "sub-workflow timed out")
    assert house.clock.now() - began < timedelta(hours=1, minutes=2)
    house.drain()
    assert child_of(house, run_id).status is RunStatus.CANCELED


def test_the_child_of_a_races_losing_arm_is_canceled_while_its_parent_goes_on(house: House) -> None:
    house.definitions["inner"] = a_line(a_wait("w"))
    loser = replace(a_child(), block="first/slow")
    winner = replace(a_wait("quick"), block="first/fast")
    race = a_step("first", StepType.RACE)
    hold = a_step("hold", StepType.SLEEP, config={"duration": "9 hours"})
    run_id = house.start(a_definition([race, winner, loser, hold], ("first", "hold")))
    house.drain()
    assert child_of(house, run_id).status is RunStatus.RUNNING
    now = house.clock.now()
    verbs.deliver("p", run_id, event_type="go", payload=1, actor=ASK.actor, now=now, outside=house.outside)
    house.drain()
    assert house.run(run_id).status is RunStatus.RUNNING
    assert child_of(house, run_id).status is RunStatus.CANCELED


def test_a_canceled_child_fails_its_parent(house: House) -> None:
    run_id = start(house, a_line(a_wait("w")), a_child())
    house.drain()
    child = child_of(house, run_id)
    verbs.terminate("p", child.id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "canceled by user")


def test_a_child_that_is_not_waited_for_goes_its_own_way(house: House) -> None:
    run_id = start(house, a_line(a_wait("w")), a_child(waits=False))
    run = house.settle(run_id)
    house.drain()
    assert isinstance(run.output, dict)
    child = house.run(str(run.output["runId"]))
    assert (child.status, child.parent_run_id) == (RunStatus.RUNNING, None)


def test_children_are_nested_ten_deep_at_most(house: House) -> None:
    house.definitions["inner"] = a_line(a_child())
    run = house.settle(house.start(a_line(a_child()), payload={"n": 1}))
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert "more than 10 deep" in run.error.message


def test_a_step_may_ask_for_less_nesting(house: House) -> None:
    child = a_step("child", StepType.SUB_WORKFLOW, config={"workflowId": "inner", "maxNestingDepth": 2})
    house.definitions["inner"] = a_line(child)
    run = house.settle(house.start(a_line(child)))
    assert run.error is not None
    assert "more than 2 deep" in run.error.message


@pytest.mark.parametrize("fault", list(Fault))
def test_a_childs_end_reaches_its_parent_whatever_write_fails(house: House, fault: Fault) -> None:
    at = 0
    while True:
        at += 1
        house.sent.clear()
        with writes(at=at + 1, fault=fault) as watched:
            run_id = start(
                house, a_line(a_call("call")), a_child(), a_step("end", config={"value": "{{ child.body.of }}"})
            )
            run = house.settle(run_id)
        assert (run.status, run.output) == (RunStatus.COMPLETED, "call")
        if not watched.failed:
            break
    assert at > 9
