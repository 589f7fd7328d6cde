"""The ``work`` function: makes a batch of attempts at one run's steps."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.services import work
from chalicelib.services.clock import SystemClock
from chalicelib.workers.invocations import LambdaContext, WorkEvent, invoked

#: What is kept of the invocation's time for writing down the last results.
MARGIN = timedelta(seconds=5)


def handle(event: WorkEvent, context: LambdaContext) -> None:
    """Make the attempts that the event names."""
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    deadline = SystemClock().now() + left - MARGIN
    with invoked(context, run_id=event["run_id"]):
        work.work(event["run_id"], event["keys"], owner=event["owner"], deadline=deadline)
