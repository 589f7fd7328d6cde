"""The ``drive`` function: does what is to be done in one run."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.services import drive
from chalicelib.services.clock import SystemClock
from chalicelib.workers.invocations import DriveEvent, LambdaContext, invoked


def handle(event: DriveEvent, context: LambdaContext) -> None:
    """Drive the run that the event names: ``{run_id, lease_seq?}``, the latter from the end of a parking."""
    now = SystemClock().now()
    parked_under = event.get("lease_seq")
    invocation = drive.Invocation(
        owner=context.aws_request_id,
        started_at=now,
        deadline=now + timedelta(milliseconds=context.get_remaining_time_in_millis()),
        parked_under=int(parked_under) if parked_under is not None else None,
    )
    with invoked(context, run_id=event["run_id"]):
        drive.drive(event["run_id"], invocation)
