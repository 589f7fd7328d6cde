"""Waiting: events, approvals, sleeps, children."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.definition import StepType
from chalicelib.domain.outcome import Waiting
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepError, StepStatus, Wait, WaitKind
from tests.domain.building import T0, a_chain, a_definition, a_step, a_world, an_event, completed, seconds, waiting


def test_a_wait_holds_nothing_and_ends_with_its_event() -> None:
    world = a_world(a_chain(2))
    decision = world.end("s0", waiting("paid", until=T0 + seconds(60)))
    assert (world.running, decision.wake_at) == (set(), T0 + seconds(60))
    world.send(an_event("paid", {"amount": 3}))
    assert world.records["s0"].output == {"amount": 3}
    assert world.running == {"s1"}


def test_an_event_sent_before_the_wait_is_taken_by_it() -> None:
    world = a_world(a_chain(2))
    world.send(an_event("paid", 1))
    world.end("s0", waiting("paid", until=T0 + seconds(60)))
    assert world.records["s0"].status is StepStatus.COMPLETED
    assert world.records["s0"].revision == 1
    assert world.running == {"s1"}


def test_two_events_end_two_waits_in_order() -> None:
    world = a_world(a_chain(2))
    world.send(an_event("paid", "first", id_="1"))
    world.send(an_event("paid", "second", id_="2"))
    world.end("s0", waiting("paid"))
    finish = world.end("s1", waiting("paid")).finish
    assert finish is not None
    assert (world.records["s0"].output, world.records["s1"].output) == ("first", "second")


def test_an_event_ends_one_wait_only_the_one_that_has_waited_longest() -> None:
    world = a_world(a_definition([a_step("a"), a_step("b")]))
    world.end("b", waiting("go"))
    world.end("a", waiting("go"))
    world.send(an_event("go", id_="1"))
    assert [key for key, record in world.records.items() if record.status is StepStatus.COMPLETED] == ["a"]
    world.reload()
    assert world.advance().records == ()


def test_an_event_of_another_type_is_kept() -> None:
    world = a_world(a_chain(2))
    world.end("s0", waiting("paid"))
    world.send(an_event("other"))
    assert world.records["s0"].status is StepStatus.WAITING


def test_a_wait_that_times_out_fails_its_step() -> None:
    world = a_world(a_chain(1))
    world.end("s0", waiting("paid", until=T0 + seconds(60)))
    finish = world.later(seconds(60)).finish
    assert finish is not None
    assert (finish.status, finish.error and finish.error.message) == (RunStatus.FAILED, "event trigger timed out")


def test_an_event_that_came_in_time_counts_even_if_it_is_seen_late() -> None:
    world = a_world(a_chain(1))
    world.end("s0", waiting("paid", until=T0 + seconds(60)))
    world.now += seconds(100)
    finish = world.send(an_event("paid", "ok", at=T0 + seconds(59))).finish
    assert finish is not None
    assert finish.output == "ok"


def test_an_event_that_came_too_late_does_not_count() -> None:
    world = a_world(a_chain(1))
    world.end("s0", waiting("paid", until=T0 + seconds(60)))
    world.now += seconds(100)
    finish = world.send(an_event("paid", "ok", at=T0 + seconds(61))).finish
    assert finish is not None
    assert finish.status is RunStatus.FAILED


def test_a_sleep_ends_by_its_time() -> None:
    world = a_world(a_chain(1))
    world.end("s0", waiting(until=T0 + seconds(5), kind=WaitKind.SLEEP))
    finish = world.later(seconds(5)).finish
    assert finish is not None
    assert finish.output == {"slept_for_secs": 5.0, "completed_at": (T0 + seconds(5)).isoformat()}


def test_an_approval_answers_who_and_when() -> None:
    world = a_world(a_definition([a_step("ok", StepType.APPROVAL)]))
    world.end("ok", waiting("approval-ok", kind=WaitKind.APPROVAL))
    finish = world.send(an_event("approval-ok", {"approved": True, "comment": "fine"})).finish
    assert finish is not None
    assert finish.output == {"approved": True, "by": "ada", "at": T0.isoformat(), "comment": "fine"}


def test_a_rejection_fails_the_step_for_good() -> None:
    world = a_world(a_definition([a_step("ok", StepType.APPROVAL, retries=3)]))
    world.end("ok", waiting("approval-ok", kind=WaitKind.APPROVAL))
    finish = world.send(an_event("approval-ok", {"approved": False, "comment": "too dear"})).finish
    assert finish is not None
    assert finish.error is not None
    assert (finish.error.code, finish.error.message) == ("rejected", "rejected by ada: too dear")


def test_an_event_that_decides_nothing_leaves_the_approval_waiting() -> None:
    world = a_world(a_definition([a_step("ok", StepType.APPROVAL)]))
    world.end("ok", waiting("approval-ok", kind=WaitKind.APPROVAL))
    world.send(an_event("approval-ok", {"approved": "yes"}, id_="1"))
    assert world.records["ok"].status is StepStatus.WAITING
    world.send(an_event("approval-ok", {"approved": True}, id_="2"))
    assert world.records["ok"].event_id == "2"


def test_a_childs_failure_fails_the_step() -> None:
    world = a_world(a_chain(1))
    world.end("s0", waiting("child:s0:1:1", kind=WaitKind.CHILD))
    error = StepError(code="sub_workflow_failed", message="no stock", step="s0")
    finish = world.send(an_event("child:s0:1:1", failure=error)).finish
    assert finish is not None
    assert finish.error == error


def test_waits_end_while_the_run_is_paused_and_nothing_starts() -> None:
    world = a_world(a_chain(2))
    world.end("s0", waiting("paid", until=T0 + seconds(60)))
    world.status = RunStatus.PAUSED
    decision = world.send(an_event("paid", 1))
    assert world.records["s0"].status is StepStatus.COMPLETED
    assert decision.claims == ()
    world.status = RunStatus.RUNNING
    assert [claim.key for claim in world.advance().claims] == ["s1"]


def test_a_wait_whose_block_was_closed_takes_no_event() -> None:
    steps = [
        a_step("race", StepType.RACE),
        a_step("quick", block="race/quick"),
        a_step("slow", block="race/slow"),
        a_step("then"),
    ]
    world = a_world(a_definition(steps, ("race", "then")))
    world.end("slow", waiting("go"))
    world.end("quick", completed("q"))
    assert world.running == {"then"}
    world.send(an_event("go"))
    assert world.records["slow"].status is StepStatus.WAITING


def an_agents_wait() -> Waiting:
    wait = Wait(kind=WaitKind.AGENT, event_type="done", until=T0 + seconds(60), beat_by=T0 + seconds(10))
    return Waiting(wait=wait)


def test_an_agent_that_is_not_heard_of_in_time_fails_its_step_as_lost() -> None:
    world = a_world(a_chain(1))
    decision = world.end("s0", an_agents_wait())
    assert (world.records["s0"].status, decision.wake_at) == (StepStatus.RUNNING, T0 + seconds(10))
    finish = world.later(seconds(10)).finish
    assert finish is not None
    assert finish.error == StepError(code="agent_lost", message="the agent was not heard of in time", step="s0")


def test_an_agent_that_has_reported_is_not_lost_however_late_it_is_seen() -> None:
    world = a_world(a_chain(1))
    world.end("s0", an_agents_wait())
    world.now += seconds(3600)
    finish = world.send(an_event("done", {"output": "x"}, at=T0 + seconds(30))).finish
    assert finish is not None
    assert finish.output == {"output": "x"}


def test_an_agent_that_lives_on_is_out_of_time_at_its_deadline() -> None:
    world = a_world(a_chain(1))
    wait = an_agents_wait().wait
    world.end("s0", Waiting(wait=replace(wait, beat_by=wait.until)))
    finish = world.later(seconds(60)).finish
    assert finish is not None
    assert finish.error == StepError(code="timeout", message="agent timed out", step="s0")
