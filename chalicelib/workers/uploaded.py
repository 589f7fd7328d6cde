"""The ``uploaded`` function, which S3 invokes for each object that is uploaded."""

from __future__ import annotations

from urllib.parse import unquote_plus

from chalicelib.services import files
from chalicelib.services.clock import SystemClock
from chalicelib.workers.invocations import LambdaContext, UploadEvent, invoked


def handle(event: UploadEvent, context: LambdaContext) -> None:
    """Look at each upload that the event tells of; S3 tells of each at least once, in no order.

    S3 also sends an event without records, when it is first told of the function.
    """
    for record in event.get("Records", []):
        key = unquote_plus(record["s3"]["object"]["key"])
        with invoked(context, object_key=key):
            files.uploaded(key, now=SystemClock().now())
