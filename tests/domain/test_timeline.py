from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.outcome import Completed
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.timeline import Entry, timeline
from chalicelib.domain.value import Json
from tests.domain.building import T0, World, a_definition, a_step, a_world, an_event, failed, seconds, waiting

PENDING, WAITING, RUNNING = StepStatus.PENDING, StepStatus.WAITING, StepStatus.RUNNING
COMPLETED, FAILED = StepStatus.COMPLETED, StepStatus.FAILED
SKIPPED, CANCELED = StepStatus.SKIPPED, StepStatus.CANCELED


def a_run(status: RunStatus = RunStatus.RUNNING, *, finished_at: datetime | None = None) -> Run:
    return Run(
        id="run",
        project_id="proj",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="conn",
        status=status,
        triggered_by="api",
        created_by="ada",
        created_at=T0,
        updated_at=T0,
        finished_at=finished_at,
    )


def entries(world: World, run: Run | None = None) -> dict[str, Entry]:
    """The timeline as a driver that has just loaded the run would have it."""
    world.reload()
    return {entry.key: entry for entry in timeline(run or a_run(), world.progress)}


def statuses(world: World, run: Run | None = None) -> dict[str, StepStatus]:
    return {key: entry.status for key, entry in entries(world, run).items()}


def a_choice() -> Definition:
    branches = {"branches": [{"label": "big", "condition": "x"}, {"label": "small", "condition": ""}]}
    return a_definition(
        [a_step("choose", StepType.BRANCH, config=branches), a_step("big"), a_step("small"), a_step("end")],
        ("choose", "big", "big"),
        ("choose", "small", "small"),
        ("big", "end"),
        ("small", "end"),
    )


def a_loop(count: int) -> Definition:
    config: dict[str, Json] = {"loopType": "times", "count": count, "itemVar": "item", "indexVar": "i"}
    steps = [
        a_step("each", StepType.LOOP, config=config),
        a_step("one", block="each/body"),
        a_step("two", block="each/body"),
        a_step("after"),
    ]
    return a_definition(steps, ("one", "two"), ("each", "after"))


def a_race() -> Definition:
    steps = [
        a_step("first", StepType.RACE),
        a_step("fast", block="first/fast"),
        a_step("slow", block="first/slow"),
        a_step("slower", block="first/slow"),
    ]
    return a_definition(steps, ("slow", "slower"))


def a_try() -> Definition:
    steps = [
        a_step("guard", StepType.TRY_CATCH),
        a_step("risky", block="guard/try"),
        a_step("rescue", block="guard/catch"),
    ]
    return a_definition(steps)


def test_a_step_is_running_while_it_is_claimed_and_pending_before() -> None:
    world = a_world(a_definition([a_step("a"), a_step("b")], ("a", "b")))

    found = entries(world)

    assert {key: entry.status for key, entry in found.items()} == {"a": RUNNING, "b": PENDING}
    assert (found["a"].attempt, found["a"].started_at, found["a"].finished_at) == (1, T0, None)
    assert (found["b"].attempt, found["b"].started_at, found["b"].duration) == (0, None, None)


def test_a_step_that_has_ended_says_how_long_it_took_and_waited_nothing() -> None:
    world = a_world(a_definition([a_step("a", name="First")]))
    world.now += seconds(3)
    world.complete("a")

    entry = entries(world)["a"]

    assert (entry.name, entry.type, entry.status) == ("First", StepType.TRANSFORM, COMPLETED)
    assert (entry.duration, entry.waited) == (seconds(3), None)


def test_a_step_that_waits_says_for_what_and_then_for_how_long() -> None:
    world = a_world(a_definition([a_step("w", StepType.WAIT_FOR_EVENT)]))
    world.end("w", waiting("go"))

    seen = entries(world)["w"]
    assert (seen.status, seen.waited) == (WAITING, None)
    assert seen.wait is not None
    assert seen.wait.kind is WaitKind.EVENT

    world.now += seconds(60)
    world.send(an_event("go", at=world.now))
    assert (entries(world)["w"].status, entries(world)["w"].waited) == (COMPLETED, seconds(60))


