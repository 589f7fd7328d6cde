"""The engine: order, joins, failures, retries, limits."""

from __future__ import annotations

from chalicelib.domain import engine
from chalicelib.domain.definition import OnFailure, StepType
from chalicelib.domain.run import RunStatus
from chalicelib.domain.starting import Driver, Limits
from chalicelib.domain.step import StepStatus
from tests.domain.building import (
    FACTS,
    T0,
    World,
    a_chain,
    a_definition,
    a_step,
    a_world,
    completed,
    failed,
    never,
    seconds,
)


def test_a_chain_starts_each_step_when_the_one_before_has_completed() -> None:
    world = a_world(a_chain(3))
    assert world.running == {"s0"}
    world.complete("s0")
    assert world.running == {"s1"}
    world.complete("s1")
    finish = world.complete("s2").finish
    assert finish is not None
    assert (finish.status, finish.output) == (RunStatus.COMPLETED, "s2!")


def test_a_join_waits_for_all_its_arms_and_the_output_is_by_name() -> None:
    steps = [a_step("a"), a_step("b"), a_step("c"), a_step("join"), a_step("side", name="aside")]
    world = a_world(a_definition(steps, ("a", "b"), ("a", "c"), ("b", "join"), ("c", "join"), ("a", "side")))
    world.complete("a")
    assert world.running == {"b", "c", "side"}
    world.complete("b", "side")
    assert world.running == {"c"}
    finish = world.complete("c", "join").finish
    assert finish is not None
    assert finish.output == {"join": "join!", "aside": "side!"}


def test_only_the_branch_taken_runs_and_neither_does_what_only_the_others_lead_to() -> None:
    steps = [a_step("choose", StepType.BRANCH), a_step("yes"), a_step("no"), a_step("after_no"), a_step("join")]
    edges = [("choose", "yes", "y"), ("choose", "no", "n"), ("no", "after_no"), ("after_no", "join"), ("yes", "join")]
    world = a_world(a_definition(steps, *edges))
    world.end("choose", completed({"branch": "y"}, branch="y"))
    assert world.running == {"yes"}
    world.complete("yes")
    assert world.running == {"join"}
    assert world.complete("join").finish is not None
    assert set(world.records) == {"choose", "yes", "join"}


def test_a_branch_that_takes_no_way_ends_the_run_as_complete() -> None:
    world = a_world(a_definition([a_step("choose", StepType.BRANCH), a_step("yes")], ("choose", "yes", "y")))
    finish = world.end("choose", completed({"branch": None})).finish
    assert finish is not None
    assert finish.status is RunStatus.COMPLETED


def test_a_failure_fails_the_run_with_the_steps_error() -> None:
    world = a_world(a_chain(2))
    finish = world.end("s0", failed("no stock")).finish
    assert finish is not None
    assert finish.status is RunStatus.FAILED
    assert finish.error is not None
    assert (finish.error.message, finish.error.step) == ("no stock", "s0")


def test_an_error_edge_takes_the_failure_and_the_run_goes_on() -> None:
    steps = [a_step("a"), a_step("then"), a_step("mend")]
    world = a_world(a_definition(steps, ("a", "then"), ("a", "mend", "error")))
    world.end("a", failed("no stock"))
    assert world.running == {"mend"}
    assert world.progress.scope("mend").get("error") == {"code": "test", "message": "no stock", "step": "a"}
    finish = world.complete("mend").finish
    assert finish is not None
    assert finish.status is RunStatus.COMPLETED


def test_an_error_edge_is_not_taken_by_a_step_that_completes() -> None:
    world = a_world(a_definition([a_step("a"), a_step("mend")], ("a", "mend", "error")))
    finish = world.complete("a").finish
    assert finish is not None
    assert finish.output == "a!"


def test_continue_lets_dependents_go_on_and_the_run_completes() -> None:
    steps = [a_step("a", on_failure=OnFailure.CONTINUE), a_step("b")]
    world = a_world(a_definition(steps, ("a", "b")))
    world.end("a", failed())
    assert world.running == {"b"}
    finish = world.complete("b").finish
    assert finish is not None
    assert finish.status is RunStatus.COMPLETED


def test_skip_dependents_lets_other_branches_end_and_then_fails_the_run() -> None:
    steps = [a_step("a", on_failure=OnFailure.SKIP_DEPENDENTS), a_step("after_a"), a_step("b")]
    world = a_world(a_definition(steps, ("a", "after_a")))
    assert world.end("a", failed()).finish is None
    assert world.running == {"b"}
    finish = world.complete("b").finish
    assert finish is not None
    assert finish.status is RunStatus.FAILED
    assert "after_a" not in world.records


def test_a_failed_attempt_is_made_again_after_its_pause_and_counted() -> None:
    world = a_world(a_definition([a_step("a", retries=2)]))
    for attempt in (1, 2):
        decision = world.end("a", failed())
        assert decision.finish is None
        assert world.running == set()
        assert decision.wake_at is not None
        assert seconds(8) <= decision.wake_at - world.now <= seconds(12)
        assert world.records["a"].status is StepStatus.PENDING
        world.later(seconds(12))
        assert world.progress.claimed["a"].attempt == attempt + 1
    finish = world.end("a", failed("still")).finish
    assert finish is not None
    assert finish.status is RunStatus.FAILED
    assert (world.records["a"].attempt, world.records["a"].failures) == (3, 3)


