"""What CloudWatch counts of Stepwell, in one line of its embedded format an invocation, and none where nothing was.

A metric is a hint for alarms and dashboards, counted right after the write that makes it true: an invocation that dies
between that write and its last line leaves it out, and one that is made again finds the write made and counts nothing.
So a metric may tell too little, hardly ever too much. What must be exact is in the statistics, which are written in the
run's own transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

# The logger's package has it loaded already.
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

#: Where the metrics stand in CloudWatch, unless POWERTOOLS_METRICS_NAMESPACE says otherwise.
NAMESPACE: Final = "Stepwell"


class Metric(StrEnum):
    """What is counted. Their one dimension is the service, so that each costs as much as one metric does."""

    #: By a sweep: runs that should have been heard of and were not, that a schedule started, and workflows gone for
    #: good of which something was left.
    OVERDUE_RUNS = "OverdueRuns"
    SCHEDULED_RUNS = "ScheduledRuns"
    UNFINISHED_PURGES = "UnfinishedPurges"
    RUNS_STARTED = "RunsStarted"
    RUNS_COMPLETED = "RunsCompleted"
    RUNS_FAILED = "RunsFailed"
    RUNS_TIMED_OUT = "RunsTimedOut"
    RUNS_CANCELED = "RunsCanceled"
    #: Steps that failed for good, after all their attempts.
    STEPS_FAILED = "StepsFailed"
    #: Attempts whose invocation died, or did not answer in time.
    ATTEMPTS_LOST = "AttemptsLost"
    WAKE_UPS_LOST = "WakeUpsLost"


#: What the invocation under way has counted, one to an addition: threads append at once without waiting for each other.
_counted: Final[ContextVar[list[tuple[Metric, int]] | None]] = ContextVar("counted", default=None)


def count(metric: Metric, number: int = 1) -> None:
    """Count for the invocation that is under way, if there is one."""
    counted = _counted.get()
    if counted is not None and number:
        counted.append((metric, number))


@contextmanager
def reported() -> Iterator[None]:
    """Report what is counted meanwhile, failed or not; within another such, that one does."""
    if _counted.get() is not None:
        yield
        return
    counted: list[tuple[Metric, int]] = []
    before = _counted.set(counted)
    try:
        yield
    finally:
        _counted.reset(before)
        if counted:
            _report(counted)


def _report(counted: list[tuple[Metric, int]]) -> None:
    line = AmazonCloudWatchEMFProvider()
    line.namespace = line.namespace or NAMESPACE
    totals: Counter[Metric] = Counter()
    for metric, number in counted:
        totals[metric] += number
    for metric, number in totals.items():
        line.add_metric(name=metric.value, unit="Count", value=number)
    line.flush_metrics()
