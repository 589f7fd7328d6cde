"""``http_request {method, url, headers?, queryParams?, body?}``: answers ``{status, headers, body}``.

A status from 400 on fails the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from chalicelib.domain.outcome import Completed, Failed, Outcome
from chalicelib.domain.value import Json
from chalicelib.gateways.http import status_failure
from chalicelib.services.executors.call import FieldError, StepCall


def execute(call: StepCall) -> Outcome:
    """Send the request; the step's idempotency key goes with it, unless the step sets one itself."""
    headers = _fields(call, "headers")
    if not any(name.lower() == "idempotency-key" for name in headers):
        headers = {**headers, "Idempotency-Key": call.idempotency_key}
    response = call.outside.http.request(
        call.text("method"),
        call.text("url"),
        headers=headers,
        query=_fields(call, "queryParams"),
        body=call.config.get("body"),
        timeout_seconds=call.timeout.total_seconds(),
    )
    failure = status_failure(response, now=call.now)
    if failure is not None:
        pause = timedelta(seconds=failure.retry_after) if failure.retry_after is not None else None
        error = call.error(failure.code, failure.message)
        return Failed(error=error, retryable=failure.retryable, retry_after=pause)
    return Completed(output={"status": response.status, "headers": dict(response.headers), "body": response.body})


def _fields(call: StepCall, name: str) -> Mapping[str, Json]:
    value = call.config.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise FieldError(name, "must be an object", value)
    return value
