"""What a run costs, in the workflow-runs API, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Self

from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Shown, api
from chalicelib.domain.access import Scope
from chalicelib.domain.pricing import NANO, PRICES_AS_OF, Line
from chalicelib.domain.run import RunStatus
from chalicelib.domain.usage import ModelUsage
from chalicelib.services import costs
from chalicelib.services.costs import Cost


class CostLineOut(Shown):
    """How much of something AWS charges for, and what it costs."""

    #: Such as `dynamodb_writes`.
    item: str
    quantity: float
    #: What one of the quantity is.
    unit: str
    unit_price_usd: float
    cost_usd: float

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return what is shown of a line."""
        return cls(
            item=line.item,
            quantity=float(line.quantity),
            unit=line.unit,
            unit_price_usd=float(line.unit_price_usd),
            cost_usd=_dollars(line.cost_nano_usd),
        )


class AgentsCostOut(Shown):
    """What agents of one tool and model report to have used."""

    tool: str
    #: Empty where the tool chooses by itself.
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float

    @classmethod
    def of(cls, usage: ModelUsage) -> Self:
        """Return what is shown of a usage."""
        return cls(
            tool=usage.tool,
            model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=_dollars(usage.cost_nano_usd),
        )


class RunCostOut(Shown):
    """A run's bill, so far if it has not ended."""

    run_id: str
    status: RunStatus
    #: Where Stepwell runs.
    region: str
    #: The region whose prices are taken.
    priced_as: str
    prices_as_of: date
    total_usd: float
    aws_usd: float
    agents_usd: float
    lines: Sequence[CostLineOut]
    agents: Sequence[AgentsCostOut]

    @classmethod
    def of(cls, cost: Cost) -> Self:
        """Return what is shown of a bill."""
        return cls(
            run_id=cost.run.id,
            status=cost.run.status,
            region=cost.region,
            priced_as=cost.priced_as,
            prices_as_of=PRICES_AS_OF,
            total_usd=_dollars(cost.total_nano_usd),
            aws_usd=_dollars(cost.aws_nano_usd),
            agents_usd=_dollars(cost.agents_nano_usd),
            lines=[CostLineOut.of(line) for line in cost.lines],
            agents=[AgentsCostOut.of(usage) for usage in cost.run.usage],
        )


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/cost", scope=Scope.RUNS_READ)
def show_run_cost(caller: Caller, run_id: str) -> RunCostOut:
    """Show what a run has used of AWS so far, at public prices, and what its agents report to have used.

    Free allowances and discounts are not taken off. What people ask about a run is not counted, nor is a driver that
    finds nothing to do; sub-workflows' runs have costs of their own.
    """
    return RunCostOut.of(costs.of(caller.project_id, run_id))


def _dollars(nano: int) -> float:
    return nano / NANO
