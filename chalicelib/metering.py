"""What an invocation uses of AWS, counted as it is used, so that the run which it was made for can carry it.

What counts calls ``add`` wherever it is; outside of ``measured`` that does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from chalicelib.domain.usage import NO_UNITS, Units, summed


class Meter:
    """Counts one invocation. The threads that it starts count on it too, if they are given its context."""

    def __init__(self, *, memory_mb: int) -> None:
        self._memory_mb = memory_mb
        self._began = time.monotonic()
        #: One to an addition: appending is what threads can do at once without waiting for each other.
        self._parts = [Units(invocations=1)]

    def add(self, units: Units) -> None:
        """Count units."""
        self._parts.append(units)

    def total(self) -> Units:
        """Return what has been used so far, the invocation itself and its time included."""
        # Lambda charges for each millisecond that has begun.
        taken = 1 + int((time.monotonic() - self._began) * 1000)
        return summed((*self._parts, Units(lambda_mb_ms=self._memory_mb * taken)))


_meter: Final[ContextVar[Meter | None]] = ContextVar("meter", default=None)


@contextmanager
def measured(*, memory_mb: int) -> Iterator[Meter]:
    """Count what is used meanwhile, by an invocation with so much memory."""
    meter = Meter(memory_mb=memory_mb)
    before = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(before)


def is_on() -> bool:
    """Whether anything is counted."""
    return _meter.get() is not None


def add(units: Units) -> None:
    """Count units for the invocation that is under way, if one is measured."""
    meter = _meter.get()
    if meter is not None:
        meter.add(units)


def used(*, closing: Units) -> Units:
    """Return what the invocation under way has used, its closing write included, which is yet to be made.

    Nothing where none is measured.
    """
    meter = _meter.get()
    return NO_UNITS if meter is None else meter.total() + closing
