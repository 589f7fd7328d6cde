"""What began anew goes on anew, whatever crashes and whatever comes late."""

from __future__ import annotations

from chalicelib.domain import engine
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.step import StepStatus
from tests.domain.building import a_step, a_world, completed, failed
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
