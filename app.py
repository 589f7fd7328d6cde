"""What Chalice deploys: the routes and the Lambda functions, declared here and written elsewhere.

Every function starts by importing this module, whichever it is. What only one of them needs is therefore imported by
its own handler: the API answers without the engine, and the engine runs without the API's models.
"""
# ruff: noqa: PLC0415 - as just said

from __future__ import annotations

from typing import cast

from chalice.app import Chalice, CloudWatchEvent

from chalicelib.api import catalog, chalice_routes
from chalicelib.workers.invocations import DriveEvent, LambdaContext, UploadEvent, WorkEvent

# Lines are written by `chalicelib.logs`; Chalice's own handler would print each once more.
app = Chalice("stepwell", configure_logs=False)
chalice_routes.register(app, catalog.routes())


@app.lambda_function(name="drive")
def drive(event: DriveEvent, context: LambdaContext) -> None:
    """Drive a run until it ends, waits, or this invocation's time is up."""
    from chalicelib.workers import drive as worker

    worker.handle(event, context)


@app.lambda_function(name="work")
def work(event: WorkEvent, context: LambdaContext) -> None:
    """Run a batch of claimed steps of a wide run."""
    from chalicelib.workers import work as worker

    worker.handle(event, context)


@app.schedule("rate(1 minute)", name="sweep")
def sweep(event: CloudWatchEvent) -> None:
    """Look again at the runs that are overdue."""
    from chalicelib.workers import sweep as worker

    worker.handle(event.to_dict(), cast("LambdaContext", event.context))


@app.lambda_function(name="uploaded")
def uploaded(event: UploadEvent, context: LambdaContext) -> None:
    """Look at files that were uploaded to the bucket, which tells of them."""
    from chalicelib.workers import uploaded as worker

    worker.handle(event, context)
