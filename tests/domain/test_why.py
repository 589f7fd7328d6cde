from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from chalicelib.domain.definition import ResourceClass, StepType
from chalicelib.domain.explain import Case, Cause, Reason, explain
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.outcome import Waiting
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepError, StepStatus, Wait, WaitKind
from chalicelib.domain.why import BlockerKind, Why, why
from tests.domain.building import T0, World, a_definition, a_step, a_world, failed, seconds, waiting
from tests.domain.looking import a_case, a_run


def asked(case: Case, *, approver: bool = True) -> Why:
    return why(case, manners=WORKFLOW_RUNS_API, may_decide=lambda _step, _wait: approver)


def reasons(case: Case) -> Mapping[str, tuple[Reason, ...]]:
    return {one.entry.key: one.reasons for one in explain(case)}


def causes(case: Case) -> dict[str, list[Cause]]:
    return {key: [reason.cause for reason in found] for key, found in reasons(case).items()}


def three_at_once(**parts: object) -> World:
    steps = [replace(a_step(ref), **parts) for ref in ("a", "b", "c")]  # type: ignore[arg-type] # a test names them
    return a_world(a_definition(steps))


def test_a_step_between_two_attempts_says_what_failed_and_when_the_next_is_due() -> None:
    world = a_world(a_definition([a_step("a", retries=1)]))
    world.end("a", failed("flaky"))

    case = a_case(world)
    [reason] = reasons(case)["a"]
    assert (reason.cause, reason.message) == (Cause.RETRY, "attempt 1 failed: flaky; attempt 2 follows")
    assert (reason.since, reason.until) == (T0, case.by_key["a"].retry_at)
    [blocker] = asked(case).waiting_on
    assert (blocker.kind, blocker.until) == (BlockerKind.RETRY, reason.until)


def test_between_two_attempts_of_a_paused_run_both_are_told_and_the_attempt_counts_until_it_is_due() -> None:
    world = a_world(a_definition([a_step("a", retries=1)]))
    world.end("a", failed("flaky"))
    world.status = RunStatus.PAUSED

    assert causes(a_case(world))["a"] == [Cause.PAUSED, Cause.RETRY]
    assert [one.kind for one in asked(a_case(world)).waiting_on] == [BlockerKind.PAUSE, BlockerKind.RETRY]
    due = a_case(world, now=T0 + seconds(60))
    assert [one.kind for one in asked(due).waiting_on] == [BlockerKind.PAUSE, BlockerKind.PAUSE]


def test_a_step_over_the_limit_says_which_in_the_order_in_which_they_are_checked() -> None:
    world = three_at_once(concurrency_key="till")
    assert causes(a_case(world)) == {
        "a": [Cause.UNDER_WAY],
        "b": [Cause.CONCURRENCY_KEY],
        "c": [Cause.CONCURRENCY_KEY],
    }
    assert reasons(a_case(world))["b"][0].message == "concurrency_key till is held by a"
    full = a_case(world, a_run(max_parallel_steps=1))
    assert causes(full)["b"] == [Cause.MAX_PARALLEL_STEPS]


def test_a_resource_class_that_is_used_up_is_told() -> None:
    steps = [replace(a_step(f"s{number}"), resource_class=ResourceClass.LARGE) for number in range(7)]
    case = a_case(a_world(a_definition(steps)))
    assert [one for one, found in causes(case).items() if found == [Cause.RESOURCE_CLASS]] == ["s5", "s6"]
    assert reasons(case)["s5"][0].message == "resource_class large is used up: 5 of its steps run at once"
    assert [one.kind for one in asked(case).waiting_on][-2:] == [BlockerKind.LIMIT, BlockerKind.LIMIT]


def test_what_could_start_says_so_and_while_a_command_is_carried_out_until_when_not() -> None:
    world = a_world(a_definition([a_step("a")]), status=RunStatus.PAUSED)
    assert causes(a_case(world, a_run()))["a"] == [Cause.STARTING]
    held = a_case(world, a_run(hold_until=T0 + seconds(2)))
    [reason] = reasons(held)["a"]
    assert (reason.cause, reason.until) == (Cause.HELD, T0 + seconds(2))
    assert causes(a_case(world, a_run(hold_until=T0)))["a"] == [Cause.STARTING]


@pytest.mark.parametrize(
    ("wait", "kind", "who"),
    [
        (
            Wait(kind=WaitKind.EVENT, event_type="ticket:w:1:0", note="paid", ticket="t"),
            BlockerKind.EVENT,
            "whoever sends the event paid",
        ),
        (
            Wait(kind=WaitKind.EVENT, event_type="go"),
            BlockerKind.EVENT,
            "whoever sends the run an event of the type go, through the trigger API",
        ),
        (Wait(kind=WaitKind.APPROVAL), BlockerKind.APPROVAL, "any key that may approve"),
        (
            Wait(kind=WaitKind.APPROVAL, approvers=("ann", "bob"), forbid_self_approval=True),
            BlockerKind.APPROVAL,
            "the keys ann, bob, but not the one that started the run",
        ),
        (Wait(kind=WaitKind.CHILD, event_type="c", note="run-2"), BlockerKind.CHILD, "what the run run-2 waits for"),
        (
            Wait(kind=WaitKind.JOB, event_type="j", ticket="job-1"),
            BlockerKind.JOB,
            "the worker that reports on the job run job-1",
        ),
        (
            Wait(kind=WaitKind.AGENT, event_type="a", until=T0 + seconds(60), beat_by=T0 + seconds(9), ticket="t"),
            BlockerKind.AGENT,
            "the agent that works on it: it reports, or is lost",
        ),
        (
            Wait(kind=WaitKind.SLEEP, until=T0 + seconds(60)),
            BlockerKind.SLEEP,
            "nobody need do anything: it is over by itself",
        ),
    ],
)
def test_each_wait_says_who_or_what_ends_it(wait: Wait, kind: BlockerKind, who: str) -> None:
    world = a_world(a_definition([a_step("w", StepType.APPROVAL)]))
    world.end("w", Waiting(wait=wait))
    [blocker] = asked(a_case(world)).waiting_on
    assert (blocker.step, blocker.kind, blocker.who) == ("w", kind, who)
    assert (blocker.since, blocker.until) == (T0, wait.until)


