"""What a run has cost so far: its own use of AWS at public prices, and what its agents report."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib import settings
from chalicelib.domain import pricing
from chalicelib.domain.pricing import Line
from chalicelib.domain.run import Run
from chalicelib.services import verbs


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A run's bill. Sub-workflows' runs have bills of their own."""

    run: Run
    #: Where Stepwell runs, and whose prices are taken: another region's where it has none here.
    region: str
    priced_as: str
    lines: tuple[Line, ...]
    aws_nano_usd: int
    agents_nano_usd: int

    @property
    def total_nano_usd(self) -> int:
        """Both together."""
        return self.aws_nano_usd + self.agents_nano_usd


def of(project_id: str, run_id: str) -> Cost:
    """Return what a run of the project has cost so far; one read."""
    return of_run(verbs.load(project_id, run_id))


def of_run(run: Run) -> Cost:
    """Return what a run has cost by its record."""
    region = settings.current().region
    return Cost(
        run=run,
        region=region,
        priced_as=pricing.priced_as(region),
        lines=pricing.lines(run.units, region),
        aws_nano_usd=pricing.cost_nano_usd(run.units, region),
        agents_nano_usd=pricing.agents_cost_nano_usd(run.usage),
    )
