"""What units of AWS cost at its public prices. Taxes, discounts and free allowances are left out.

Money is counted in whole billionths of a US dollar, a line at a time, so that the lines of a bill add up to its total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from chalicelib.domain.usage import ModelUsage, Units

#: When this table was written.
PRICES_AS_OF: Final = date(2026, 11, 22)
#: Whose prices stand in for those of a region that has none here.
DEFAULT_REGION: Final = "us-east-1"
NANO: Final = 1_000_000_000

_MILLION: Final = 1_000_000
_THOUSAND: Final = 1_000
_MB_OF_A_GB: Final = 1_024
_SECONDS_OF_AN_HOUR: Final = 3_600


@dataclass(frozen=True, kw_only=True)
class Item:
    """A kind of use that AWS charges for."""

    name: str
    #: What one of its quantity is.
    unit: str
    #: How many of them some units hold, exactly.
    quantity: Callable[[Units], Fraction]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a bill: how much of an item there was, and what it costs."""

    item: str
    quantity: Fraction
    #: What one of the quantity is.
    unit: str
    #: Of one, in US dollars.
    unit_price_usd: Fraction
    cost_nano_usd: int


ITEMS: Final = (
    Item(name="api_requests", unit="request", quantity=lambda units: Fraction(units.api_requests)),
    Item(name="lambda_requests", unit="request", quantity=lambda units: Fraction(units.invocations)),
    Item(
        name="lambda_duration",
        unit="GB-second",
        quantity=lambda units: Fraction(units.lambda_mb_ms, _MB_OF_A_GB * _THOUSAND),
    ),
    Item(name="dynamodb_writes", unit="write request unit", quantity=lambda units: Fraction(units.write_halves, 2)),
    Item(name="dynamodb_reads", unit="read request unit", quantity=lambda units: Fraction(units.read_halves, 2)),
    Item(name="state_transitions", unit="transition", quantity=lambda units: Fraction(units.transitions)),
    Item(name="s3_writes", unit="request", quantity=lambda units: Fraction(units.s3_writes)),
    Item(name="s3_reads", unit="request", quantity=lambda units: Fraction(units.s3_reads)),
    Item(
        name="fargate_cpu",
        unit="vCPU-hour",
        quantity=lambda units: Fraction(units.fargate_cpu_ms, _THOUSAND * _SECONDS_OF_AN_HOUR),
    ),
    Item(
        name="fargate_memory",
        unit="GB-hour",
        quantity=lambda units: Fraction(units.fargate_mb_seconds, _MB_OF_A_GB * _SECONDS_OF_AN_HOUR),
    ),
)

#: In US dollars a unit of each item: API Gateway's REST APIs, Lambda on arm64, DynamoDB on demand, Step Functions'
#: standard executions, S3's standard class, Fargate on Linux and ARM; each in its first tier.
_EAST: Final[Mapping[str, Fraction]] = MappingProxyType(
    {
        "api_requests": Fraction("3.50") / _MILLION,
        "lambda_requests": Fraction("0.20") / _MILLION,
        "lambda_duration": Fraction("0.0000133334"),
        "dynamodb_writes": Fraction("0.625") / _MILLION,
        "dynamodb_reads": Fraction("0.125") / _MILLION,
        "state_transitions": Fraction("25.00") / _MILLION,
        "s3_writes": Fraction("0.005") / _THOUSAND,
        "s3_reads": Fraction("0.0004") / _THOUSAND,
        "fargate_cpu": Fraction("0.03238"),
        "fargate_memory": Fraction("0.00356"),
    },
)
#: By region. These three have the same prices.
PRICES: Final[Mapping[str, Mapping[str, Fraction]]] = MappingProxyType(
    {DEFAULT_REGION: _EAST, "us-east-2": _EAST, "us-west-2": _EAST},
)


def priced_as(region: str) -> str:
    """Return the region whose prices count for one: its own, if they are known."""
    return region if region in PRICES else DEFAULT_REGION


def lines(units: Units, region: str = DEFAULT_REGION) -> tuple[Line, ...]:
    """Return what units cost, item by item; an item of which there is nothing has no line."""
    prices = PRICES[priced_as(region)]
    found = ((item, item.quantity(units)) for item in ITEMS)
    return tuple(_line(item, quantity, prices[item.name]) for item, quantity in found if quantity)


def cost_nano_usd(units: Units, region: str = DEFAULT_REGION) -> int:
    """Return what units cost, in billionths of a US dollar: the sum of their lines."""
    return sum(line.cost_nano_usd for line in lines(units, region))


def agents_cost_nano_usd(usage: Iterable[ModelUsage]) -> int:
    """Return what agents say that they have cost, in billionths of a US dollar."""
    return sum(one.cost_nano_usd for one in usage)


def _line(item: Item, quantity: Fraction, price: Fraction) -> Line:
    cost = round(quantity * price * NANO)
    return Line(item=item.name, quantity=quantity, unit=item.unit, unit_price_usd=price, cost_nano_usd=cost)
