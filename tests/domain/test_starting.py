from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain import condition, recording
from chalicelib.domain.condition import Condition
from chalicelib.domain.definition import Definition, Edge, OnFailure, ResourceClass, StepSpec
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.run import RunStatus
from chalicelib.domain.starting import Limits
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.value import Json
from tests.domain.building import FACTS, T0, World, a_step, a_world, an_event, completed, failed, seconds, waiting


def after(*steps: StepSpec, **needs: tuple[str, ...]) -> Definition:
    """Return a definition of steps that need others, each of them, to have gone well."""
    edges = tuple(Edge(source=one, target=ref, required=True) for ref, others in needs.items() for one in others)
    return Definition(steps={spec.ref: spec for spec in steps}, edges=edges)


def if_(value: Json) -> Condition:
    place = Place()
    found = condition.read(value, place)
    assert found is not None, place.details
    return found


def statuses(world: World) -> dict[str, StepStatus]:
    return {ref: world.progress.status_of(ref) for ref in world.definition.steps}


def test_all_that_needs_a_failed_step_is_skipped_and_the_run_fails_once_the_rest_is_done() -> None:
    definition = after(
        a_step("bad", on_failure=OnFailure.SKIP_DEPENDENTS),
        a_step("good"),
        a_step("both"),
        a_step("last"),
        both=("bad", "good"),
        last=("both",),
    )
    world = a_world(definition)
    world.end("bad", failed(retryable=False))
    assert world.running == {"good"}
    world.complete("good")
    assert statuses(world)["both"] is StepStatus.SKIPPED
    assert statuses(world)["last"] is StepStatus.SKIPPED
    assert world.finish is not None
    assert world.finish.status is RunStatus.FAILED


def test_a_failure_that_the_run_goes_on_after_satisfies_what_needs_the_step() -> None:
    definition = after(a_step("bad", on_failure=OnFailure.CONTINUE), a_step("next"), next=("bad",))
    world = a_world(definition)
    world.end("bad", failed(retryable=False))
    world.complete("next")
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED


def test_of_the_steps_with_one_concurrency_key_one_runs_at_a_time() -> None:
    keyed = [replace(a_step(ref), concurrency_key="db") for ref in ("a", "b", "c")]
    world = a_world(after(*keyed, a_step("free")))
    assert world.running == {"a", "free"}
    world.complete("a")
    assert world.running == {"b", "free"}
    world.complete("b", "c", "free")
    assert world.finish is not None


def test_no_more_steps_of_a_resource_class_run_at_once_than_it_has_places() -> None:
    large = [replace(a_step(f"s{number}"), resource_class=ResourceClass.LARGE) for number in range(7)]
    world = a_world(after(*large))
    assert len(world.running) == ResourceClass.LARGE.most == 5
    world.complete(*sorted(world.running)[:1])
    assert len(world.running) == 5


def test_a_step_that_waits_holds_no_place_and_one_that_a_worker_is_at_does() -> None:
    world = a_world(after(a_step("a"), a_step("b"), a_step("c")), limits=Limits(parallel=1))
    assert world.running == {"a"}
    world.end("a", waiting("go"))
    assert (world.running, statuses(world)["a"]) == ({"b"}, StepStatus.WAITING)
    world.end("b", waiting("work", kind=WaitKind.JOB))
    assert (world.running, statuses(world)["b"]) == (set(), StepStatus.RUNNING)


def test_a_step_whose_condition_does_not_hold_is_skipped_and_satisfies_what_needs_it() -> None:
    no = if_({"type": "eq", "left": "{{ payload.n }}", "right": 4})
    definition = after(replace(a_step("maybe"), condition=no), a_step("next"), next=("maybe",))
    world = a_world(definition)
    assert world.running == {"next"}
    record = world.records["maybe"]
    assert (record.status, record.started_at, record.error and record.error.code) == (
        StepStatus.SKIPPED,
        None,
        "condition",
    )


def test_a_condition_sees_what_became_of_the_steps_before() -> None:
    rescued = if_({"type": "step_status", "step_ref": "bad", "status": "failed"})
    definition = after(
        a_step("bad", on_failure=OnFailure.CONTINUE), replace(a_step("rescue"), condition=rescued), rescue=("bad",)
    )
    world = a_world(definition)
    world.end("bad", failed(retryable=False))
    assert world.running == {"rescue"}


def test_a_condition_that_cannot_be_evaluated_fails_the_step() -> None:
    broken = if_({"type": "eq", "left": "{{ sum('x') }}", "right": 4})
    world = a_world(after(replace(a_step("only"), condition=broken)))
    assert world.finish is not None
    assert world.finish.error is not None
    assert (world.finish.status, world.finish.error.code) == (RunStatus.FAILED, "template")


def test_a_chain_of_steps_whose_conditions_do_not_hold_is_skipped_at_once_within_the_limit() -> None:
    no = if_({"type": "eq", "left": 1, "right": 2})
    steps = [replace(a_step(f"s{number}"), condition=no) for number in range(20)]
    needs = {f"s{number}": (f"s{number - 1}",) for number in range(1, 20)}
    world = a_world(after(*steps, **needs), limits=Limits(parallel=1))
    assert world.finish is not None
    assert {record.status for record in world.records.values()} == {StepStatus.SKIPPED}


def test_a_step_that_was_disabled_when_the_run_was_started_is_skipped() -> None:
    definition = after(a_step("off"), a_step("next"), next=("off",))
    world = a_world(definition, facts=replace(FACTS, disabled=("off",)))
    assert (world.running, statuses(world)["off"]) == ({"next"}, StepStatus.SKIPPED)


def test_nothing_is_claimed_while_a_repair_is_judged_and_the_run_looks_again_when_that_is_over() -> None:
    held = Limits(hold_until=T0 + seconds(2))
    world = World(after(a_step("a")), limits=held)
    decision = world.advance()
    assert (decision.claims, decision.wake_at) == ((), T0 + seconds(2))
    world.later(seconds(2))
    assert world.running == {"a"}


@pytest.mark.parametrize("fails", [True, False])
def test_earlier_attempts_stay_on_record(*, fails: bool) -> None:
    world = a_world(after(a_step("a", retries=2)))
    world.end("a", failed("first"))
    world.later(seconds(60))
    world.end("a", failed("second"))
    world.later(seconds(60))
    world.end("a", failed("third") if fails else completed("fine"))
    [first, second] = world.records["a"].attempts
    assert [(one.attempt, one.status, one.error and one.error.message) for one in (first, second)] == [
        (1, StepStatus.FAILED, "first"),
        (2, StepStatus.FAILED, "second"),
    ]
    assert first.finished_at == T0
    assert world.records["a"].attempt == 3


def test_an_output_is_what_the_steps_transform_makes_of_it() -> None:
    step = replace(a_step("a"), output_transform={"total": "{{ output.sum }}", "of": "{{ payload.n }}"})
    world = a_world(after(step))
    assert recording.transformed(world.progress, "a", completed({"sum": 7})) == completed({"total": 7, "of": 3})


def test_what_ends_a_wait_is_transformed_too() -> None:
    world = a_world(after(replace(a_step("a"), output_transform="{{ output.x }}")))
    world.end("a", waiting("go"))
    world.send(an_event("go", {"x": 1}))
    assert world.records["a"].output == 1
