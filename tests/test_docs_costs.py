"""What README.md works out of costs is what its own measured units come to at the prices that bills are made of."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from chalicelib.domain import pricing
from chalicelib.domain.usage import Units
from chalicelib.store import keys
from tests.readme import README, rows

MEASURED = (
    "| what | writes | write units (of which indexes) | read units | drive + work | state transitions |"
    " time a step, in puts of the loop |"
)
WORKED = "| a million of | API Gateway | Lambda | DynamoDB | Step Functions | together |"

#: README.md says so: what Lambda's time is taken for, which only AWS could measure.
REQUEST_MS = 50
WRITE_MS = 6
SWEEP_MS = 60
MEMORY_MB = 1024

#: In the README's words: which measured row, and how many requests start it and take it on.
RUNS = {
    "runs of 10 quick steps": ("chain of 10 `transform` steps", 1),
    "runs of 100 quick steps": ("chain of 100", 1),
    "runs that wait for an event": ("a wait for an event, from trigger to completed", 2),
}


def units_of(row: str, requests: int) -> Units:
    [measured] = [cells for cells in rows(MEASURED) if cells[0] == row]
    numbers = [int(re.findall(r"[\d,]+", cell)[0].replace(",", "")) for cell in measured[1:6]]
    writes, write_units, read_units, driven, transitions = numbers
    return Units(
        api_requests=requests,
        invocations=requests + driven,
        lambda_mb_ms=MEMORY_MB * (REQUEST_MS * requests + WRITE_MS * writes),
        write_halves=2 * write_units,
        read_halves=2 * read_units,
        transitions=transitions,
    )


def dollars(units: Units, *items: str, times: int = 1_000_000) -> Fraction:
    found = [line for line in pricing.lines(units) if not items or line.item in items]
    return sum((line.quantity * line.unit_price_usd * times for line in found), Fraction(0))


def test_the_worked_costs_are_the_measured_units_at_the_listed_prices() -> None:
    wanted = []
    for name, (row, requests) in RUNS.items():
        units = units_of(row, requests)
        parts = (
            dollars(units, "api_requests"),
            dollars(units, "lambda_requests", "lambda_duration"),
            dollars(units, "dynamodb_writes", "dynamodb_reads"),
            dollars(units, "state_transitions"),
            dollars(units),
        )
        wanted.append([name, *(f"${float(part):.2f}" for part in parts)])

    assert list(rows(WORKED)) == wanted


def test_what_an_idle_stack_costs_is_worked_out_from_its_sweeps() -> None:
    sweeps = 60 * 24 * 30
    asked = len(keys.SWEEP_SHARDS) + 2
    units = Units(invocations=1, lambda_mb_ms=MEMORY_MB * SWEEP_MS, read_halves=asked)

    said = f"{sweeps:,} sweeps a month of {asked} empty queries each: ${float(dollars(units, times=sweeps)):.2f}"
    assert said in README


@pytest.mark.parametrize(
    "figure", [f"{REQUEST_MS} ms", f"{WRITE_MS} ms", f"{SWEEP_MS} ms", pricing.PRICES_AS_OF.isoformat()]
)
def test_what_is_taken_for_granted_in_the_worked_costs_is_said(figure: str) -> None:
    worked = README.partition("### Worked out")[2].partition("\n## ")[0]

    assert figure in worked
