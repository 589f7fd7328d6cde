"""What a workflow's runs came to in a window of days: read from what was added up as they ended, not from the runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from chalicelib import settings
from chalicelib.domain import pricing, rollup
from chalicelib.domain.periods import Granularity, Window
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.related import RelatedCounts
from chalicelib.domain.rollup import Rollup
from chalicelib.domain.schedule import zone_problem
from chalicelib.services import related, workflows
from chalicelib.store import statistics


@dataclass(frozen=True, kw_only=True)
class Analytics:
    """What a workflow's runs came to in a window. A run counts where it ended."""

    total: Rollup
    #: By the name of each period of the window, in order, those without runs included.
    periods: Mapping[str, Rollup]
    #: What the runs' own use of AWS costs at today's prices, and what their agents reported.
    aws_nano_usd: int
    agents_nano_usd: int
    #: What runs have to do with, of all times.
    related: RelatedCounts


def of(
    project_id: str,
    workflow_id: str,
    *,
    days: int,
    granularity: Granularity,
    zone: str,
    now: datetime,
) -> Analytics:
    """Return what a project's workflow's runs came to in the last days of a time zone, today included.

    It costs the same however many runs there are: a read unit a day where the days are those of UTC, else what is kept
    of their quarters of an hour.
    """
    problem = zone_problem(zone)
    if problem is not None:
        raise Invalid(problem, field="timezone")
    workflow = workflows.load_with_runs(project_id, workflow_id)
    window = Window.up_to(now, days=days, zone=ZoneInfo(zone))
    by_day = rollups(workflow.id, window)
    total = rollup.together(by_day.values())
    return Analytics(
        total=total,
        periods=_by_period(by_day, window.periods(granularity), granularity),
        aws_nano_usd=pricing.cost_nano_usd(total.units, settings.current().region),
        agents_nano_usd=pricing.agents_cost_nano_usd(total.usage),
        related=related.counts(workflow.id),
    )


def rollups(workflow_id: str, window: Window) -> Mapping[date, Rollup]:
    """Return what a workflow's runs came to on each day of a window; days without any may be left out."""
    if window.follows_utc:
        return statistics.of_days(workflow_id, window.first, window.last)
    parts: dict[date, list[Rollup]] = {}
    for at, one in statistics.of_quarters(workflow_id, window.start, window.end).items():
        day = window.day_of(at)
        if day is not None:
            parts.setdefault(day, []).append(one)
    return {day: rollup.together(found) for day, found in parts.items()}


def _by_period(by_day: Mapping[date, Rollup], names: Iterable[str], granularity: Granularity) -> Mapping[str, Rollup]:
    parts: dict[str, list[Rollup]] = {name: [] for name in names}
    for day, one in by_day.items():
        parts[granularity.period(day)].append(one)
    return {name: rollup.together(found) for name, found in parts.items()}