def test_a_step_that_an_agent_works_on_is_running_and_says_whose_report_it_waits_for() -> None:
    world = a_world(a_definition([a_step("a", StepType.AGENT)]))
    world.end("a", waiting("done", kind=WaitKind.AGENT))
    case = a_case(world)
    [reason] = reasons(case)["a"]
    assert (reason.cause, reason.message) == (Cause.WAIT, "waits for the agent that works on it to report")
    assert case.by_key["a"].status is StepStatus.RUNNING
    assert asked(case).summary == "The run is under way: step a is worked on by an agent."


def test_whoever_may_not_approve_is_offered_neither_approval_nor_rejection() -> None:
    world = a_world(a_definition([a_step("w", StepType.APPROVAL)]))
    world.end("w", waiting("approval-w", kind=WaitKind.APPROVAL))
    offered = [asked(a_case(world), approver=may).waiting_on[0].actions for may in (True, False)]
    assert offered[0] == (StepVerb.APPROVE, StepVerb.REJECT, *offered[1])


def test_an_open_container_is_waited_for_through_its_steps_alone() -> None:
    steps = [a_step("guard", StepType.TRY_CATCH), a_step("risky", block="guard/try")]
    world = a_world(a_definition(steps))
    world.end("risky", waiting("go"))
    assert causes(a_case(world))["guard"] == [Cause.UNDER_WAY]
    assert [one.step for one in asked(a_case(world)).waiting_on] == ["risky"]


def test_what_stands_in_a_container_that_has_not_begun_says_so() -> None:
    steps = [a_step("first"), a_step("guard", StepType.TRY_CATCH), a_step("risky", block="guard/try")]
    world = a_world(a_definition(steps, ("first", "guard")))
    [reason] = reasons(a_case(world))["risky"]
    assert (reason.cause, reason.message, reason.status) == (
        *(Cause.CONTAINER, "stands in guard, which is pending", StepStatus.PENDING),
    )


def test_an_arm_that_lost_a_race_says_what_ended_it_while_the_run_goes_on() -> None:
    steps = [
        a_step("first", StepType.RACE),
        a_step("fast", block="first/fast"),
        a_step("slow", block="first/slow"),
        a_step("slower", block="first/slow"),
        a_step("other"),
    ]
    world = a_world(a_definition(steps, ("slow", "slower")))
    world.complete("fast")
    case = a_case(world)
    assert case.by_key["slow"].status is StepStatus.CANCELED
    [reason] = reasons(case)["slow"]
    assert (reason.cause, reason.step) == (Cause.CONTAINER, "first")
    assert causes(case)["slower"] == [Cause.DEPENDENCY]


def test_a_run_that_broke_off_in_good_order_says_so_of_what_it_left_out() -> None:
    steps = [a_step("stop", StepType.BREAK), a_step("other"), a_step("after")]
    world = a_world(a_definition(steps, ("other", "after")))
    world.complete("stop", output=True)
    case = a_case(world, a_run(RunStatus.COMPLETED, finished_at=world.now))
    assert causes(case)["after"] == [Cause.DEPENDENCY]


def test_a_run_with_nothing_left_to_do_waits_for_its_driver() -> None:
    world = a_world(a_definition([a_step("a")]))
    world.complete("a")
    found = asked(a_case(world))
    assert [(one.kind, one.step) for one in found.waiting_on] == [(BlockerKind.DRIVER, None)]
    assert found.summary == "The run is under way."


def test_a_run_that_failed_names_the_step_and_the_verbs_by_which_it_goes_on() -> None:
    world = a_world(a_definition([a_step("a"), a_step("b")], ("a", "b")))
    world.end("a", failed("broken", retryable=False))
    error = StepError(code="test", message="broken", step="a")
    found = asked(a_case(world, a_run(RunStatus.FAILED, error=error, finished_at=T0)))
    assert found.summary == "The run failed at step a: broken."
    assert found.waiting_on == ()
    assert [(one.entry.key, one.actions) for one in found.repairable] == [("a", (StepVerb.RETRY, StepVerb.REPLAY))]
    assert found.actions == ("retry",)


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        (RunStatus.PENDING, ("cancel",)),
        (RunStatus.RUNNING, ("pause", "cancel")),
        (RunStatus.PAUSED, ("resume", "cancel")),
        (RunStatus.COMPLETED, ("retry",)),
        (RunStatus.FAILED, ("retry",)),
        (RunStatus.TIMED_OUT, ("retry",)),
        (RunStatus.CANCELED, ("retry",)),
    ],
)
def test_a_run_offers_what_its_status_takes(status: RunStatus, actions: tuple[str, ...]) -> None:
    assert asked(a_case(three_at_once(), a_run(status, finished_at=T0 if status.ended else None))).actions == actions


def test_many_waits_are_counted_by_kind() -> None:
    world = three_at_once()
    world.end("a", waiting("x"))
    world.end("b", waiting("y"))
    world.end("c", waiting(kind=WaitKind.SLEEP, until=T0 + seconds(9)))
    assert asked(a_case(world)).summary == "The run is under way: 2 waiting for events, 1 sleeping."
