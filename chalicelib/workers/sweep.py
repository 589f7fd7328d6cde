"""The ``sweep`` function, invoked every minute."""

from __future__ import annotations

from chalicelib.services import sweep
from chalicelib.services.clock import SystemClock
from chalicelib.services.outside import current


def handle(_event: object, _context: object) -> None:
    """Sweep once."""
    sweep.sweep(now=SystemClock().now(), outside=current())
