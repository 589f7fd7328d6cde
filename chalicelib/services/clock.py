"""Time, as services see it; a test hands in its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What services ask of time."""

    def now(self) -> datetime:
        """Return the time, aware, UTC, in whole milliseconds (as records keep it)."""

    def monotonic(self) -> float:
        """Return seconds that only grow, for measuring what has passed in this process."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time in whole milliseconds."""
        at = datetime.now(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Hold this thread for a while."""
        time.sleep(seconds)
