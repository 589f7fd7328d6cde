"""Endpoints as Chalice's routes: the only module of the API that knows Chalice, and where its peculiarities are met."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from chalice.app import Chalice, CORSConfig, Request, Response

from chalicelib import metrics, settings, tracing
from chalicelib.api.catalog import Route
from chalicelib.api.dialects import Problem
from chalicelib.api.endpoints import Answer, Endpoint, answer
from chalicelib.api.requests import HttpRequest
from chalicelib.domain.value import dumps

#: Browsers anywhere may call: a key is sent by the page itself, never by the browser on its own.
CORS: Final = CORSConfig(
    allow_origin="*",
    allow_headers=["Idempotency-Key", "X-Request-Id"],
    # The last is API Gateway's own, when it throttles (infra/api.yaml).
    expose_headers=["X-Request-Id", "Idempotency-Replayed", "X-Next-Cursor", "Retry-After"],
    max_age=600,
)

#: Lambda lets 6 MB out, the answer's status and headers among them.
LONGEST_ANSWER: Final = 6 * 1024 * 1024 - 16 * 1024
_MOST_BYTES_A_CHARACTER: Final = 4


def register(app: Chalice, routes: Iterable[Route]) -> None:
    """Make Chalice's routes of them.

    Chalice must not judge the Content-Type (``*/*``): it would answer 415 in its own words, and ask no endpoint.
    """
    for route in routes:
        declare = app.route(
            route.path, methods=[route.method], name=f"{route.method} {route.path}", content_types=["*/*"], cors=CORS
        )
        declare(_view(app, route))


def _view(app: Chalice, route: Route) -> Callable[..., Response]:
    """Return the view that Chalice calls.

    It raises nothing: Chalice's own middleware never sees what a view raises, and its handler would word the error.
    """
    # The pattern, in characters that a segment's name may have.
    name = f"{route.method} {route.path.replace('{', ':').replace('}', '')}"

    def view(**path_parameters: str) -> Response:
        with metrics.reported(), tracing.segment(name) as segment:
            endpoint, request = route.endpoint(), _request(app.current_request, path_parameters)
            answered = _sendable(answer(endpoint, request), endpoint, request)
            segment.annotate(status=answered.status)
            if answered.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                segment.failed()
        return Response(body=answered.body, status_code=answered.status, headers=dict(answered.headers))

    return view


def _sendable(answered: Answer, endpoint: Endpoint, request: HttpRequest) -> Answer:
    """Return the answer, or a refusal in place of one that Lambda would not let out; API Gateway could not say why.

    Such is the run whose last steps, each within its limit, have answered too much together.
    """
    if len(answered.body) * _MOST_BYTES_A_CHARACTER <= LONGEST_ANSWER:
        return answered
    # It goes out as a text within JSON.
    size = len(json.dumps(answered.body, ensure_ascii=False).encode())
    if size <= LONGEST_ANSWER:
        return answered
    message = (
        f"The answer is {size} bytes on its way out of Lambda, which lets {LONGEST_ANSWER} pass; what was asked for is "
        "done, and can be looked at in its parts"
    )
    problem = Problem(status=500, code="internal", message=message, request_id=request.request_id)
    return replace(answered, status=problem.status, body=dumps(endpoint.dialect.error(problem)))


def _request(request: Request | None, path_parameters: dict[str, str]) -> HttpRequest:
    if request is None or request.lambda_context is None:
        raise RuntimeError("Chalice called a route without a request")
    event: dict[str, Any] = request.to_original_event()
    return HttpRequest(
        path_parameters=path_parameters,
        query=event["multiValueQueryStringParameters"] or {},
        headers={name.lower(): value for name, value in (event["headers"] or {}).items()},
        body=_body(request),
        request_id=request.lambda_context.aws_request_id,
        gateway_request_id=str(event["requestContext"].get("extendedRequestId") or ""),
        base_url=settings.current().public_url or _base_url(event),
        at=datetime.now(UTC),
    )


def _body(request: Request) -> bytes:
    """Return the body's bytes; half a surrogate pair in API Gateway's text is kept, for the JSON reader to refuse."""
    try:
        raw = request.raw_body
    except UnicodeEncodeError:
        return str(request.to_original_event()["body"]).encode("utf-8", "surrogatepass")
    return raw if isinstance(raw, bytes) else raw.encode()


def _base_url(event: dict[str, Any]) -> str:
    """Return what the caller put before the path: scheme, host, and the stage or a custom domain's base path.

    API Gateway tells the domain, and the path with that prefix (``requestContext.path``) and without (``path``); the
    local server tells the Host only.
    """
    context = event["requestContext"]
    domain = context.get("domainName")
    if domain:
        prefix = str(context.get("path", "")).removesuffix(str(event.get("path", "")))
        return f"https://{domain}{prefix.rstrip('/')}"
    host = next((value for name, value in event["headers"].items() if name.lower() == "host"), "localhost")
    return f"http://{host}"
