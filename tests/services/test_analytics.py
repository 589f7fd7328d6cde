"""Analytics: for any window, zone and granularity they are what the runs come to, counted one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import rollup
from chalicelib.domain.periods import Granularity, quarter_of
from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.related import RelatedCounts
from chalicelib.domain.rollup import NOTHING, Rollup
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import Units
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import analytics, related, workflows
from chalicelib.services.analytics import Analytics
from chalicelib.store import statistics
from tests.domain.histories import ZONES, Change, a_run, by_period, histories, moments

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


@dataclass
class Statistics:
    """What the store keeps, in memory: what ended on each day of UTC, and in each quarter of an hour."""

    days: dict[date, Rollup] = field(default_factory=dict)
    quarters: dict[datetime, Rollup] = field(default_factory=dict)

    @classmethod
    def of(cls, changes: Sequence[Change]) -> Statistics:
        """Fold what happened, as it happened."""
        kept = cls()
        for change in changes:
            kept._add(change.before, -rollup.of(change.before))
            kept._add(change.after, rollup.of(change.after))
        return kept

    def of_days(self, _workflow_id: str, first: date, last: date) -> Mapping[date, Rollup]:
        return {day: one for day, one in self.days.items() if first <= day <= last}

    def of_quarters(self, _workflow_id: str, start: datetime, end: datetime) -> Mapping[datetime, Rollup]:
        return {at: one for at, one in self.quarters.items() if start <= at < end}

    def _add(self, run: Run, one: Rollup) -> None:
        if run.finished_at is not None:
            day, quarter = run.finished_at.date(), quarter_of(run.finished_at)
            self.days[day] = self.days.get(day, NOTHING) + one
            self.quarters[quarter] = self.quarters.get(quarter, NOTHING) + one


def a_workflow(**changes: object) -> Workflow:
    parts = {"project_id": "p", "name": "w", "description": "", "kind": WorkflowKind.WORKFLOW}
    return Workflow(**{"id": "wf", "created_at": NOW, "updated_at": NOW, **parts, **changes})  # type: ignore[arg-type]


def asked(
    kept: Statistics,
    *,
    days: int = 30,
    granularity: Granularity = Granularity.DAILY,
    zone: str = "UTC",
    now: datetime = NOW,
) -> Analytics:
    """Ask for the analytics of a workflow with these statistics."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workflows, "load_with_runs", lambda _project_id, _workflow_id: a_workflow())
        patched.setattr(related, "counts", lambda _workflow_id: RelatedCounts(issues=3))
        patched.setattr(statistics, "of_days", kept.of_days)
        patched.setattr(statistics, "of_quarters", kept.of_quarters)
        return analytics.of("p", "wf", days=days, granularity=granularity, zone=zone, now=now)


@settings(max_examples=60, deadline=None)
@given(
    histories(),
    moments(),
    st.sampled_from([1, 2, 7, 30, 365]),
    st.sampled_from(list(Granularity)),
    st.sampled_from(ZONES),
)
def test_analytics_equal_a_recount(
    changes: list[Change], now: datetime, days: int, granularity: Granularity, zone: str
) -> None:
    found = asked(Statistics.of(changes), days=days, granularity=granularity, zone=zone, now=now)
    last = now.astimezone(ZoneInfo(zone)).date()
    runs = list({change.after.id: change.after for change in changes}.values())
    exact = by_period(runs, granularity, ZoneInfo(zone), last - timedelta(days=days - 1), last)
    assert list(found.periods) == list(exact)
    for name, one in found.periods.items():
        counts = exact[name]
        assert (one.completed, one.failed, one.canceled) == (counts.completed, counts.failed, counts.canceled)
        assert (one.timed, one.duration_ms) == (len(counts.durations), sum(counts.durations))
        assert one.units.invocations == counts.invocations
    durations = sorted(took for counts in exact.values() for took in counts.durations)
    if durations:
        p95 = durations[-(-len(durations) * 95 // 100) - 1]
        assert found.total.percentile_ms(95) == pytest.approx(p95, rel=0.05, abs=0)
    assert found.total == rollup.together(found.periods.values())
    assert found.agents_nano_usd == sum(counts.cost_nano_usd for counts in exact.values())


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("UTC", "2026-11-22T00:00:00.000000", "2026-11-22"),
        ("UTC", "2026-11-21T23:59:59.999999", "2026-11-21"),
        ("Asia/Kathmandu", "2026-11-21T18:15:00.000000", "2026-11-22"),
        ("Asia/Kathmandu", "2026-11-21T18:14:59.999999", "2026-11-21"),
        ("America/New_York", "2026-11-22T05:00:00.000000", "2026-11-22"),
        ("America/New_York", "2026-11-22T04:59:59.999999", "2026-11-21"),
    ],
)
def test_a_run_that_ends_at_midnight_counts_on_the_new_day(zone: str, at: str, day: str) -> None:
    ended = a_run(status=RunStatus.COMPLETED, finished_at=datetime.fromisoformat(at).replace(tzinfo=UTC))
    found = asked(Statistics.of([Change(before=a_run(), after=ended)]), days=2, zone=zone)
    assert {name: one.completed for name, one in found.periods.items() if one.total} == {day: 1}
    before_the_window = asked(Statistics.of([Change(before=a_run(), after=ended)]), days=1, zone=zone)
    assert before_the_window.total.completed == (day == "2026-11-22")


def test_days_of_utc_are_read_by_day_and_others_by_the_quarter() -> None:
    by_day = Statistics(days={NOW.date(): Rollup(completed=1)})
    by_quarter = Statistics(quarters={NOW: Rollup(failed=1)})
    for zone, read in (("UTC", by_day), ("Africa/Abidjan", by_day), ("Asia/Tokyo", by_quarter)):
        for kept in (by_day, by_quarter):
            assert asked(kept, days=3, zone=zone).total.total == (kept is read)


def test_a_window_without_runs_is_all_zeros_and_whole() -> None:
    found = asked(Statistics(), days=3)
    assert list(found.periods) == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert all(one == NOTHING for one in found.periods.values())
    assert (found.aws_nano_usd, found.agents_nano_usd, found.related.issues) == (0, 0, 3)


def test_what_aws_costs_is_priced_from_the_units() -> None:
    ended = a_run(status=RunStatus.FAILED, finished_at=NOW, units=Units(transitions=2))
    # A state transition costs 25 dollars a million.
    assert asked(Statistics.of([Change(before=a_run(), after=ended)])).aws_nano_usd == 50_000


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../UTC", "localtime", "x" * 101, "Europe/Berlin\n"])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(Invalid) as raised:
        asked(Statistics(), zone=zone)
    assert raised.value.field == "timezone"


def test_another_workflow_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.store.workflows.load", lambda _id: a_workflow(project_id="another's"))
    with pytest.raises(NotFound):
        analytics.of("p", "wf", days=1, granularity=Granularity.DAILY, zone="UTC", now=NOW)
