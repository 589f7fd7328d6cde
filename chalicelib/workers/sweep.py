"""The ``sweep`` function, invoked every minute.

It reports how many runs it had to go after, how many it started because their schedule was due, and of how many
workflows that are gone for good it found something left to remove.
"""

from __future__ import annotations

from chalicelib import metrics
from chalicelib.metrics import Metric
from chalicelib.services import schedules, sweep, trash
from chalicelib.services.clock import SystemClock
from chalicelib.services.outside import current
from chalicelib.workers.invocations import LambdaContext, invoked


def handle(_event: object, context: LambdaContext) -> None:
    """Sweep once. ``OverdueRuns`` above 0 for ten minutes means that wake-ups are being lost."""
    with invoked(context):
        clock, outside = SystemClock(), current()
        metrics.count(Metric.OVERDUE_RUNS, sweep.sweep(now=clock.now(), outside=outside).overdue)
        metrics.count(Metric.SCHEDULED_RUNS, schedules.fire(now=clock.now(), outside=outside))
        metrics.count(Metric.UNFINISHED_PURGES, trash.go_on_purging())
