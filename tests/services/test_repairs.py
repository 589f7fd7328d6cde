"""Verbs for steps on a real table: what they record, what they wake, what they take down, and what they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import OnFailure, StepType
from chalicelib.domain.history import Outcome
from chalicelib.domain.refusal import BadRequest, Conflict, NotFound, TooMany
from chalicelib.domain.run import Lease, RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.ticket import TicketStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.services import repairs, retries, verbs
from chalicelib.services.repairs import Asked, Repaired
from chalicelib.services.verbs import Ask
from chalicelib.store import history, runs
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_call, a_house, a_line
from tests.services.waiting import BOB, a_job, an_approval, ticket_of, waiting

pytestmark = pytest.mark.store

ADA = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1", reason="because")


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    return house


def told(house: House, run_id: str) -> list[tuple[str, str | None, str, str, Outcome]]:
    """Return what the history says was done, the oldest first."""
    page = history.page(run_id, cursor=None, limit=50)
    return [(one.command, one.step, one.before, one.after, one.outcome) for one in page.items]


def ask(house: House, verb: str, run_id: str, key: str, who: Ask = ADA, **parts: object) -> Repaired:
    asked = Asked(project_id="p", run_id=run_id, key=key, ask=who, clock=house.clock, outside=house.outside)
    repaired = getattr(repairs, verb)(asked, **parts)
    assert isinstance(repaired, Repaired)
    return repaired


def test_an_approval_completes_the_step_and_lets_the_run_go_on(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_call("after")))
    approved = ask(house, "approve", run_id, "ok", comment="fine")
    assert (approved.step.status, approved.step.attempt) == (StepStatus.COMPLETED, 1)
    assert approved.step.output == {
        "approved": True,
        "by": "ada",
        "at": house.clock.now().isoformat(),
        "comment": "fine",
    }
    house.drain()
    assert house.run(run_id).status is RunStatus.COMPLETED
    assert ticket_of(house, run_id, "ok").status is TicketStatus.DONE
    assert told(house, run_id) == [("approve", "ok", "waiting", "completed", Outcome.DONE)]


def test_approving_twice_is_refused_and_both_are_told_in_the_history(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    ask(house, "approve", run_id, "ok")
    with pytest.raises(BadRequest, match="not waiting for approval"):
        ask(house, "approve", run_id, "ok")
    assert [one[-1] for one in told(house, run_id)] == [Outcome.DONE, Outcome.REFUSED]


def test_who_is_not_among_the_approvers_is_refused_and_nothing_changes(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    with pytest.raises(BadRequest, match="approver bob is not allowed for step ok"):
        ask(house, "approve", run_id, "ok", Ask(actor=BOB, request_id="r2"))
    assert house.records(run_id)["ok"].status is StepStatus.WAITING
    [refused] = history.page(run_id, cursor=None, limit=5).items
    assert (refused.actor_name, refused.refusal) == ("bob", "approver bob is not allowed for step ok")


def test_whoever_started_the_run_may_not_approve_it_where_the_step_forbids_it(house: House) -> None:
    step = an_approval(approvers=["*"], forbidSelfApproval=True)
    run_id = waiting(house, a_line(step), created_by_key_id="k1")
    with pytest.raises(BadRequest, match="whoever started the run may not approve it"):
        ask(house, "approve", run_id, "ok")
    assert ask(house, "approve", run_id, "ok", Ask(actor=BOB, request_id="r2")).step.status is StepStatus.COMPLETED


def test_a_rejection_fails_the_step_with_the_reason_and_the_run_with_it(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_call("after")))
    rejected = ask(house, "reject", run_id, "ok")
    assert (rejected.step.status, rejected.step.error and rejected.step.error.message) == (
        StepStatus.FAILED,
        "rejected by ada: because",
    )
    house.drain()
    assert house.run(run_id).status is RunStatus.FAILED
    assert ticket_of(house, run_id, "ok").status is TicketStatus.FAILED


def test_an_approval_of_a_paused_run_is_kept_and_acted_on_at_resume(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_call("after")))
    verbs.pause("p", run_id, ask=ADA, now=house.clock.now(), clock=house.clock)
    ask(house, "approve", run_id, "ok")
    house.drain()
    assert house.run(run_id).status is RunStatus.PAUSED
    assert dict(house.sent) == {}
    verbs.resume("p", run_id, ask=ADA, now=house.clock.now(), outside=house.outside)
    house.drain()
    assert (house.run(run_id).status, dict(house.sent)) == (RunStatus.COMPLETED, {"after": 1})


def test_a_skipped_wait_lets_what_needs_it_go_on(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_call("after")))
    skipped = ask(house, "skip", run_id, "ok")
    assert (skipped.step.status, skipped.step.error and skipped.step.error.message) == (StepStatus.SKIPPED, "because")
    house.drain()
    assert house.run(run_id).status is RunStatus.COMPLETED
    assert ticket_of(house, run_id, "ok").status is TicketStatus.FAILED


def test_a_step_that_a_worker_is_at_cannot_be_skipped(house: House) -> None:
    run_id = waiting(house, a_line(a_job()))
    with pytest.raises(BadRequest, match="cannot skip step in running status"):
        ask(house, "skip", run_id, "job")


def test_a_step_that_is_forced_answers_with_the_result(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_step("after", config={"value": "{{ ok.n }}"})))
    ask(house, "force_complete", run_id, "ok", result={"n": 7})
    house.drain()
    assert house.run(run_id).output == 7


def test_a_failed_step_that_begins_anew_reopens_its_run_under_a_new_key_for_the_far_end(house: House) -> None:
    house.answers = lambda _key, count: 500 if count == 1 else 200
    run_id = house.start(a_line(a_call("a"), a_call("b")))
    house.settle(run_id)
    assert house.run(run_id).status is RunStatus.FAILED
    retried = ask(house, "retry", run_id, "a")
    assert (retried.step.status, retried.step.attempt_at_hand, retried.run.status) == (
        StepStatus.PENDING,
        2,
        RunStatus.RUNNING,
    )
    assert (retried.run.finished_at, retried.run.error) == (None, None)
    house.answers = lambda *_: 200
    house.settle(run_id)
    assert house.run(run_id).status is RunStatus.COMPLETED
    [first] = house.records(run_id)["a"].attempts
    assert (first.attempt, first.status) == (1, StepStatus.FAILED)
    assert house.records(run_id)["a"].generation == 2


def test_a_step_that_has_not_ended_cannot_begin_anew(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    with pytest.raises(BadRequest, match="step run must be terminal to retry"):
        ask(house, "retry", run_id, "ok")


def test_replaying_a_part_keeps_the_rest_and_says_how_many_steps_begin_anew(house: House) -> None:
    steps = [a_call(ref) for ref in ("top", "left", "right", "end")]
    edges = [("top", "left"), ("top", "right"), ("left", "end"), ("right", "end")]
    run_id = house.start(a_definition(steps, *edges))
    house.settle(run_id)
    assert ask(house, "replay", run_id, "left").reset == 2
    house.settle(run_id)
    assert dict(house.sent) == {"top": 1, "left": 2, "right": 1, "end": 2}
    assert told(house, run_id) == [("replay-subtree", "left", "completed", "pending", Outcome.DONE)]


def test_an_unknown_run_or_step_is_not_found_and_leaves_no_history(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    for wrong in [("nowhere", "ok"), (run_id, "nothing")]:
        with pytest.raises(NotFound):
            ask(house, "skip", *wrong)
    with pytest.raises(NotFound):
        repairs.skip(Asked(project_id="other", run_id=run_id, key="ok", ask=ADA, outside=house.outside))
    assert told(house, run_id) == []


def test_a_wait_of_a_run_that_goes_on_is_taken_down_when_its_step_begins_anew(house: House) -> None:
    house.answers = lambda *_: 200
    definition = a_definition([a_call("a"), a_job("job"), an_approval("hold")], ("a", "job"))
    run_id = waiting(house, definition)
    before = ticket_of(house, run_id, "hold")
    ask(house, "replay", run_id, "hold")
    house.drain()
    after = ticket_of(house, run_id, "hold")
    assert after.id != before.id
    assert (after.status, after.generation) == (TicketStatus.OPEN, 2)


def test_a_run_that_is_being_driven_is_held_while_a_step_is_judged(house: House) -> None:
    run_id = house.start(a_line(a_call("a"), a_call("b")), invoked=False)
    now = house.clock.now()
    driven = runs.take_lease(
        house.run(run_id),
        lease=Lease(owner="o", expires_at=now + timedelta(seconds=900)),
        claims={},
        status=RunStatus.RUNNING,
        started_at=now,
        now=now,
    )
    skipped = ask(house, "skip", run_id, "b")
    assert house.clock.now() >= now + timedelta(milliseconds=300)
    # Once for the hold, once for the verb.
    assert (skipped.run.wake_seq, skipped.run.hold_until) == (driven.wake_seq + 2, None)


def test_a_refusal_ends_the_hold_that_it_was_judged_behind(house: House) -> None:
    run_id = waiting(house, a_line(an_approval()))
    now = house.clock.now()
    runs.take_lease(
        house.run(run_id),
        lease=Lease(owner="o", expires_at=now + timedelta(seconds=900)),
        claims={},
        status=RunStatus.RUNNING,
        started_at=now,
        now=now,
    )
    with pytest.raises(BadRequest):
        ask(house, "retry", run_id, "ok")
    assert house.run(run_id).hold_until is None


def test_a_driver_waits_out_a_hold_whose_verb_has_died(house: House) -> None:
    run_id = house.start(a_line(a_call("a")), invoked=False)
    runs.hold(house.run(run_id), house.clock.now() + repairs.HOLD)
    house.invoker.drive(run_id)
    began = house.clock.now()
    house.drain()
    assert house.run(run_id).status is RunStatus.COMPLETED
    assert house.clock.now() >= began + repairs.HOLD


def test_reopening_a_run_takes_a_place_among_its_workflows_and_is_refused_without_one(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings(max_concurrent_runs=1))
    first = house.start(a_line(a_call("a")))
    house.settle(first)
    other = house.start(a_line(a_call("a")))
    house.settle(other)
    ask(house, "retry", other, "a")
    with pytest.raises(TooMany, match="max_concurrent_runs"):
        ask(house, "retry", first, "a")
    house.settle(other)
    assert ask(house, "retry", first, "a").run.counted


def test_a_run_that_timed_out_has_its_whole_time_again_when_it_is_reopened(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minute = timedelta(minutes=1)
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings(timeout=minute))
    run_id = waiting(house, a_line(an_approval()), expires_at=house.clock.now() + minute)
    house.settle(run_id)
    assert house.run(run_id).status is RunStatus.TIMED_OUT
    now = house.clock.now()
    reopened = ask(house, "retry", run_id, "ok").run
    assert reopened.expires_at == now + minute
    house.drain()
    assert house.run(run_id).status is RunStatus.RUNNING


def test_a_verb_on_a_run_that_waits_takes_few_calls(house: House) -> None:
    run_id = waiting(house, a_line(an_approval(), a_step("after", on_failure=OnFailure.CONTINUE)))
    calls: list[str] = []
    from chalicelib.store.table import connection  # noqa: PLC0415 - its only use

    client = connection().connection.client
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name), unique_id="count")
    try:
        ask(house, "skip", run_id, "ok")
    finally:
        client.meta.events.unregister("before-call.dynamodb", unique_id="count")
    # The token's answer to Step Functions is the fourth.
    assert calls == ["Query", "BatchGetItem", "TransactWriteItems"]


def test_a_step_in_a_loop_begins_anew_with_the_loop(house: House) -> None:
    body = a_step("body", block="each/body")
    loop = a_step("each", StepType.LOOP, config={"loopType": "times", "count": 2, "itemVar": "i", "indexVar": "n"})
    run_id = house.start(a_definition([loop, body]))
    house.settle(run_id)
    with pytest.raises(BadRequest, match="stands in each: retry that one"):
        ask(house, "retry", run_id, "each.0.body")
    ask(house, "retry", run_id, "each")
    house.settle(run_id)
    assert house.run(run_id).status is RunStatus.COMPLETED
    assert house.records(run_id)["each.1.body"].attempt == 2


def test_two_that_replay_one_after_the_other_while_it_runs_are_told(house: House) -> None:
    run_id = house.start(a_line(a_call("a"), an_approval()))
    house.drain()
    ask(house, "replay", run_id, "a")
    with pytest.raises(Conflict, match="it is pending"):
        ask(house, "replay", run_id, "a")
