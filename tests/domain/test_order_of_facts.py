"""What was first counts, in whatever order it is found."""

from __future__ import annotations

import pytest

from chalicelib.domain import engine
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.outcome import Outcome
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.value import Json
from tests.domain.building import T0, a_definition, a_step, completed, failed, seconds, waiting
from tests.domain.stored import Stored


def in_a_loop(*steps: StepSpec) -> Definition:
    config: dict[str, Json] = {"loopType": "times", "count": 3, "itemVar": "item", "indexVar": "index"}
    return a_definition([a_step("each", StepType.LOOP, config=config), *steps])


def found(stored: Stored, *ends: tuple[str, Outcome, float]) -> None:
    """Let others record results that the driver finds all at once."""
    for key, outcome, at in ends:
        stored.put_late(engine.conclude(stored.progress, key, outcome, now=T0 + seconds(at)))
    stored.now = T0 + seconds(10)
    stored.crash()
    stored.advance()


@pytest.mark.parametrize(("broke_at", "under_way"), [(1, set()), (2, {"each.0.mend"})])
def test_of_a_break_and_a_failure_in_one_try_the_earlier_counts(broke_at: float, under_way: set[str]) -> None:
    guard = a_step("guard", StepType.TRY_CATCH, block="each/body")
    inner = [a_step("stop", StepType.BREAK, block="guard/try"), a_step("work", block="guard/try")]
    stored = Stored(in_a_loop(guard, *inner, a_step("mend", block="guard/catch")))
    stored.advance()
    found(stored, ("each.0.stop", completed(output=True), broke_at), ("each.0.work", failed(), 1.5))
    assert set(stored.progress.claimed) == under_way
    assert (stored.finish is None) == bool(under_way)


def test_a_break_that_is_found_after_its_try_has_failed_changes_nothing() -> None:
    guard = a_step("guard", StepType.TRY_CATCH, block="each/body")
    inner = [a_step("stop", StepType.BREAK, block="guard/try"), a_step("work", block="guard/try")]
    stored = Stored(in_a_loop(guard, *inner, a_step("mend", block="guard/catch")))
    stored.advance()
    late = engine.conclude(stored.progress, "each.0.stop", completed(output=True), now=T0 + seconds(2))
    stored.now = T0 + seconds(1)
    stored.end("each.0.work", failed())
    assert set(stored.progress.claimed) == {"each.0.mend"}
    assert stored.put_late(late)
    stored.crash()
    stored.advance()
    assert set(stored.progress.claimed) == {"each.0.mend"}


@pytest.mark.parametrize(("failed_at", "status"), [(1, RunStatus.FAILED), (3, RunStatus.COMPLETED)])
def test_of_a_break_and_a_failure_of_the_run_the_earlier_counts(failed_at: float, status: RunStatus) -> None:
    stored = Stored(a_definition([a_step("stop", StepType.BREAK), a_step("work")]))
    stored.advance()
    found(stored, ("stop", completed(output=True), 2), ("work", failed(), failed_at))
    assert stored.finish is not None
    assert stored.finish.status is status


@pytest.mark.parametrize("first", ["a", "b"])
def test_of_several_failures_in_a_try_the_catch_sees_the_earliest(first: str) -> None:
    steps = [a_step("guard", StepType.TRY_CATCH), a_step("a", block="guard/try"), a_step("b", block="guard/try")]
    stored = Stored(a_definition([*steps, a_step("mend", block="guard/catch")]))
    stored.advance()
    found(stored, *((key, failed(key), 1 if key == first else 2) for key in ("a", "b")))
    assert stored.progress.scope("mend").get("error") == {"code": "test", "message": first, "step": first}


def test_an_event_that_is_seen_late_ends_the_wait_that_it_would_have_ended_at_once() -> None:
    stored = Stored(a_definition([a_step("older"), a_step("younger")]))
    stored.advance()
    stored.end("older", waiting("go"))
    stored.now += seconds(1)
    engine.recover(stored.progress, owner=stored.owner, under_way=frozenset())
    stored.advance()
    stored.end("younger", waiting("go", until=T0 + seconds(10)))
    stored.now = T0 + seconds(5)
    stored.send("go", "it")
    stored.now = T0 + seconds(20)
    stored.advance()
    assert stored.records["older"].output == "it"
    assert stored.records["younger"].status is StepStatus.FAILED


def test_a_loops_break_closes_the_loops_and_races_within() -> None:
    race = a_step("race", StepType.RACE, block="each/body")
    inner = [a_step("stop", StepType.BREAK, block="race/left"), a_step("slow", block="race/right")]
    stored = Stored(in_a_loop(race, *inner))
    stored.advance()
    stored.end("each.0.stop", completed(output=True))
    assert stored.finish is not None
    assert stored.finish.output == []
    assert not stored.progress.open
    assert not stored.progress.counts("each.0.slow")