def test_a_failure_that_cannot_fare_better_is_not_tried_again() -> None:
    world = a_world(a_definition([a_step("a", retries=5)]))
    assert world.end("a", failed(retryable=False)).finish is not None


def test_an_attempt_whose_deadline_has_passed_is_lost_and_made_again_without_using_up_a_retry() -> None:
    world = a_world(a_definition([a_step("a", retries=0)]))
    world.later(seconds(901))
    claim = world.progress.claimed["a"]
    assert (claim.attempt, claim.losses, claim.failures) == (2, 1, 0)
    world.later(seconds(901))
    finish = world.later(seconds(901)).finish
    assert finish is not None
    assert finish.error is not None
    assert finish.error.code == "lost"


def test_losses_count_only_in_a_row() -> None:
    world = a_world(a_definition([a_step("a", retries=9)]))
    world.later(seconds(901))
    world.later(seconds(901))
    assert world.progress.claimed["a"].losses == 2
    world.end("a", failed())
    world.later(seconds(12))
    assert (world.progress.claimed["a"].losses, world.progress.claimed["a"].attempt) == (0, 4)


def test_lambdas_retry_of_a_dead_invocation_counts_its_attempts_as_lost_at_once() -> None:
    world = a_world(a_chain(1))
    world.reload()
    engine.recover(world.progress, owner="driver", under_way=frozenset())
    world.advance()
    assert world.progress.claimed["s0"].attempt == 2
    world.reload()
    engine.recover(world.progress, owner="another", under_way=frozenset())
    assert world.progress.claimed["s0"].attempt == 2


def test_a_paused_run_starts_no_step_and_keeps_what_ends_meanwhile() -> None:
    world = a_world(a_chain(3))
    world.status = RunStatus.PAUSED
    decision = world.complete("s0")
    assert decision.claims == ()
    assert world.records["s0"].status is StepStatus.COMPLETED
    world.status = RunStatus.RUNNING
    world.advance()
    assert world.running == {"s1"}


def test_a_paused_run_ends_when_its_last_step_does() -> None:
    world = a_world(a_chain(1))
    world.status = RunStatus.PAUSED
    assert world.complete("s0").finish is not None


def test_a_run_that_has_ended_decides_nothing() -> None:
    world = World(a_chain(2), status=RunStatus.CANCELED)
    assert world.advance() == engine.Decision()


def test_no_more_steps_run_at_once_than_the_limit() -> None:
    world = a_world(a_definition([a_step(f"s{index}") for index in range(10)]), limits=Limits(parallel=3))
    most = 0
    while world.finish is None:
        most = max(most, len(world.running))
        world.complete(next(iter(world.running)))
    assert most == 3
    assert len(world.records) == 10


def test_a_run_past_its_time_is_timed_out() -> None:
    world = a_world(a_chain(2), limits=Limits(expires_at=T0 + seconds(30)))
    assert world.advance().wake_at == T0 + seconds(30)
    finish = world.later(seconds(30)).finish
    assert finish is not None
    assert (finish.status, finish.error and finish.error.message) == (RunStatus.TIMED_OUT, "workflow timed out")


def test_the_earlier_of_two_failures_counts_in_whatever_order_they_are_read() -> None:
    world = a_world(a_definition([a_step(f"s{index}") for index in range(4)]))
    late = engine.conclude(world.progress, "s1", failed("late"), now=T0 + seconds(2))
    early = engine.conclude(world.progress, "s3", failed("early"), now=T0 + seconds(1))
    for record in (late, early):
        world.keep(record)
    for _ in range(3):
        world.reload()
        finish = world.advance().finish
        assert finish is not None
        assert finish.error is not None
        assert finish.error.message == "early"


def test_a_chain_of_a_thousand_is_folded_without_recursion() -> None:
    world = a_world(a_chain(1000))
    finish = world.run(lambda claim: completed(claim.key))
    assert finish.output == "s999"
    world.reload()
    assert world.progress.done


def test_deciding_from_the_records_alone_is_the_same_decision() -> None:
    steps = [a_step("a"), a_step("b", retries=1), a_step("c"), a_step("join")]
    definition = a_definition(steps, ("a", "b"), ("a", "c"), ("b", "join"), ("c", "join"))
    world = World(definition)
    while world.finish is None:
        told = engine.decide(
            definition,
            FACTS,
            status=world.status,
            records=list(world.records.values()),
            claims=dict(world.claims),
            events=(),
            now=world.now,
            driver=Driver(owner=world.owner, deadline=world.now + seconds(900)),
            resolve=never,
        )
        assert told == world.advance()
        if not world.running:
            world.now += seconds(12)
            continue
        key = next(iter(world.running))
        outcome = failed() if (key, world.progress.claimed[key].attempt) == ("b", 1) else completed(key)
        record = engine.conclude(world.progress, key, outcome, now=world.now)
        assert world.progress.record(record)
        world.keep(record)
    assert [attempt for key, attempt in world.started if key == "b"] == [1, 2]
