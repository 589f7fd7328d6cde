"""Rollups: what runs came to, added up, equals what they come to counted one by one."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import rollup
from chalicelib.domain.pricing import agents_cost_nano_usd
from chalicelib.domain.rollup import BOUNDS, NOTHING, Rollup
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import ModelUsage, Units
from tests.domain.building import T0, seconds
from tests.domain.histories import Change, a_run, histories, recounted

STATUSES = [
    (RunStatus.COMPLETED, (1, 0, 0)),
    (RunStatus.FAILED, (0, 1, 0)),
    (RunStatus.TIMED_OUT, (0, 1, 0)),
    (RunStatus.CANCELED, (0, 0, 1)),
    (RunStatus.PENDING, (0, 0, 0)),
    (RunStatus.RUNNING, (0, 0, 0)),
    (RunStatus.PAUSED, (0, 0, 0)),
]


def that_took(milliseconds: float) -> Run:
    return a_run(status=RunStatus.COMPLETED, started_at=T0, finished_at=T0 + timedelta(milliseconds=milliseconds))


def after(changes: list[Change]) -> list[Run]:
    """Return the runs as they stand in the end."""
    return list({change.after.id: change.after for change in changes}.values())


@pytest.mark.parametrize(("status", "counts"), STATUSES)
def test_a_run_counts_as_what_it_ended_as(status: RunStatus, counts: tuple[int, int, int]) -> None:
    found = rollup.of(a_run(status=status, finished_at=T0 if status.ended else None))
    assert (found.completed, found.failed, found.canceled) == counts
    assert found.total == sum(counts)
    assert (found == NOTHING) == (sum(counts) == 0)


@settings(max_examples=40, deadline=None)
@given(histories())
def test_ends_less_reopenings_are_the_runs_as_they_stand(changes: list[Change]) -> None:
    found = NOTHING
    for change in changes:
        found = found - rollup.of(change.before) + rollup.of(change.after)
    ended = [run for run in after(changes) if run.status.ended]
    assert found == rollup.together(map(rollup.of, ended))
    exact = recounted(ended)
    assert (found.completed, found.failed, found.canceled) == (exact.completed, exact.failed, exact.canceled)
    assert (found.timed, found.duration_ms) == (len(exact.durations), sum(exact.durations))
    assert found.units.invocations == exact.invocations
    assert agents_cost_nano_usd(found.usage) == exact.cost_nano_usd


@settings(max_examples=40, deadline=None)
@given(histories())
def test_rollups_add_up_in_any_order_and_cancel_out(changes: list[Change]) -> None:
    parts = [rollup.of(change.after) for change in changes]
    whole = rollup.together(parts)
    assert rollup.together(reversed(parts)) == whole
    assert sum(parts, NOTHING) == whole
    assert whole - whole == NOTHING
    assert NOTHING - (-whole) == whole


@settings(deadline=None)
@given(st.lists(st.integers(0, 40_000_000_000), min_size=1, max_size=60), st.sampled_from([1, 50, 95, 100]))
def test_a_percentile_is_within_a_twentieth(durations: list[int], percent: int) -> None:
    found = rollup.together(rollup.of(that_took(one)) for one in durations)
    exact = sorted(durations)[-(-len(durations) * percent // 100) - 1]
    assert found.percentile_ms(percent) == pytest.approx(exact, rel=0.05, abs=0)


def test_of_no_duration_there_is_no_percentile() -> None:
    assert (NOTHING.percentile_ms(95), NOTHING.average_duration_ms, NOTHING.success_rate) == (0, 0, 0)


def test_a_duration_beyond_all_buckets_is_in_the_last() -> None:
    assert rollup.of(that_took(10 * BOUNDS[-1])).percentile_ms(95) == BOUNDS[-1]


def test_buckets_end_a_tenth_above_where_they_begin() -> None:
    assert BOUNDS[:14] == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15)
    assert all(high - low <= 1 or high <= low * 1.1 + 1 for low, high in itertools.pairwise(BOUNDS))


def test_a_run_that_never_started_has_no_duration() -> None:
    found = rollup.of(a_run(status=RunStatus.CANCELED, started_at=None, finished_at=T0))
    assert (found.canceled, found.timed, dict(found.histogram)) == (1, 0, {})


def test_a_clock_that_went_back_makes_no_duration_negative() -> None:
    assert rollup.of(a_run(status=RunStatus.FAILED, started_at=T0 + seconds(9), finished_at=T0)).duration_ms == 0


def test_rates_leave_canceled_runs_aside() -> None:
    assert Rollup(completed=3, failed=1, canceled=6).success_rate == 0.75
    assert Rollup(canceled=6).success_rate == 0


def test_use_is_told_apart_by_tool_and_model_and_no_further_than_a_name_is_long() -> None:
    used = [
        ModelUsage(tool="codex", model="", input_tokens=1),
        ModelUsage(tool="claude", model="x" * 300, input_tokens=2),
        ModelUsage(tool="claude", model="x" * 200, output_tokens=3, cost_nano_usd=4),
        ModelUsage(tool="claude", model="unused"),
    ]
    run = a_run(status=RunStatus.FAILED, finished_at=T0, usage=tuple(used), units=Units(transitions=2))
    assert rollup.of(run).usage == (
        ModelUsage(tool="claude", model="x" * 100, input_tokens=2, output_tokens=3, cost_nano_usd=4),
        ModelUsage(tool="codex", model="", input_tokens=1),
    )
    assert rollup.of(run).units == Units(transitions=2)
