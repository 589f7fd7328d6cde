"""The ``sweep`` function, invoked every minute.

It reports how many runs it had to go after, how many it started because their schedule was due, and of how many
workflows that are gone for good it found something left to remove.
"""

from __future__ import annotations

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from chalicelib.services import schedules, sweep, trash
from chalicelib.services.clock import SystemClock
from chalicelib.services.outside import current
from chalicelib.workers.invocations import LambdaContext, invoked

#: Where the metrics stand in CloudWatch.
NAMESPACE = "Stepwell"


def handle(_event: object, context: LambdaContext) -> None:
    """Sweep once. ``OverdueRuns`` above 0 for ten minutes means that wake-ups are being lost."""
    with invoked(context):
        clock, outside = SystemClock(), current()
        _report("OverdueRuns", sweep.sweep(now=clock.now(), outside=outside).overdue)
        _report("ScheduledRuns", schedules.fire(now=clock.now(), outside=outside))
        _report("UnfinishedPurges", trash.go_on_purging())


def _report(name: str, count: int) -> None:
    with single_metric(name=name, unit=MetricUnit.Count, value=count, namespace=NAMESPACE):
        pass