def test_between_two_attempts_a_step_is_pending_with_its_error_and_then_running_again() -> None:
    world = a_world(a_definition([a_step("a", retries=1)]))
    world.end("a", failed("flaky"))

    between = entries(world)["a"]
    assert (between.status, between.attempt) == (PENDING, 1)
    assert between.error is not None
    assert between.retry_at is not None

    world.now = between.retry_at
    world.advance()
    again = entries(world)["a"]
    assert (again.status, again.attempt, again.started_at, again.error) == (RUNNING, 2, world.now, None)


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.CANCELED])
def test_the_way_not_taken_is_skipped_however_the_run_goes_on(status: RunStatus) -> None:
    world = a_world(a_choice())
    world.end("choose", Completed(branch="small", output={"branch": "small"}))

    assert statuses(world, a_run(status))["big"] is SKIPPED
    assert entries(world)["choose"].branch == "small"


def test_what_a_run_that_failed_did_not_reach_is_canceled() -> None:
    world = a_world(a_definition([a_step("a"), a_step("b"), a_step("c")], ("a", "b")))
    world.end("a", failed("broken"))

    found = statuses(world, a_run(RunStatus.FAILED, finished_at=T0))

    assert found == {"a": FAILED, "b": CANCELED, "c": CANCELED}


def test_what_waited_or_was_between_attempts_when_the_run_was_canceled_is_canceled() -> None:
    world = a_world(a_definition([a_step("w", StepType.WAIT_FOR_EVENT), a_step("r", retries=1), a_step("x")]))
    world.end("w", waiting("go"))
    world.end("r", failed("flaky"))

    assert statuses(world, a_run(RunStatus.CANCELED, finished_at=T0)) == {"w": CANCELED, "r": CANCELED, "x": CANCELED}


def test_a_result_that_came_after_the_run_was_canceled_does_not_count() -> None:
    world = a_world(a_definition([a_step("before"), a_step("late")]))
    world.complete("before")
    world.now += seconds(2)
    world.complete("late")

    found = statuses(world, a_run(RunStatus.CANCELED, finished_at=T0 + seconds(1)))

    assert found == {"before": COMPLETED, "late": CANCELED}


def test_each_iteration_of_a_loop_has_entries_of_its_own_in_the_order_of_their_starts() -> None:
    world = a_world(a_loop(2))
    for key in ("each.0.one", "each.0.two", "each.1.one"):
        world.now += seconds(1)
        world.complete(key)

    found = list(entries(world))

    assert found == ["each", "each.0.one", "each.0.two", "each.1.one", "each.1.two", "after"]
    assert statuses(world) == {
        "each": RUNNING,
        "each.0.one": COMPLETED,
        "each.0.two": COMPLETED,
        "each.1.one": COMPLETED,
        "each.1.two": RUNNING,
        "after": PENDING,
    }


def test_the_body_of_a_loop_that_never_went_round_is_shown_once_and_skipped() -> None:
    world = a_world(a_loop(0))

    assert statuses(world) == {"each": COMPLETED, "after": RUNNING, "one": SKIPPED, "two": SKIPPED}


def test_the_arms_that_lost_a_race_are_canceled_where_they_ran_and_skipped_where_they_had_not_begun() -> None:
    world = a_world(a_race())
    world.complete("fast")

    found = statuses(world, a_run(RunStatus.COMPLETED, finished_at=T0))

    assert found == {"first": COMPLETED, "fast": COMPLETED, "slow": CANCELED, "slower": SKIPPED}
    assert entries(world)["first"].branch == "fast"


def test_a_catch_is_pending_while_its_try_may_fail_and_skipped_once_it_has_not() -> None:
    world = a_world(a_try())
    assert statuses(world) == {"guard": RUNNING, "risky": RUNNING, "rescue": PENDING}

    world.complete("risky")
    assert statuses(world) == {"guard": COMPLETED, "risky": COMPLETED, "rescue": SKIPPED}


def test_a_container_on_a_way_not_taken_takes_its_steps_with_it() -> None:
    steps = [
        *a_choice().steps.values(),
        replace(a_step("inside"), block="big/try"),
        replace(a_step("rescue"), block="big/catch"),
    ]
    steps[1] = replace(steps[1], type=StepType.TRY_CATCH)
    world = a_world(replace(a_choice(), steps={spec.ref: spec for spec in steps}))
    world.end("choose", Completed(branch="small", output={"branch": "small"}))

    found = statuses(world)

    assert (found["big"], found["inside"], found["rescue"]) == (SKIPPED, SKIPPED, SKIPPED)
