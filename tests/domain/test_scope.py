"""What a step's templates see."""

from __future__ import annotations

import pytest

from chalicelib.domain import template
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.progress import Progress
from chalicelib.domain.scope import Scope
from chalicelib.domain.step import StepRecord, StepStatus
from chalicelib.domain.value import Json, Offloaded
from tests.domain.building import FACTS, T0, a_chain, a_definition, a_step, a_world, completed, failed

HANDLE = Offloaded(digest="ab", size=99)


def a_loop(ref: str, variable: str, *, block: str = "") -> StepSpec:
    config = {"loopType": "forEach", "collection": ["p", "q"], "itemVar": variable, "indexVar": f"{variable}_at"}
    return a_step(ref, StepType.LOOP, config=config, block=block)


def nested() -> Definition:
    steps = [
        a_step("before"),
        a_loop("outer", "o"),
        a_step("first", block="outer/body"),
        a_loop("inner", "i", block="outer/body"),
        a_step("work", block="inner/body"),
        a_step("after"),
    ]
    return a_definition(steps, ("before", "outer"), ("first", "inner"), ("outer", "after"))


def test_the_run_and_its_payload_are_seen_from_everywhere() -> None:
    scope = a_world(a_chain(1)).progress.scope("s0")
    assert scope.get("payload") == {"n": 3}
    assert scope.get("event") == {"payload": {"n": 3}, "timestamp": T0.isoformat()}
    assert template.evaluate("run.[id, workflow_id, version, triggered_by]", scope) == ["run", "wf", 1, "api"]
    assert scope.get("nothing") is None


def test_a_step_within_loops_sees_all_their_names_and_the_nearest_loops_item() -> None:
    world = a_world(nested())
    world.complete("before", "outer.0.first", "outer.0.inner.0.work", "outer.0.inner.1.work", "outer.1.first")
    world.complete("outer.1.inner.0.work")
    scope = world.progress.scope("outer.1.inner.1.work")
    names = ("o", "o_at", "i", "i_at", "item", "index")
    assert [scope.get(name) for name in names] == ["q", 1, "q", 1, "q", 1]
    outside = world.progress.scope("outer.1.inner")
    assert [outside.get(name) for name in names] == ["q", 1, None, None, "q", 1]


def test_a_ref_means_the_instance_of_the_same_iteration_and_nothing_inside_another_loop() -> None:
    world = a_world(nested())
    world.complete("before", "outer.0.first", "outer.0.inner.0.work")
    scope = world.progress.scope("outer.0.inner.1.work")
    assert scope.key_of("first") == "outer.0.first"
    assert scope.key_of("work") == "outer.0.inner.1.work"
    assert scope.key_of("before") == "before"
    assert scope.key_of("unknown") is None
    assert world.progress.scope("outer.0.inner").key_of("work") is None
    assert world.progress.scope("before").key_of("first") is None


def test_a_step_is_seen_with_its_output_status_and_error() -> None:
    definition = a_definition([a_step("a"), a_step("b"), a_step("mend")], ("a", "b"), ("b", "mend", "error"))
    world = a_world(definition)
    world.complete("a", output={"x": 1})
    world.end("b", failed("no stock"))
    scope = world.progress.scope("mend")
    error = {"code": "test", "message": "no stock", "step": "b"}
    assert template.evaluate("steps.a", scope) == {"output": {"x": 1}, "status": "completed", "error": None}
    assert template.evaluate("steps.b", scope) == {"output": None, "status": "failed", "error": error}
    assert template.evaluate("steps.mend", scope) is None
    assert template.evaluate("a.x", scope) == 1


def test_the_error_that_led_here_is_nearer_than_the_one_that_a_catch_caught() -> None:
    steps = [
        a_step("guard", StepType.TRY_CATCH),
        a_step("work", block="guard/try"),
        a_step("mend", block="guard/catch"),
        a_step("mend_again", block="guard/catch"),
    ]
    world = a_world(a_definition(steps, ("mend", "mend_again", "error")))
    world.end("work", failed("first"))
    assert template.evaluate("error.message", world.progress.scope("mend")) == "first"
    world.end("mend", failed("second"))
    assert template.evaluate("error.message", world.progress.scope("mend_again")) == "second"


def test_a_containers_names_are_not_seen_outside_it() -> None:
    steps = [
        a_step("guard", StepType.TRY_CATCH),
        a_step("work", block="guard/try"),
        a_step("mend", block="guard/catch"),
        a_step("last", block="guard/finally"),
    ]
    world = a_world(a_definition(steps))
    world.end("work", failed())
    world.complete("mend")
    assert world.progress.scope("last").get("error") is None


@pytest.mark.parametrize(
    ("output", "expression", "value"),
    [
        ({"status": 200, "headers": {}, "body": {"total": 5}}, "call.body.total", 5),
        ({"status": 200, "headers": {}, "body": {"total": 5}}, "call.total", 5),
        ({"status": 200, "headers": {}, "body": {"status": "shipped"}}, "call.status", 200),
        ({"status": 200, "headers": {}, "body": "text"}, "call.body", "text"),
        ({"status": 200, "headers": {}, "body": [1]}, "call.total", None),
    ],
)
def test_an_http_answers_fields_are_found_beside_its_own(output: Json, expression: str, value: Json) -> None:
    world = a_world(a_definition([a_step("call", StepType.HTTP_REQUEST), a_step("then")], ("call", "then")))
    world.complete("call", output=output)
    assert template.evaluate(expression, world.progress.scope("then")) == value


def test_only_http_answers_are_spread() -> None:
    world = a_world(a_chain(2))
    world.complete("s0", output={"body": {"total": 5}})
    assert template.evaluate("s0.total", world.progress.scope("s1")) is None


def with_offloaded_outputs(fetched: list[Offloaded]) -> Scope:
    def fetch(handle: Offloaded) -> Json:
        fetched.append(handle)
        return {"x": 1}

    definition = a_definition([a_step("a"), a_step("b"), a_step("c")], ("a", "b"), ("b", "c"))
    records = [
        StepRecord(key=key, status=StepStatus.COMPLETED, attempt=1, started_at=T0, finished_at=T0, output=HANDLE)
        for key in ("a", "b")
    ]
    return Progress.rebuild(definition, FACTS, records=records, resolve=fetch).scope("c")


@pytest.mark.parametrize(
    ("expression", "times"),
    [("a.x", 1), ("steps.a.output.x", 1), ("steps.a.status", 0), ("payload.n", 0), ("run.id", 0)],
)
def test_an_output_that_lies_elsewhere_is_fetched_only_when_it_is_named(expression: str, times: int) -> None:
    fetched: list[Offloaded] = []
    scope = with_offloaded_outputs(fetched)
    assert fetched == []
    template.evaluate(expression, scope)
    assert len(fetched) == times


def test_folding_the_records_fetches_no_output() -> None:
    fetched: list[Offloaded] = []
    scope = with_offloaded_outputs(fetched)
    assert scope.records["b"].output == HANDLE
    assert fetched == []


def test_outputs_are_as_they_were_recorded() -> None:
    world = a_world(a_chain(2))
    world.end("s0", completed({"deep": [1, {"a": None}]}))
    assert world.progress.scope("s1").get("s0") == {"deep": [1, {"a": None}]}
