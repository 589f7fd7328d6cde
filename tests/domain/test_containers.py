"""Loops, races and try_catch."""

from __future__ import annotations

import pytest

from chalicelib.domain import engine
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import Claim, StepRecord, StepStatus
from chalicelib.domain.value import Json
from tests.domain.building import (
    T0,
    a_definition,
    a_step,
    a_world,
    completed,
    failed,
    seconds,
)


def a_loop(ref: str = "each", *, block: str = "", **config: Json) -> StepSpec:
    return a_step(ref, StepType.LOOP, config={"itemVar": "order", "indexVar": "i", **config}, block=block)


def for_each(items: Json, *body: StepSpec) -> Definition:
    return a_definition([a_loop(loopType="forEach", collection=items), *body, a_step("after")], ("each", "after"))


def test_a_loop_runs_its_body_once_for_each_item_in_order() -> None:
    world = a_world(for_each("{{ payload.n && ['a', 'b'] }}", a_step("work", block="each/body")))
    assert world.running == {"each.0.work"}
    scope = world.progress.scope("each.0.work")
    assert (scope.get("order"), scope.get("i"), scope.get("item"), scope.get("index")) == ("a", 0, "a", 0)
    world.complete("each.0.work")
    assert world.running == {"each.1.work"}
    world.complete("each.1.work")
    assert world.running == {"after"}
    assert world.records["each"].output == ["each.0.work!", "each.1.work!"]


def test_a_step_in_a_loop_sees_its_own_iterations_steps() -> None:
    definition = a_definition(
        [
            a_loop(loopType="times", count=2),
            a_step("one", block="each/body"),
            a_step("two", block="each/body"),
            a_step("before"),
        ],
        ("before", "each"),
        ("one", "two"),
    )
    world = a_world(definition)
    world.complete("before", output="b")
    world.complete("each.0.one", "each.0.two")
    world.complete("each.1.one", output="second")
    scope = world.progress.scope("each.1.two")
    assert (scope.get("one"), scope.get("before"), scope.get("two")) == ("second", "b", None)


def test_an_empty_loop_answers_an_empty_list() -> None:
    world = a_world(for_each([], a_step("work", block="each/body")))
    assert world.records["each"].output == []
    assert world.running == {"after"}


def test_a_loop_ends_at_a_break_with_what_it_has() -> None:
    body = [a_step("work", block="each/body"), a_step("stop", StepType.BREAK, block="each/body")]
    definition = a_definition(
        [a_loop(loopType="forEach", collection=["a", "b", "c"]), *body, a_step("after")],
        ("each", "after"),
        ("work", "stop"),
    )
    world = a_world(definition)
    world.complete("each.0.work")
    world.end("each.0.stop", completed(output=False))
    world.complete("each.1.work")
    world.end("each.1.stop", completed(output=True))
    assert world.records["each"].output == ["each.0.work!", "each.1.work!"]
    assert world.running == {"after"}


def test_a_break_outside_a_loop_ends_the_run_as_complete() -> None:
    world = a_world(a_definition([a_step("stop", StepType.BREAK), a_step("after"), a_step("other")], ("stop", "after")))
    finish = world.end("stop", completed(output=True)).finish
    assert finish is not None
    assert finish.status is RunStatus.COMPLETED


def test_a_break_within_a_try_ends_the_loop_around_it() -> None:
    definition = a_definition(
        [
            a_loop(loopType="times", count=5),
            a_step("guard", StepType.TRY_CATCH, block="each/body"),
            a_step("stop", StepType.BREAK, block="guard/try"),
            a_step("mend", block="guard/catch"),
        ],
    )
    world = a_world(definition)
    finish = world.end("each.0.stop", completed(output=True)).finish
    assert finish is not None
    assert finish.output == []


def test_a_while_loop_sees_its_last_iteration() -> None:
    loop = a_loop(loopType="while", condition="poll.state != 'done'")
    world = a_world(a_definition([loop, a_step("poll", block="each/body")]))
    world.complete("each.0.poll", output={"state": "busy"})
    world.complete("each.1.poll", output={"state": "done"})
    assert world.finish is not None
    assert world.finish.output == [{"state": "busy"}, {"state": "done"}]


def test_a_loop_that_never_ends_is_failed() -> None:
    loop = a_loop(loopType="while", condition="`true`")
    world = a_world(a_definition([loop, a_step("poll", block="each/body")]))
    finish = world.run(lambda _claim: completed(1))
    assert finish.error is not None
    assert "1000 times" in finish.error.message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"loopType": "forEach", "collection": "{{ payload.n }}"}, "the collection is a number, not a list"),
        ({"loopType": "forEach", "collection": list(range(1001))}, "the limit is 1000"),
        ({"loopType": "times", "count": "{{ payload.missing }}"}, "the count is null"),
        ({"loopType": "times", "count": -1}, "the count is -1"),
        ({"loopType": "while", "condition": "payload..n"}, ""),
    ],
)
def test_a_loop_over_what_cannot_be_gone_over_fails_its_step(config: dict[str, Json], message: str) -> None:
    loop = a_step("each", StepType.LOOP, config={"itemVar": "order", "indexVar": "i", **config})
    world = a_world(a_definition([loop, a_step("work", block="each/body")]))
    assert world.finish is not None
    assert world.finish.error is not None
    assert message in world.finish.error.message
    assert world.finish.error.step == "each"


