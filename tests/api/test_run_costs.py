"""A run's bill as the workflow-runs API shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.api.workflow_runs_api.run_costs import RunCostOut
from chalicelib.domain.run import Run
from chalicelib.domain.usage import NO_UNITS, ModelUsage, Units
from chalicelib.services import costs, verbs
from tests.api.test_run_rows import MINIMAL

CLAUDE = ModelUsage(tool="claude", model="large", input_tokens=900, output_tokens=80, cost_nano_usd=12_500_000)


def shown(monkeypatch: pytest.MonkeyPatch, run: Run) -> dict[str, Any]:
    """What is answered about a run."""
    monkeypatch.setattr(verbs, "load", lambda _project_id, _run_id: run)
    bill: dict[str, Any] = RunCostOut.of(costs.of("p", run.id)).model_dump(mode="json")
    return bill


def test_a_bill_has_a_line_for_each_thing_used(monkeypatch: pytest.MonkeyPatch) -> None:
    bill = shown(monkeypatch, replace(MINIMAL, units=Units(write_halves=25, transitions=2), usage=(CLAUDE,)))
    assert bill == {
        "run_id": "r-1",
        "status": "pending",
        "region": "us-east-1",
        "priced_as": "us-east-1",
        "prices_as_of": "2026-11-22",
        "total_usd": 0.012557812,
        "aws_usd": 0.000057812,
        "agents_usd": 0.0125,
        "lines": [
            {
                "item": "dynamodb_writes",
                "quantity": 12.5,
                "unit": "write request unit",
                "unit_price_usd": 6.25e-07,
                "cost_usd": 7.812e-06,
            },
            {
                "item": "state_transitions",
                "quantity": 2.0,
                "unit": "transition",
                "unit_price_usd": 2.5e-05,
                "cost_usd": 5e-05,
            },
        ],
        "agents": [
            {"tool": "claude", "model": "large", "input_tokens": 900, "output_tokens": 80, "cost_usd": 0.0125},
        ],
    }
    assert bill["total_usd"] == pytest.approx(bill["aws_usd"] + bill["agents_usd"])


def test_a_run_that_has_used_nothing_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bill = shown(monkeypatch, replace(MINIMAL, units=NO_UNITS))
    assert (bill["total_usd"], bill["lines"], bill["agents"]) == (0.0, [], [])


def test_a_region_without_prices_of_its_own_says_whose_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(region="eu-north-1"))
    bill = shown(monkeypatch, MINIMAL)
    assert (bill["region"], bill["priced_as"]) == ("eu-north-1", "us-east-1")
