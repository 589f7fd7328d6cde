"""What Chalice deploys: the routes and the Lambda functions, declared here and written elsewhere."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from chalice.app import Chalice, CloudWatchEvent

from chalicelib.api import catalog, chalice_routes
from chalicelib.workers import drive as drive_worker
from chalicelib.workers import sweep as sweep_worker
from chalicelib.workers import work as work_worker
from chalicelib.workers.invocations import DriveEvent, LambdaContext, WorkEvent

# Every logger below `stepwell` writes JSON lines by this one; Chalice's own handler would print each line once more.
logger = Logger(service="stepwell")
app = Chalice("stepwell", configure_logs=False)
chalice_routes.register(app, catalog.endpoints())


@app.lambda_function(name="drive")
def drive(event: DriveEvent, context: LambdaContext) -> None:
    """Drive a run until it ends, waits, or this invocation's time is up."""
    drive_worker.handle(event, context)


@app.lambda_function(name="work")
def work(event: WorkEvent, context: LambdaContext) -> None:
    """Run a batch of claimed steps of a wide run."""
    work_worker.handle(event, context)


@app.schedule("rate(1 minute)", name="sweep")
def sweep(event: CloudWatchEvent) -> None:
    """Look again at the runs that are overdue."""
    sweep_worker.handle(event.to_dict(), event.context)
