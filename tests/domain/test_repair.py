"""What people do to steps: legal or declined from every status, and what the run makes of it, reloaded or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from chalicelib.domain import repair
from chalicelib.domain.definition import OnFailure
from chalicelib.domain.refusal import BadRequest, Conflict, Refusal
from chalicelib.domain.repair import LEGAL, StepVerb
from chalicelib.domain.run import Run, RunCommand, RunStatus, move
from chalicelib.domain.step import StepError, StepStatus, Wait, WaitKind
from chalicelib.domain.timeline import Entry, entry
from chalicelib.domain.value import Json
from tests.domain.building import T0, World, a_step, a_world, an_event, completed, failed, seconds
from tests.domain.building import waiting as waits
from tests.domain.test_starting import after

DIAMOND = after(
    a_step("top"), a_step("left"), a_step("right"), a_step("end"), left=("top",), right=("top",), end=("left", "right")
)


def a_run(world: World, **parts: object) -> Run:
    known: dict[str, object] = {
        "status": world.finish.status if world.finish else RunStatus.RUNNING,
        "finished_at": world.now if world.finish else None,
    }
    return Run(
        id="run",
        project_id="p",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="c",
        triggered_by="api",
        created_by="ada",
        created_at=T0,
        updated_at=T0,
        resets=world.facts.resets,
        **{**known, **parts},  # type: ignore[arg-type] # a test names the parts
    )


def step(world: World, key: str) -> Entry:
    found = entry(a_run(world), world.progress, key)
    assert found is not None
    return found


def decide(world: World, key: str, verb: StepVerb, output: Json = None) -> None:
    """Have a verb write the step's record, and a driver come back to it."""
    repair.judged(a_run(world), world.progress, key, verb)
    error = StepError(code="skipped", message="why") if verb in {StepVerb.SKIP, StepVerb.REJECT} else None
    world.keep(repair.decided(world.progress, key, verb, now=world.now, output=output, error=error))
    world.reload()
    world.advance()


def begin_anew(world: World, key: str, verb: StepVerb) -> int:
    """Have a verb reset steps, reopening the run if it has ended; return how many there are."""
    run = a_run(world)
    of = repair.judged(run, world.progress, key, verb)
    assert of is not None
    reset = repair.reset(run, world.progress, of, verb)
    if run.status.ended:
        run, _ = move(run, RunCommand.REOPEN, actor="ada", at=world.now)
    world.facts = replace(world.facts, resets=(*world.facts.resets, reset))
    world.finish = None
    count = len(repair.subtree(world.progress, key))
    world.reload()
    world.advance()
    return count


def statuses(world: World) -> dict[str, str]:
    run = a_run(world)
    found = {ref: entry(run, world.progress, ref) for ref in world.definition.steps}
    return {ref: str(one.status) for ref, one in found.items() if one is not None}


@dataclass(frozen=True, kw_only=True)
class At:
    """A step in a status, for real."""

    world: World
    key: str = "b"


LINE = after(a_step("a", on_failure=OnFailure.SKIP_DEPENDENTS), a_step("b"), a_step("z"), b=("a",))


def _pending() -> At:
    return At(world=a_world(LINE))


def _running() -> At:
    world = a_world(LINE)
    world.complete("a")
    return At(world=world)


def _waiting() -> At:
    world = a_world(LINE)
    world.complete("a")
    world.end("b", waits("approval-b", kind=WaitKind.APPROVAL))
    return At(world=world)


def _ended(status: StepStatus) -> At:
    at = _running()
    at.world.end("b", completed("x") if status is StepStatus.COMPLETED else failed(retryable=False))
    return at


def _failed() -> At:
    definition = after(a_step("a"), replace(a_step("b"), on_failure=OnFailure.CONTINUE), a_step("z"), b=("a",))
    world = a_world(definition)
    world.complete("a")
    world.end("b", failed(retryable=False))
    return At(world=world)


def _skipped() -> At:
    world = a_world(LINE)
    world.end("a", failed(retryable=False))
    return At(world=world)


REACHED: dict[StepStatus, Callable[[], At]] = {
    StepStatus.PENDING: _pending,
    StepStatus.RUNNING: _running,
    StepStatus.WAITING: _waiting,
    StepStatus.COMPLETED: lambda: _ended(StepStatus.COMPLETED),
    StepStatus.FAILED: _failed,
    StepStatus.SKIPPED: _skipped,
}


@pytest.mark.parametrize("verb", StepVerb)
@pytest.mark.parametrize("status", REACHED)
def test_a_verb_is_taken_where_the_table_says_so(status: StepStatus, verb: StepVerb) -> None:
    at = REACHED[status]()
    run, of = a_run(at.world), step(at.world, at.key)
    assert of.status is status
    refused = repair.refusal(run, at.world.progress, of, verb)
    assert (refused is None) == (status in LEGAL[verb]), refused
    assert (verb in repair.available(run, at.world.progress, of)) == (refused is None)


