"""What a workflow's runs came to: each end is added once, whatever else is tried, and taken away with the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pynamodb.exceptions import CancellationReason, VerboseClientError

from chalicelib.domain import rollup
from chalicelib.domain.pricing import agents_cost_nano_usd
from chalicelib.domain.rollup import Rollup
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import ModelUsage, Units
from chalicelib.store import runs, statistics, table
from chalicelib.store.errors import Superseded
from chalicelib.store.statistics import MOST_MODELS
from tests.store.builders import (
    CHECK_AT,
    a_driven_run,
    a_history_record,
    a_stored_run,
    an_event,
    ended,
    later,
    taken,
)
from tests.store.conftest import Calls
from tests.store.racing import at_once

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_workflows = itertools.count(1)
UNITS = Units(invocations=2, write_halves=9)
OPUS = ModelUsage(tool="claude", model="opus", input_tokens=100, output_tokens=7, cost_nano_usd=1_500)
CODEX = ModelUsage(tool="codex", model="", input_tokens=3)
DAY, QUARTER = later(9).date(), datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


def a_workflow_id() -> str:
    return f"wf-statistics-{next(_workflows)}"


def counted(workflow_id: str) -> Rollup:
    """Return what the statistics say, days and quarters agreeing."""
    days = statistics.of_days(workflow_id, DAY - timedelta(days=1), DAY + timedelta(days=1))
    quarters = statistics.of_quarters(workflow_id, QUARTER - timedelta(days=1), QUARTER + timedelta(days=1))
    by_days, by_quarters = rollup.together(days.values()), rollup.together(quarters.values())
    assert by_days == by_quarters
    return by_days


def recounted(found: Iterable[Run]) -> Rollup:
    """Return what the statistics must say, from the runs as they are stored."""
    stored = [runs.load(run.id) for run in found]
    return rollup.together(rollup.of(run) for run in stored if run is not None)


def finished(run: Run, status: RunStatus = RunStatus.COMPLETED) -> Run:
    over = ended(run, status)
    runs.finish(over, owner="request-1", parent_event=None)
    return over


def canceled(run: Run) -> Run:
    return runs.change(
        run, ended(run, RunStatus.CANCELED), history=a_history_record(run), answer_token=False, parent_event=None
    )


def reopened(run: Run) -> Run:
    after = replace(run, status=RunStatus.RUNNING, finished_at=None, next_check_at=CHECK_AT)
    return runs.repair(run, after, history=a_history_record(run), answer_token=False)


def ended_by_a_repair(run: Run) -> Run:
    after = ended(run, RunStatus.FAILED, lease=run.lease)
    return runs.repair(run, after, history=a_history_record(run), answer_token=False)


def a_used_run(workflow_id: str, *usage: ModelUsage, **changes: object) -> Run:
    return taken(a_stored_run(workflow_id=workflow_id, units=UNITS, usage=usage, **changes))


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELED])
def test_the_end_of_a_run_is_added_with_it_in_one_transaction(calls: Calls, status: RunStatus) -> None:
    run = a_used_run(a_workflow_id(), OPUS, CODEX)
    calls.sent.clear()
    over = finished(run, status)
    # The two models have been put in the list first.
    assert calls.operations == ["GetItem", "PutItem", "TransactWriteItems"]
    assert len(calls.sent[-1][1]["TransactItems"]) == 3
    assert counted(run.workflow_id) == rollup.of(over) == recounted([run])
    assert counted(run.workflow_id).usage == (OPUS, CODEX)


def test_a_run_without_agents_ends_with_one_call(calls: Calls) -> None:
    run = a_used_run(a_workflow_id())
    calls.sent.clear()
    finished(run)
    assert calls.operations == ["TransactWriteItems"]


def test_a_run_counts_in_the_day_and_the_quarter_in_which_it_ended() -> None:
    run = a_used_run(a_workflow_id())
    finished(run)
    assert list(statistics.of_days(run.workflow_id, DAY, DAY)) == [DAY]
    assert list(statistics.of_quarters(run.workflow_id, QUARTER, QUARTER + timedelta(minutes=15))) == [QUARTER]
    assert statistics.of_quarters(run.workflow_id, QUARTER - timedelta(hours=1), QUARTER) == {}
    assert statistics.of_days(run.workflow_id, DAY + timedelta(days=1), DAY + timedelta(days=9)) == {}


@pytest.mark.parametrize("ending", [finished, canceled, ended_by_a_repair])
def test_a_run_that_is_reopened_is_taken_away_and_counts_again_when_it_ends(ending: Callable[[Run], Run]) -> None:
    workflow_id = a_workflow_id()
    other, run = a_used_run(workflow_id, OPUS), a_used_run(workflow_id, CODEX)
    finished(other)
    ending(run)
    assert counted(workflow_id) == recounted([other, run])
    again = reopened(runs.load(run.id) or run)
    assert counted(workflow_id) == recounted([other, run]) == rollup.of(runs.load(other.id) or other)
    canceled(again)
    assert counted(workflow_id) == recounted([other, run])
    assert counted(workflow_id).total == 2


def test_a_child_counts_whether_its_parent_waits_or_is_over() -> None:
    workflow_id, parent = a_workflow_id(), a_driven_run()
    children = [a_used_run(workflow_id, OPUS, parent_run_id=parent.id, parent_step="sub") for _ in range(3)]
    for place, child in enumerate(children):
        if place == 2:
            finished(runs.load(parent.id) or parent)
        runs.finish(ended(child), owner="request-1", parent_event=an_event(child.id))
    assert counted(workflow_id) == recounted(children)
    assert counted(workflow_id).completed == 3


def test_what_does_not_end_or_reopen_a_run_leaves_the_statistics_alone(calls: Calls) -> None:
    run = a_used_run(a_workflow_id())
    calls.sent.clear()
    paused = runs.change(run, replace(run, status=RunStatus.PAUSED), history=a_history_record(run), answer_token=False)
    over = canceled(paused)
    runs.repair(over, replace(over, updated_at=later(99)), history=a_history_record(run), answer_token=False)
    assert [len(body["TransactItems"]) for _, body in calls.sent] == [2, 4, 2]
    assert counted(run.workflow_id) == recounted([run])


def test_an_end_that_is_not_recorded_is_not_counted() -> None:
    run = a_used_run(a_workflow_id())
    finished(run)
    with pytest.raises(Superseded):
        finished(run, RunStatus.FAILED)
    with pytest.raises(Superseded):
        canceled(run)
    assert counted(run.workflow_id) == recounted([run])


def test_a_verb_that_has_not_seen_what_a_run_used_does_not_end_it() -> None:
    run = a_used_run(a_workflow_id())
    for stale in (replace(run, units=Units()), replace(run, started_at=None), replace(run, usage=(OPUS,))):
        with pytest.raises(Superseded):
            canceled(stale)
    canceled(run)
    over = runs.load(run.id) or run
    with pytest.raises(Superseded):
        reopened(replace(over, units=Units(invocations=9)))
    assert counted(run.workflow_id) == recounted([run])


def test_runs_that_end_at_once_all_count_once() -> None:
    workflow_id = a_workflow_id()
    found = [a_used_run(workflow_id, replace(OPUS, model=f"m{place % 3}")) for place in range(20)]
    assert set(at_once(*(partial(finished, run) for run in found))) == {"done"}
    assert counted(workflow_id) == recounted(found)
    assert counted(workflow_id).completed == 20


def test_a_run_that_ends_and_is_canceled_at_once_counts_once() -> None:
    workflow_id = a_workflow_id()
    found = [a_used_run(workflow_id) for _ in range(5)]
    for run in found:
        outcomes = at_once(partial(finished, run), partial(canceled, run))
        assert sorted(outcomes) == ["Superseded", "done"]
    assert counted(workflow_id) == recounted(found)
    assert counted(workflow_id).total == 5


def test_an_end_that_meets_another_is_added_beside_it_and_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow_id, refused = a_workflow_id(), []
    found = [a_used_run(workflow_id, OPUS) for _ in range(8)]
    dispatch = table.dispatch

    def busy(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        written = [next(iter(one.values())) for one in arguments.get("TransactItems", ())]
        sort_keys = [one["Key"]["sk"]["S"] for one in written if "Key" in one]
        if any(one.startswith(("STATS#DAY#", "STATS#QUARTER#")) for one in sort_keys):
            refused.append(sort_keys)
            reasons = [None, *(CancellationReason(code="TransactionConflict") for _ in written[1:])]
            told = {"Error": {"Code": "TransactionCanceledException", "Message": ""}}
            raise VerboseClientError(told, operation, {}, cancellation_reasons=reasons)
        return dispatch(operation, arguments)

    finished(found[0])
    monkeypatch.setattr("chalicelib.store.transactions.dispatch", busy)
    for run in found[1:]:
        finished(run)
    assert len(refused) == 7
    assert counted(workflow_id) == recounted(found)
    reopened(runs.load(found[0].id) or found[0])
    reopened(runs.load(found[7].id) or found[7])
    assert counted(workflow_id) == recounted(found)
    assert counted(workflow_id).completed == 6


def test_more_models_than_are_told_apart_are_added_up_as_others() -> None:
    workflow_id, used = a_workflow_id(), [replace(OPUS, model=f"m{place:03d}") for place in range(MOST_MODELS + 9)]
    first = a_used_run(workflow_id, *used[: MOST_MODELS - 1])
    rest = a_used_run(workflow_id, *used[MOST_MODELS - 1 :])
    finished(first)
    finished(rest)
    found = counted(workflow_id)
    assert len(found.usage) == MOST_MODELS + 1
    cost = agents_cost_nano_usd(recounted([first, rest]).usage)
    assert agents_cost_nano_usd(found.usage) == cost == OPUS.cost_nano_usd * len(used)
    (others,) = [one for one in found.usage if (one.tool, one.model) == statistics.OTHER]
    assert others.input_tokens == 9 * OPUS.input_tokens
    reopened(runs.load(rest.id) or rest)
    assert counted(workflow_id) == recounted([first, rest])


def test_an_item_stays_within_what_a_read_unit_reads() -> None:
    used = [
        replace(OPUS, model=f"m{place}", input_tokens=10**12 + 1, output_tokens=10**12 + 1, cost_nano_usd=10**15 + 1)
        for place in range(MOST_MODELS + 1)
    ]
    full = Rollup(
        **dict.fromkeys(("completed", "failed", "canceled", "timed", "duration_ms"), 10**12 + 1),
        histogram=dict.fromkeys(range(len(rollup.BOUNDS)), 10**6 + 1),
        units=Units(**dict.fromkeys(vars(UNITS), 10**15 + 1)),
        usage=tuple(used),
    )
    amounts = statistics._amounts(full, {(one.tool, one.model): place for place, one in enumerate(used)})
    # Of a name, a byte a letter; of a number, a byte for two digits and one more.
    assert sum(len(name) + len(str(amount)) // 2 + 2 for name, amount in amounts.items()) < 4096 - 150


def test_taking_part_in_the_statistics_again_and_again_leaves_no_trace() -> None:
    run = a_used_run(a_workflow_id(), OPUS)
    before = counted(run.workflow_id)
    for _ in range(3):
        canceled(run)
        run = reopened(runs.load(run.id) or run)
    assert counted(run.workflow_id) == before == rollup.NOTHING
