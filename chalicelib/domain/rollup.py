"""What the runs of some time came to, added up: counts, durations, money. Whole numbers, so that sums are exact.

A rollup is what an ended run adds to its workflow's statistics, and what it takes away again when it is reopened. Of
durations a histogram is kept, whose buckets each end a tenth above where they begin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from itertools import chain, pairwise
from typing import Final

from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import NO_UNITS, UNIT_NAMES, ModelUsage, Units, summed
from chalicelib.domain.usage import together as usage_together

#: Of a model's name as much is told apart.
LONGEST_MODEL: Final = 100

_MILLISECOND: Final = timedelta(milliseconds=1)
#: The last bucket holds whatever takes longer: ten years.
_LONGEST_MS: Final = 10 * 365 * 24 * 60 * 60 * 1000
_PERCENT: Final = 100

#: What counts as failed.
_FAILED: Final = frozenset({RunStatus.FAILED, RunStatus.TIMED_OUT})


def _bounds() -> Iterator[int]:
    yield 0
    bound = 1
    while bound < _LONGEST_MS:
        yield bound
        # A tenth more, rounded up, in whole numbers: the same on every machine.
        bound += -(-bound // 10)


#: Where each bucket begins, in milliseconds.
BOUNDS: Final = tuple(_bounds())


@dataclass(frozen=True, kw_only=True)
class Rollup:
    """What some ended runs came to; taken from another, its numbers may be negative."""

    completed: int = 0
    #: Those that were timed out too.
    failed: int = 0
    canceled: int = 0
    #: Those that had started, and how long these took together, in milliseconds.
    timed: int = 0
    duration_ms: int = 0
    #: How many of them took how long, by the place of their bucket in ``BOUNDS``.
    histogram: Mapping[int, int] = field(default_factory=dict)
    #: What they used of AWS, as far as it was counted.
    units: Units = NO_UNITS
    #: What their agents used, by tool and model, sorted so.
    usage: tuple[ModelUsage, ...] = ()

    def __neg__(self) -> Rollup:
        """Return what takes this away."""
        return Rollup(
            **{name: -getattr(self, name) for name in _NUMBERS},
            histogram={bucket: -count for bucket, count in self.histogram.items()},
            units=Units(**{name: -getattr(self.units, name) for name in UNIT_NAMES}),
            usage=tuple(_negative(one) for one in self.usage),
        )

    def __add__(self, other: Rollup) -> Rollup:
        """Return both together."""
        return together((self, other))

    def __sub__(self, other: Rollup) -> Rollup:
        """Return this without the other."""
        return together((self, -other))

    @property
    def total(self) -> int:
        """How many runs have ended."""
        return self.completed + self.failed + self.canceled

    @property
    def success_rate(self) -> float:
        """The part of completed runs in those that completed or failed; 0 where there are none."""
        judged = self.completed + self.failed
        return self.completed / judged if judged else 0.0

    @property
    def average_duration_ms(self) -> float:
        """How long a run took that had started; 0 where there are none."""
        return self.duration_ms / self.timed if self.timed else 0.0

    def percentile_ms(self, percent: int) -> float:
        """Return what so many of a hundred durations are within, give or take a twentieth; 0 where there are none."""
        rank = -(-self.timed * percent // _PERCENT)
        for bucket in sorted(self.histogram):
            rank -= self.histogram[bucket]
            if rank <= 0:
                return _middle(bucket)
        return 0.0


_NUMBERS: Final = tuple(one.name for one in fields(Rollup) if one.type == "int")
#: No run has ended.
NOTHING: Final = Rollup()


def of(run: Run) -> Rollup:
    """Return what a run adds; ``NOTHING`` of one that has not ended.

    It follows from the run alone, and from what does not change of it while it has ended: its status, its times, its
    units and its usage. So what is taken away when it is reopened is what was added.
    """
    if run.finished_at is None or not run.status.ended:
        return NOTHING
    usage = (
        ModelUsage(
            tool=one.tool,
            model=one.model[:LONGEST_MODEL],
            input_tokens=one.input_tokens,
            output_tokens=one.output_tokens,
            cost_nano_usd=one.cost_nano_usd,
        )
        for one in run.usage
    )
    ended = Rollup(
        completed=int(run.status is RunStatus.COMPLETED),
        failed=int(run.status in _FAILED),
        canceled=int(run.status is RunStatus.CANCELED),
        units=run.units,
        usage=_in_order(usage),
    )
    if run.started_at is None:
        return ended
    took = max(0, (run.finished_at - run.started_at) // _MILLISECOND)
    return ended + Rollup(timed=1, duration_ms=took, histogram={bisect_right(BOUNDS, took) - 1: 1})


def together(rollups: Iterable[Rollup]) -> Rollup:
    """Return all of them added up."""
    parts = tuple(rollups)
    histogram = Counter[int]()
    for one in parts:
        histogram.update(one.histogram)
    return Rollup(
        **{name: sum(getattr(one, name) for one in parts) for name in _NUMBERS},
        histogram={bucket: count for bucket, count in histogram.items() if count},
        units=summed([one.units for one in parts]),
        usage=_in_order(chain.from_iterable(one.usage for one in parts)),
    )


def _in_order(usages: Iterable[ModelUsage]) -> tuple[ModelUsage, ...]:
    """Return usages added up and sorted by tool and model, without those that are nothing."""
    found = (one for one in usage_together(usages) if one.input_tokens or one.output_tokens or one.cost_nano_usd)
    return tuple(sorted(found, key=lambda one: (one.tool, one.model)))


def _negative(one: ModelUsage) -> ModelUsage:
    return ModelUsage(
        tool=one.tool,
        model=one.model,
        input_tokens=-one.input_tokens,
        output_tokens=-one.output_tokens,
        cost_nano_usd=-one.cost_nano_usd,
    )


def _middle(bucket: int) -> float:
    return _MIDDLES[bucket] if bucket < len(_MIDDLES) else float(BOUNDS[-1])


#: Of each bucket but the last, which has no end.
_MIDDLES: Final = tuple((low + high - 1) / 2 for low, high in pairwise(BOUNDS))
