"""Claims: where they lie, how long they are needed, and in which order attempts are claimed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from chalicelib.domain import engine
from chalicelib.domain.definition import Definition, StepType
from chalicelib.domain.run import RunStatus
from chalicelib.domain.starting import Limits
from chalicelib.domain.step import StepStatus
from chalicelib.domain.value import Json
from tests.domain.building import a_chain, a_definition, a_step, completed, failed, seconds, waiting
from tests.domain.stored import Stored


def test_a_claim_goes_on_lying_in_a_record_that_is_written_over() -> None:
    stored = Stored(a_definition([a_step("a"), a_step("b")]), limits=Limits(parallel=1))
    stored.advance()
    stored.end("a", waiting("go"))
    assert set(stored.records["a"].claims) == {"b"}
    stored.send("go")
    stored.advance()
    assert stored.records["a"].status is StepStatus.COMPLETED
    stored.crash()
    assert stored.progress.claimed["b"].attempt == 1
    assert not stored.progress.ready


def test_a_claim_goes_on_lying_in_the_record_of_a_step_that_is_attempted_again() -> None:
    stored = Stored(a_definition([a_step("a", retries=1), a_step("b")]), limits=Limits(parallel=1))
    stored.advance()
    stored.end("a", failed())
    stored.now += seconds(800)
    stored.end("b", waiting("go"))
    assert set(stored.records["b"].claims) == {"a"}
    stored.end("a", completed())
    assert stored.records["b"].claims["a"].attempt == 2
    stored.send("go")
    stored.advance()
    assert stored.records["b"].claims == {}


def test_a_lost_attempts_claim_is_kept_while_the_run_is_paused_so_that_the_next_one_counts_on() -> None:
    stored = Stored(a_chain(1))
    stored.advance()
    stored.status = RunStatus.PAUSED
    stored.now += seconds(901)
    stored.advance()
    assert set(stored.progress.ready) == {"s0"}
    stored.let_go()
    stored.status = RunStatus.RUNNING
    stored.crash()
    stored.advance()
    claim = stored.progress.claimed["s0"]
    assert (claim.attempt, claim.losses) == (2, 1)


def test_a_claim_is_no_longer_needed_once_its_attempt_has_come_to_something() -> None:
    stored = Stored(a_definition([a_step("a", retries=1)]))
    stored.advance()
    first = stored.progress.claimed["a"]
    assert stored.progress.is_needed(first)
    stored.end("a", failed())
    assert not stored.progress.is_needed(first)
    stored.now += seconds(12)
    stored.advance()
    assert stored.progress.is_needed(stored.progress.claimed["a"])
    assert not stored.progress.is_needed(first)


def test_a_claim_in_a_closed_block_is_not_needed() -> None:
    steps = [a_step("race", StepType.RACE), a_step("l", block="race/l"), a_step("r", block="race/r"), a_step("then")]
    stored = Stored(a_definition(steps, ("race", "then")))
    stored.advance()
    slow = stored.progress.claimed["r"]
    stored.end("l", completed())
    assert not stored.progress.is_needed(slow)


def test_a_lost_attempt_is_made_again_before_another_step_takes_its_place() -> None:
    stored = Stored(a_definition([a_step("a"), a_step("b")]), limits=Limits(parallel=1))
    stored.advance()
    assert set(stored.progress.claimed) == {"a"}
    stored.crash()
    engine.recover(stored.progress, owner=stored.owner, under_way=frozenset())
    stored.advance()
    assert [(claim.key, claim.attempt) for claim in stored.under_way()] == [("a", 2)]


def test_a_container_takes_no_place() -> None:
    steps = [
        a_step("a"),
        a_step("guard", StepType.TRY_CATCH),
        a_step("b", block="guard/try"),
        a_step("c", block="guard/try"),
    ]
    stored = Stored(a_definition(steps), limits=Limits(parallel=1))
    stored.advance()
    assert set(stored.progress.open) == {"guard"}
    assert set(stored.progress.claimed) == {"a"}
    assert set(stored.progress.ready) == {"b", "c"}


def a_fan(count: int) -> Definition:
    refs = [f"s{index}" for index in range(count)]
    return a_definition([a_step(ref) for ref in [*refs, "join"]], *((ref, "join") for ref in refs))


def a_loop(count: int) -> Definition:
    config: dict[str, Json] = {"loopType": "times", "count": count, "itemVar": "item", "indexVar": "index"}
    return a_definition([a_step("each", StepType.LOOP, config=config), a_step("work", block="each/body")])


@pytest.mark.parametrize("shape", [a_chain, a_fan, a_loop])
@pytest.mark.parametrize("parallel", [0, 3])
def test_a_step_costs_the_same_in_a_run_of_a_thousand_as_in_one_of_a_hundred(
    shape: Callable[[int], Definition], parallel: int
) -> None:
    few, many = (calls_in(shape(count), parallel) / count for count in (100, 1000))
    assert many < few * 1.1


def calls_in(definition: Definition, parallel: int) -> int:
    """Return how many functions are called to carry a run through."""
    stored = Stored(definition, limits=Limits(parallel=parallel))
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        stored.advance()
        while stored.finish is None:
            stored.end(next(iter(stored.progress.claimed)), completed({"ok": True}))
    finally:
        sys.setprofile(None)
    return calls
