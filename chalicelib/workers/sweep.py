"""The ``sweep`` function, invoked every minute; it reports how many runs it had to go after."""

from __future__ import annotations

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from chalicelib.services import sweep
from chalicelib.services.clock import SystemClock
from chalicelib.services.outside import current
from chalicelib.workers.invocations import LambdaContext, invoked

#: Where the metrics stand in CloudWatch.
NAMESPACE = "Stepwell"


def handle(_event: object, context: LambdaContext) -> None:
    """Sweep once. ``OverdueRuns`` above 0 for ten minutes means that wake-ups are being lost."""
    with invoked(context):
        swept = sweep.sweep(now=SystemClock().now(), outside=current())
    with single_metric(name="OverdueRuns", unit=MetricUnit.Count, value=swept.overdue, namespace=NAMESPACE):
        pass
