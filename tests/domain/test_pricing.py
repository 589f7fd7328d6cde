"""Units are priced line by line, exactly, at prices that say whose they are."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import pricing
from chalicelib.domain.usage import NO_UNITS, ModelUsage, Units

_NAMES = tuple(one.name for one in fields(Units))

some_units = st.builds(Units, **{name: st.integers(0, 10**12) for name in _NAMES})


@pytest.mark.parametrize(
    ("units", "dollars"),
    [
        (Units(api_requests=1_000_000), "3.50"),
        (Units(invocations=1_000_000), "0.20"),
        (Units(lambda_mb_ms=1024 * 1000 * 60_000), "0.800004"),
        (Units(write_halves=2_000_000), "0.625"),
        (Units(read_halves=2_000_000), "0.125"),
        (Units(transitions=1_000_000), "25"),
        (Units(s3_writes=1000), "0.005"),
        (Units(s3_reads=1000), "0.0004"),
        (Units(fargate_cpu_ms=4 * 1000 * 3600), "0.12952"),
        (Units(fargate_mb_seconds=2 * 1024 * 3600), "0.00712"),
    ],
)
def test_each_unit_has_its_public_price(units: Units, dollars: str) -> None:
    assert pricing.cost_nano_usd(units) == Fraction(dollars) * pricing.NANO


def test_every_unit_is_priced_once_in_every_region() -> None:
    for name in _NAMES:
        [line] = pricing.lines(Units(**{name: 10**9}))
        assert line.cost_nano_usd > 0
    for prices in pricing.PRICES.values():
        assert prices.keys() == {item.name for item in pricing.ITEMS}


def test_nothing_used_is_an_empty_bill() -> None:
    assert pricing.lines(NO_UNITS) == ()
    assert pricing.cost_nano_usd(NO_UNITS) == 0


@given(some_units)
def test_the_lines_of_a_bill_add_up_to_its_total(units: Units) -> None:
    found = pricing.lines(units)
    assert sum(line.cost_nano_usd for line in found) == pricing.cost_nano_usd(units)
    for line in found:
        assert abs(line.quantity * line.unit_price_usd * pricing.NANO - line.cost_nano_usd) <= Fraction(1, 2)


@given(some_units, st.sampled_from(_NAMES))
def test_more_is_never_cheaper(units: Units, name: str) -> None:
    more = replace(units, **{name: getattr(units, name) + 1})
    assert pricing.cost_nano_usd(more) >= pricing.cost_nano_usd(units)


def test_a_region_without_prices_is_priced_as_another_and_says_so() -> None:
    units = Units(transitions=3)
    assert pricing.priced_as("us-west-2") == "us-west-2"
    assert pricing.priced_as("eu-central-1") == "us-east-1"
    assert pricing.cost_nano_usd(units, "eu-central-1") == pricing.cost_nano_usd(units, "us-east-1")


def test_lambda_is_priced_as_the_processor_that_it_is_deployed_on() -> None:
    config = json.loads(Path(".chalice/config.json").read_text())
    assert config["lambda_architecture"] == "arm64"
    assert pricing.PRICES["us-east-1"]["lambda_duration"] == Fraction("0.0000133334"), "x86_64 is a quarter dearer"


def test_agents_cost_what_they_say() -> None:
    usage = [ModelUsage(tool="claude", model=model, cost_nano_usd=cost) for model, cost in (("a", 3), ("b", 4))]
    assert pricing.agents_cost_nano_usd(usage) == 7