@pytest.mark.parametrize("verb", [StepVerb.SKIP, StepVerb.FORCE_COMPLETE, StepVerb.APPROVE, StepVerb.REJECT])
def test_a_step_of_a_run_that_has_ended_can_only_begin_anew(verb: StepVerb) -> None:
    world = a_world(after(a_step("a"), a_step("b")))
    world.end("a", failed(retryable=False))
    run = a_run(world)
    of = entry(run, world.progress, "a")
    assert of is not None
    refused = repair.refusal(run, world.progress, of, verb)
    assert isinstance(refused, BadRequest)
    assert set(repair.available(run, world.progress, of)) == {StepVerb.RETRY, StepVerb.REPLAY}


def test_a_step_that_is_skipped_before_its_turn_satisfies_what_needs_it_at_once() -> None:
    world = a_world(after(a_step("a"), a_step("b"), a_step("c"), b=("a",), c=("b",)))
    decide(world, "b", StepVerb.SKIP)
    assert world.running == {"a", "c"}
    world.complete("c", "a")
    assert world.finish is not None
    assert statuses(world) == {"a": "completed", "b": "skipped", "c": "completed"}


def test_a_failure_before_a_step_that_was_forced_does_not_undo_it() -> None:
    definition = after(a_step("a", on_failure=OnFailure.SKIP_DEPENDENTS), a_step("b"), a_step("c"), b=("a",), c=("b",))
    world = a_world(definition)
    decide(world, "b", StepVerb.FORCE_COMPLETE, "given")
    world.end("a", failed(retryable=False))
    world.complete("c")
    assert statuses(world) == {"a": "failed", "b": "completed", "c": "completed"}
    assert world.records["b"].output == "given"


def test_a_failed_step_that_is_force_completed_lets_what_it_had_skipped_go_on() -> None:
    world = _skipped().world
    decide(world, "a", StepVerb.FORCE_COMPLETE, "given")
    assert world.running == {"b", "z"}
    [first] = world.records["a"].attempts
    assert (first.status, world.records["a"].status) == (StepStatus.FAILED, StepStatus.COMPLETED)


def test_a_step_between_two_attempts_is_skipped_and_keeps_what_it_tried() -> None:
    world = a_world(after(a_step("a", retries=3), a_step("b"), b=("a",)))
    world.end("a", failed("once"))
    decide(world, "a", StepVerb.SKIP)
    assert world.running == {"b"}
    assert [one.error and one.error.message for one in world.records["a"].attempts] == ["once"]


def test_a_failed_step_tried_again_reopens_the_run_and_only_what_had_not_completed_runs() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left")
    world.end("right", failed(retryable=False))
    assert world.finish is not None
    assert statuses(world) == {"top": "completed", "left": "completed", "right": "failed", "end": "canceled"}
    begin_anew(world, "right", StepVerb.RETRY)
    assert world.running == {"right"}
    assert (step(world, "right").attempt, step(world, "right").generation) == (2, 2)
    world.complete("right", "end")
    assert world.started == [("top", 1), ("left", 1), ("right", 1), ("right", 2), ("end", 1)]


def test_what_was_under_way_when_the_run_ended_begins_anew_with_it() -> None:
    world = a_world(DIAMOND)
    world.complete("top")
    world.end("right", failed(retryable=False))
    assert statuses(world)["left"] == "canceled"
    begin_anew(world, "right", StepVerb.RETRY)
    assert world.running == {"left", "right"}
    [cut_short] = step(world, "left").attempts
    assert (cut_short.attempt, cut_short.status, step(world, "left").attempt) == (1, StepStatus.CANCELED, 2)
    world.complete("left", "right", "end")
    assert statuses(world) == dict.fromkeys(("top", "left", "right", "end"), "completed")


def test_replaying_one_arm_of_a_diamond_keeps_the_other() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left", "right", "end")
    assert begin_anew(world, "left", StepVerb.REPLAY) == 2
    assert statuses(world) == {"top": "completed", "left": "running", "right": "completed", "end": "pending"}
    world.complete("left", output="new")
    world.complete("end")
    assert (world.records["left"].output, world.records["right"].output) == ("new", "right!")
    assert [(one.attempt, one.output) for one in world.records["left"].attempts] == [(1, "left!")]


def test_replaying_twice_comes_to_the_same_as_once() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left", "right", "end")
    for _ in range(2):
        begin_anew(world, "top", StepVerb.REPLAY)
        world.complete("top", "left", "right", "end")
    assert statuses(world) == dict.fromkeys(("top", "left", "right", "end"), "completed")
    assert [record.attempt for record in world.records.values()] == [3, 3, 3, 3]


