"""What a run has used of AWS: whoever has used some adds it, and nobody takes away what another has added."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import Units
from chalicelib.store import runs
from chalicelib.store.errors import Superseded
from tests.store.builders import CHECK_AT, a_driven_run, a_history_record, ended, later

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

START = Units(api_requests=1, invocations=1, write_halves=8)
DRIVE = Units(invocations=1, lambda_mb_ms=90_000, write_halves=24, transitions=2)
WORK = Units(invocations=1, lambda_mb_ms=70_000, read_halves=3)


def let_go(run: Run) -> Run:
    """Have a run's driver let go of it, having used something."""
    return runs.release(run, next_check_at=CHECK_AT, waiting_for=[], claims={}, now=later(4), used=DRIVE)


def units(run: Run) -> Units:
    stored = runs.load(run.id)
    assert stored is not None
    return stored.units


def test_a_driver_adds_what_it_has_used_as_it_lets_go() -> None:
    run = a_driven_run(units=START)
    assert let_go(run).units == units(run) == START + DRIVE


def test_work_adds_what_it_has_used_without_having_read() -> None:
    run = a_driven_run(units=START)
    for _ in range(2):
        runs.wake(run.id, used=WORK)
    assert units(run) == START + WORK + WORK


def test_a_driver_does_not_write_over_what_work_has_added() -> None:
    run = a_driven_run(units=START)
    runs.wake(run.id, used=WORK)
    with pytest.raises(Superseded):
        let_go(run)
    with pytest.raises(Superseded):
        runs.finish(replace(ended(run), units=START + DRIVE), owner="request-1", parent_event=None)
    seen = runs.load(run.id)
    assert seen is not None
    let_go(seen)
    assert units(run) == START + WORK + DRIVE


def test_the_end_of_a_run_is_told_with_all_that_it_has_used() -> None:
    run = a_driven_run(units=START)
    runs.finish(replace(ended(run), units=START + DRIVE), owner="request-1", parent_event=None)
    assert units(run) == START + DRIVE


def test_a_verb_leaves_what_the_driver_has_added() -> None:
    run = a_driven_run(units=START)
    let_go(run)
    runs.change(run, replace(run, status=RunStatus.PAUSED), history=a_history_record(run), answer_token=False)
    assert units(run) == START + DRIVE


def test_what_comes_after_the_end_is_left_out() -> None:
    run = a_driven_run(units=START)
    runs.finish(replace(ended(run), units=START + DRIVE), owner="request-1", parent_event=None)
    runs.wake(run.id, used=WORK)
    assert units(run) == START + DRIVE
