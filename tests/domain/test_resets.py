"""What began anew goes on anew, whatever crashes and whatever comes late."""

from __future__ import annotations

import pytest

from chalicelib.domain import engine
from chalicelib.domain.definition import OnFailure, StepType
from chalicelib.domain.refusal import Conflict
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from tests.domain.building import a_definition, a_step, a_world, completed, failed, waiting
from tests.domain.test_repair import DIAMOND, begin_anew, step
from tests.domain.test_starting import after


def test_a_step_that_began_anew_is_still_under_way_once_its_driver_is_lost() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left", "right", "end")
    begin_anew(world, "left", StepVerb.RETRY)
    world.reload()
    assert world.running == {"left"}
    assert [one.output for one in step(world, "left").attempts] == ["left!"]
    world.complete("left", output="new")
    assert world.records["left"].output == "new"


def test_a_failed_step_that_began_anew_does_not_fail_the_run_again_once_its_driver_is_lost() -> None:
    world = a_world(after(a_step("a")))
    world.end("a", failed(retryable=False))
    begin_anew(world, "a", StepVerb.RETRY)
    world.reload()
    world.advance()
    assert world.running == {"a"}


def test_a_result_that_comes_after_its_step_began_anew_is_a_past_attempts() -> None:
    world = a_world(after(a_step("slow"), a_step("bad")))
    late = engine.conclude(world.progress, "slow", completed("old"), now=world.now)
    world.end("bad", failed(retryable=False))
    begin_anew(world, "slow", StepVerb.RETRY)
    begin_anew(world, "bad", StepVerb.RETRY)
    assert world.running == {"slow", "bad"}
    world.keep(late)
    world.reload()
    assert world.running == {"slow", "bad"}
    assert [(one.output, one.status) for one in step(world, "slow").attempts] == [("old", StepStatus.COMPLETED)]
    world.complete("slow", "bad")
    assert world.records["slow"].output == "slow!"


def test_what_runs_in_a_container_is_still_under_way_once_a_step_before_it_has_run_anew() -> None:
    race = [a_step("race", StepType.RACE), a_step("left", block="race/left"), a_step("right", block="race/right")]
    world = a_world(a_definition([a_step("a"), *race], ("a", "race")))
    world.complete("a")
    world.end("left", waiting("l"))
    world.end("right", waiting("r"))
    opened = world.progress.claims["race"]
    begin_anew(world, "a", StepVerb.RETRY)
    assert world.running == {"a"}
    assert world.progress.is_needed(opened)
    world.complete("a")
    assert (world.progress.claims["race"], set(world.progress.waiting)) == (opened, {"left", "right"})


def test_a_failure_that_the_run_had_ended_by_does_not_end_it_again_before_what_begins_anew_is_through() -> None:
    world = a_world(after(a_step("a"), a_step("bad"), a_step("next"), next=("bad",)))
    world.complete("a")
    world.end("bad", failed(retryable=False))
    assert world.finish is not None
    begin_anew(world, "a", StepVerb.REPLAY)
    assert world.running == {"a"}
    assert world.advance().finish is None
    world.complete("a", output="new")
    assert world.finish is not None
    assert (world.finish.status, world.records["a"].output) == (RunStatus.FAILED, "new")


def test_a_step_cannot_begin_anew_while_what_comes_after_it_runs() -> None:
    world = a_world(after(a_step("a", on_failure=OnFailure.CONTINUE), a_step("b"), b=("a",)))
    world.end("a", failed(retryable=False))
    with pytest.raises(Conflict, match="b, which comes after it, is running"):
        begin_anew(world, "a", StepVerb.RETRY)


def test_a_run_that_is_reopened_in_a_container_with_a_break_on_record_ends_again() -> None:
    inner = [a_step("guard", StepType.TRY_CATCH), a_step("stop", StepType.BREAK, block="guard/try")]
    world = a_world(a_definition([a_step("a"), *inner, a_step("slow", block="guard/try")]))
    world.complete("a")
    world.end("stop", completed(output=True))
    assert world.finish is not None
    begin_anew(world, "a", StepVerb.RETRY)
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED


def test_a_step_that_nothing_leads_to_runs_again_when_it_begins_anew_once_more() -> None:
    bad = a_step("bad", on_failure=OnFailure.SKIP_DEPENDENTS)
    world = a_world(after(bad, a_step("next"), next=("bad",)))
    world.end("bad", failed(retryable=False))
    for output in ("first", "second"):
        begin_anew(world, "next", StepVerb.RETRY)
        assert world.running == {"next"}
        world.complete("next", output=output)
    assert world.records["next"].output == "second"
