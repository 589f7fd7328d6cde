"""When something is over by itself: a heap of times, of which only those count that are still so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import heappop, heappush


class Timers:
    """The times of keys; ``time_of`` says which time a key has now, and None where it has none any more."""

    def __init__(self, time_of: Callable[[str], datetime | None]) -> None:
        self._time_of = time_of
        self._heap: list[tuple[datetime, str]] = []

    def set(self, key: str) -> None:
        """Take in that a key has got a time, or another."""
        at = self._time_of(key)
        if at is not None:
            heappush(self._heap, (at, key))

    def due_by(self, now: datetime) -> Iterator[str]:
        """Take out and yield the keys whose time is over; each is yielded once."""
        while self._heap and self._heap[0][0] <= now:
            at, key = heappop(self._heap)
            if self._time_of(key) == at:
                yield key

    def next_due(self) -> datetime | None:
        """Return the nearest time."""
        while self._heap and self._time_of(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
