"""What a run uses: units of AWS, and tokens and money that its agents report. Whole numbers, so that sums are exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Units:
    """What was used of AWS; each a whole number of the smallest part that AWS counts in."""

    #: Requests that API Gateway took for the run: what started it.
    api_requests: int = 0
    #: Lambda invocations.
    invocations: int = 0
    #: Lambda's memory times its time, in MB milliseconds.
    lambda_mb_ms: int = 0
    #: DynamoDB's write units and read units, in halves.
    write_halves: int = 0
    read_halves: int = 0
    #: Step Functions' state transitions.
    transitions: int = 0
    #: S3's requests that write or list, and those that read.
    s3_writes: int = 0
    s3_reads: int = 0
    #: Fargate's processors and memory times their time, in thousandths of a vCPU times seconds, and MB seconds.
    fargate_cpu_ms: int = 0
    fargate_mb_seconds: int = 0

    def __add__(self, other: Units) -> Units:
        """Return both together."""
        return summed((self, other))


#: Nothing was used, or counted.
NO_UNITS: Final = Units()
#: What units are counted in, by name.
UNIT_NAMES: Final = tuple(one.name for one in fields(Units))


def summed(parts: Sequence[Units]) -> Units:
    """Return all parts together."""
    return Units(**{name: sum([getattr(one, name) for one in parts]) for name in UNIT_NAMES})


@dataclass(frozen=True, kw_only=True)
class ModelUsage:
    """What agents of one tool and model have used, as they report it."""

    tool: str
    #: Empty where the tool chooses by itself.
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    #: In billionths of a US dollar.
    cost_nano_usd: int = 0


def together(usages: Iterable[ModelUsage]) -> tuple[ModelUsage, ...]:
    """Return usages added up by tool and model, in the order in which each first appears."""
    found: dict[tuple[str, str], ModelUsage] = {}
    for one in usages:
        before = found.get((one.tool, one.model), ModelUsage(tool=one.tool, model=one.model))
        found[one.tool, one.model] = ModelUsage(
            tool=one.tool,
            model=one.model,
            input_tokens=before.input_tokens + one.input_tokens,
            output_tokens=before.output_tokens + one.output_tokens,
            cost_nano_usd=before.cost_nano_usd + one.cost_nano_usd,
        )
    return tuple(found.values())