def test_a_failure_in_a_loops_body_fails_the_loop_and_its_error_edge_takes_it() -> None:
    definition = a_definition(
        [a_loop(loopType="times", count=2), a_step("work", block="each/body"), a_step("mend")],
        ("each", "mend", "error"),
    )
    world = a_world(definition)
    world.end("each.0.work", failed("no stock"))
    assert world.running == {"mend"}
    assert world.records["each"].status is StepStatus.FAILED


def nested() -> Definition:
    return a_definition(
        [
            a_loop("outer", loopType="forEach", collection=["a", "b"]),
            a_loop("inner", loopType="times", count=2, block="outer/body"),
            a_step("work", block="inner/body"),
        ],
    )


def test_loops_nest() -> None:
    world = a_world(nested())
    finish = world.run(lambda claim: completed(claim.key))
    assert finish.output == [
        ["outer.0.inner.0.work", "outer.0.inner.1.work"],
        ["outer.1.inner.0.work", "outer.1.inner.1.work"],
    ]


def test_a_loop_is_folded_from_its_records_at_any_point() -> None:
    world = a_world(nested())
    while world.finish is None:
        before = world.running
        world.reload()
        assert world.running == before
        world.complete(*world.running)
    assert len(world.started) == 4 + 2 + 1


def a_race() -> Definition:
    steps = [
        a_step("race", StepType.RACE),
        a_step("left", block="race/left"),
        a_step("left2", block="race/left"),
        a_step("right", block="race/right"),
        a_step("then"),
    ]
    return a_definition(steps, ("left", "left2"), ("race", "then"))


def test_the_first_arm_to_settle_wins_and_the_others_are_dropped() -> None:
    world = a_world(a_race())
    assert world.running == {"left", "right"}
    world.complete("left")
    assert world.running == {"left2", "right"}
    world.complete("right")
    assert world.running == {"then"}
    assert world.records["race"].output == {"winner": "right", "output": "right!"}
    assert not world.progress.counts("left2")


def test_the_first_arm_to_fail_fails_the_race() -> None:
    world = a_world(a_race())
    finish = world.end("right", failed("lost it")).finish
    assert finish is not None
    assert finish.status is RunStatus.FAILED


def test_of_two_arms_found_settled_the_earlier_wins_in_whatever_order_they_are_read() -> None:
    world = a_world(a_race())
    right = replace_time(world.progress, "right", 1)
    world.end("left", completed())
    world.records["left2"] = replace_time(world.progress, "left2", 5)
    world.records["right"] = right
    world.reload()
    world.advance()
    assert world.records["race"].branch == "right"


def replace_time(progress: Progress, key: str, at: float) -> StepRecord:
    return engine.conclude(progress, key, completed(key), now=T0 + seconds(at))


def guarded(*labels: str) -> Definition:
    blocks = [a_step(f"in_{label}", block=f"guard/{label}") for label in ("try", *labels)]
    return a_definition([a_step("guard", StepType.TRY_CATCH), *blocks, a_step("then")], ("guard", "then"))


def test_a_try_that_completes_runs_finally_and_goes_on() -> None:
    world = a_world(guarded("catch", "finally"))
    world.complete("in_try")
    assert world.running == {"in_finally"}
    world.complete("in_finally")
    assert world.running == {"then"}
    assert world.records["guard"].output == "in_try!"


def test_a_try_that_fails_runs_catch_with_the_error() -> None:
    world = a_world(guarded("catch", "finally"))
    world.end("in_try", failed("no stock"))
    assert world.running == {"in_catch"}
    error = world.progress.scope("in_catch").get("error")
    assert error == {"code": "test", "message": "no stock", "step": "in_try"}
    world.complete("in_catch")
    world.complete("in_finally")
    assert world.records["guard"].output == "in_catch!"
    assert world.running == {"then"}


@pytest.mark.parametrize("labels", [("finally",), ("catch", "finally")])
def test_a_failure_that_nothing_catches_goes_on_after_finally(labels: tuple[str, ...]) -> None:
    world = a_world(guarded(*labels))
    world.end("in_try", failed("first"))
    if "catch" in labels:
        world.end("in_catch", failed("first"))
    assert world.running == {"in_finally"}
    finish = world.complete("in_finally").finish
    assert finish is not None
    assert finish.error is not None
    assert finish.error.message == "first"


def test_a_failing_finally_fails_the_step() -> None:
    world = a_world(guarded("catch", "finally"))
    world.complete("in_try")
    finish = world.end("in_finally", failed("last")).finish
    assert finish is not None
    assert finish.error is not None
    assert finish.error.message == "last"


def test_a_failure_in_a_try_drops_what_runs_beside_it() -> None:
    steps = [
        a_step("guard", StepType.TRY_CATCH),
        a_step("a", block="guard/try"),
        a_step("b", block="guard/try"),
        a_step("mend", block="guard/catch"),
    ]
    world = a_world(a_definition(steps))
    world.end("a", failed())
    assert world.running == {"mend"}
    assert not world.progress.counts("b")


def test_a_container_is_claimed_without_a_deadline_and_is_never_lost() -> None:
    world = a_world(guarded("catch"))
    claim: Claim = world.progress.claims["guard"]
    assert (claim.owner, claim.deadline) == ("", None)
