from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.run import RunStatus
from chalicelib.domain.timings import Timing, critical_path, timings
from chalicelib.domain.value import Json
from tests.domain.building import T0, World, a_definition, a_step, a_world, seconds, waiting
from tests.domain.looking import a_case, a_run


def path(world: World) -> tuple[str, ...]:
    case = a_case(world)
    return critical_path(case.run, world.definition, case.entries, now=case.now)


def times(world: World, status: RunStatus = RunStatus.RUNNING, **parts: object) -> dict[str, Timing]:
    case = a_case(world, a_run(status, **parts))
    return {one.entry.key: one for one in timings(case.run, world.definition, case.entries, now=case.now)}


def a_diamond() -> Definition:
    return a_definition([a_step(ref) for ref in ("a", "b", "c", "d")], ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


def through(world: World, *lengths: tuple[str, float]) -> None:
    """Complete steps, each after so many seconds."""
    for key, length in lengths:
        world.now += seconds(length)
        world.complete(key)


def test_the_path_goes_by_the_arm_that_took_longer() -> None:
    world = a_world(a_diamond())
    through(world, ("a", 1), ("b", 2), ("c", 5), ("d", 1))
    # The arms ran side by side: b for two seconds, c for seven.
    assert path(world) == ("a", "c", "d")


def test_of_two_arms_that_took_as_long_the_first_counts() -> None:
    world = a_world(a_diamond())
    through(world, ("a", 1), ("b", 2), ("c", 0))
    assert path(world) == ("a", "b")


def test_where_nothing_has_taken_time_there_is_no_path() -> None:
    assert path(a_world(a_diamond())) == ()


def test_a_step_that_goes_on_counts_until_now_and_one_cut_off_until_the_runs_end() -> None:
    world = a_world(a_diamond())
    world.now += seconds(4)
    assert path(world) == ("a",)
    assert times(world)["a"].duration == seconds(4)
    cut_off = times(world, RunStatus.CANCELED, finished_at=T0 + seconds(3))
    assert (cut_off["a"].duration, cut_off["b"].duration) == (seconds(3), None)


def test_a_step_stands_in_line_from_when_the_last_before_it_ended() -> None:
    world = a_world(a_diamond())
    through(world, ("a", 1), ("b", 2))
    world.now += seconds(3)
    world.complete("c")
    found = times(world)
    assert (found["a"].in_line, found["b"].in_line, found["d"].in_line) == (timedelta(), timedelta(), timedelta())
    late = a_world(a_diamond(), status=RunStatus.PAUSED)
    late.now += seconds(9)
    late.status = RunStatus.RUNNING
    late.advance()
    assert times(late)["a"].in_line == seconds(9)
    assert times(late)["d"].in_line is None


def test_what_a_loop_holds_is_part_of_its_time_and_no_part_of_the_path() -> None:
    config: dict[str, Json] = {"loopType": "times", "count": 2, "itemVar": "item", "indexVar": "i"}
    steps = [a_step("each", StepType.LOOP, config=config), a_step("one", block="each/body"), a_step("after")]
    world = a_world(a_definition(steps, ("each", "after")))
    through(world, ("each.0.one", 1), ("each.1.one", 2), ("after", 1))
    found = times(world)
    assert path(world) == ("each", "after")
    assert (found["each"].duration, found["each.1.one"].duration) == (seconds(3), seconds(2))
    assert found["each.0.one"].in_line == timedelta()
    assert not found["each.1.one"].on_critical_path


def test_a_wait_is_part_of_a_steps_time() -> None:
    world = a_world(a_definition([a_step("w", StepType.WAIT_FOR_EVENT)]))
    world.end("w", waiting("go"))
    world.now += seconds(60)
    assert times(world)["w"].duration == seconds(60)