def test_a_step_that_runs_keeps_what_leads_to_it_from_being_replayed() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left")
    run, of = a_run(world), step(world, "top")
    assert isinstance(repair.refusal(run, world.progress, of, StepVerb.REPLAY), Conflict)


def test_replaying_a_step_whose_descendant_waits_has_the_wait_begin_anew() -> None:
    world = a_world(DIAMOND)
    world.complete("top", "left")
    world.end("right", waits("go"))
    begin_anew(world, "right", StepVerb.REPLAY)
    assert world.running == {"right"}


def test_an_event_that_ended_a_wait_does_not_end_it_again_once_the_step_begins_anew() -> None:
    world = a_world(after(a_step("a"), a_step("b"), b=("a",)))
    world.end("a", waits("go"))
    world.send(an_event("go", {"n": 1}))
    world.complete("b")
    begin_anew(world, "a", StepVerb.REPLAY)
    world.end("a", waits("go"))
    assert statuses(world)["a"] == "waiting"
    world.send(an_event("go", {"n": 2}, id_="e2"))
    assert world.records["a"].output == {"n": 2}


def test_what_was_skipped_by_a_condition_is_asked_again_when_the_step_before_begins_anew() -> None:
    from tests.domain.test_starting import if_  # noqa: PLC0415 - its only use

    good = if_({"type": "step_status", "step_ref": "a", "status": "completed"})
    definition = after(a_step("a", on_failure=OnFailure.CONTINUE), replace(a_step("b"), condition=good), b=("a",))
    world = a_world(definition)
    world.end("a", failed(retryable=False))
    assert statuses(world)["b"] == "skipped"
    begin_anew(world, "a", StepVerb.RETRY)
    world.complete("a")
    assert world.running == {"b"}


def test_a_step_that_nothing_leads_to_runs_all_the_same_when_a_person_has_it_begin_anew() -> None:
    world = _skipped().world
    begin_anew(world, "b", StepVerb.RETRY)
    assert world.running == {"b", "z"}
    world.complete("b", "z")
    assert statuses(world) == {"a": "failed", "b": "completed", "z": "completed"}


def test_a_retried_step_keeps_what_had_run_after_it() -> None:
    definition = after(a_step("a", on_failure=OnFailure.CONTINUE), a_step("b"), b=("a",))
    world = a_world(definition)
    world.end("a", failed(retryable=False))
    world.complete("b")
    begin_anew(world, "a", StepVerb.RETRY)
    assert world.running == {"a"}
    world.complete("a")
    assert world.finish is not None
    assert [record.attempt for record in world.records.values()] == [2, 1]


def test_a_retry_of_the_run_carries_over_what_had_completed_and_nothing_that_waits_outside() -> None:
    world = a_world(DIAMOND)
    world.end("top", waits("child", kind=WaitKind.CHILD))
    world.send(an_event("child", "of the child"))
    world.complete("left")
    world.end("right", failed(retryable=False))
    carried = {record.key: record for record in repair.carried(a_run(world), world.progress)}
    assert set(carried) == {"top", "left"}
    assert (carried["top"].wait, carried["top"].event_id, carried["top"].output) == (None, None, "of the child")
    again = World(DIAMOND, records=dict(carried))
    again.advance()
    assert again.running == {"right"}


def test_what_completed_after_the_run_was_canceled_is_not_carried_over() -> None:
    world = a_world(DIAMOND)
    world.complete("top")
    canceled_at = world.now
    world.later(seconds(1))
    world.complete("left")
    run = a_run(world, status=RunStatus.CANCELED, finished_at=canceled_at)
    assert [record.key for record in repair.carried(run, world.progress)] == ["top"]


def test_a_wait_that_is_decided_by_a_person_is_the_same_attempt_as_when_it_began() -> None:
    world = a_world(after(a_step("a")))
    world.end("a", waits("approval-a", kind=WaitKind.APPROVAL))
    began = world.now
    world.later(seconds(60))
    decide(world, "a", StepVerb.APPROVE, {"approved": True})
    record = world.records["a"]
    assert (record.attempt, record.started_at, record.finished_at) == (1, began, world.now)
    assert (record.attempts, record.wait) == ((), Wait(kind=WaitKind.APPROVAL, event_type="approval-a"))


def test_more_resets_than_a_run_can_hold_are_refused() -> None:
    world = a_world(after(a_step("a")))
    world.complete("a")
    run = a_run(world)
    full = replace(
        run, resets=run.resets + (repair.reset(run, world.progress, step(world, "a"), StepVerb.RETRY),) * 200
    )
    refused: Refusal | None = repair.refusal(full, world.progress, step(world, "a"), StepVerb.RETRY)
    assert isinstance(refused, Conflict)
    assert "200" in refused.message


def test_a_step_that_is_not_there_is_none() -> None:
    world = a_world(DIAMOND)
    assert repair.judged(a_run(world), world.progress, "nowhere", StepVerb.SKIP) is None
