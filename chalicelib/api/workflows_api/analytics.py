"""The analytics tab of a workflow: how its runs came out, how long they took, and what they cost."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field

from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, IdQuery, Shown, api, whole_number
from chalicelib.domain.access import Scope
from chalicelib.domain.periods import Granularity
from chalicelib.domain.pricing import NANO
from chalicelib.domain.rollup import Rollup
from chalicelib.domain.schedule import zone_problem
from chalicelib.services import analytics
from chalicelib.services.analytics import Analytics

_P95: Final = 95
#: What stands in a row of costs for the runs' own use of AWS.
_AWS: Final = "aws"


def _granularity(text: object) -> object:
    if text not in set(Granularity):
        raise ValueError("must be daily, weekly or monthly")
    return text


def _zone(text: str) -> str:
    if zone_problem(text) is not None:
        raise ValueError('must be an IANA time zone such as "Europe/Berlin" or "UTC"')
    return text


class AnalyticsQuery(IdQuery):
    """Which workflow, how many days up to today, and how they are told."""

    days: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=365)] = 30
    granularity: Annotated[Granularity, BeforeValidator(_granularity)] = Granularity.DAILY
    #: Whose days.
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class KpisShown(Shown):
    """The window in a few numbers."""

    #: Runs that ended in it.
    total_runs: int
    #: The part of completed runs in those that completed or failed, timed-out ones too; 0 where there are none.
    success_rate: float
    #: Of runs that had started; 0 where there are none.
    average_duration_ms: float
    #: Within five percent; 0 where there are none.
    p95_duration_ms: float
    total_cost_usd: float
    average_cost_usd: float

    @classmethod
    def of(cls, found: Analytics) -> Self:
        """Return what is shown of a window."""
        total, cost = found.total, _dollars(found.aws_nano_usd + found.agents_nano_usd)
        return cls(
            total_runs=total.total,
            success_rate=total.success_rate,
            average_duration_ms=total.average_duration_ms,
            p95_duration_ms=total.percentile_ms(_P95),
            total_cost_usd=cost,
            average_cost_usd=cost / total.total if total.total else 0.0,
        )


class CostShown(Shown):
    """What agents of one tool and model cost, or AWS."""

    tool: str
    #: Null where the tool chose by itself, of AWS, and of `other`, which are models beyond the first 31.
    model: str | None
    cost_usd: float
    input_tokens: int
    output_tokens: int


class RateShown(Shown):
    """The success rate of a period."""

    period: str
    rate: float


class RunsShown(Shown):
    """How the runs of a period came out."""

    period: str
    completed: int
    failed: int
    canceled: int
    total: int

    @classmethod
    def of(cls, period: str, one: Rollup) -> Self:
        """Return what is shown of a period."""
        return cls(period=period, completed=one.completed, failed=one.failed, canceled=one.canceled, total=one.total)


class RelatedCountsShown(Shown):
    """How many of each the workflow's runs have to do with, whenever they ran."""

    personas: int
    issues: int
    learning_versions: int


class AnalyticsShown(Shown):
    """What a workflow's runs came to; a run counts in the period in which it ended."""

    kpis: KpisShown
    cost_breakdown: list[CostShown]
    success_rate_series: list[RateShown]
    runs_over_time: list[RunsShown]
    related_entities: RelatedCountsShown


@api.endpoint("GET", "/api/v1/workflows/analytics", scope=Scope.WORKFLOWS_READ, query=AnalyticsQuery)
def show_analytics(caller: Caller, query: AnalyticsQuery) -> Data[AnalyticsShown]:
    """Show what a workflow's runs came to in the last days: how many, how they ended, how long they took, their cost.

    `timezone` says whose days are meant, UTC's unless it is given. Every period of the window is listed; the first may
    begin before the window does.
    """
    found = analytics.of(
        caller.project_id,
        query.id,
        days=query.days,
        granularity=query.granularity,
        zone=query.timezone,
        now=caller.now,
    )
    shown = AnalyticsShown(
        kpis=KpisShown.of(found),
        cost_breakdown=_costs(found),
        success_rate_series=[RateShown(period=name, rate=one.success_rate) for name, one in found.periods.items()],
        runs_over_time=[RunsShown.of(name, one) for name, one in found.periods.items()],
        related_entities=RelatedCountsShown(
            personas=found.related.personas,
            issues=found.related.issues,
            learning_versions=found.related.learning_versions,
        ),
    )
    return Data[AnalyticsShown](data=shown)


def _costs(found: Analytics) -> list[CostShown]:
    """Return a row for each tool and model that was used, and AWS's as the last."""
    agents = [
        CostShown(
            tool=one.tool,
            model=one.model or None,
            cost_usd=_dollars(one.cost_nano_usd),
            input_tokens=one.input_tokens,
            output_tokens=one.output_tokens,
        )
        for one in found.total.usage
    ]
    aws = CostShown(tool=_AWS, model=None, cost_usd=_dollars(found.aws_nano_usd), input_tokens=0, output_tokens=0)
    return [*agents, aws]


def _dollars(nano_usd: int) -> float:
    return nano_usd / NANO
