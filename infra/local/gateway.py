"""Answers a request as API Gateway does: by the app's route for it, or by itself with what the template says then."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import CustomLocalChalice, LocalChalice, LocalGateway

from infra import template
from infra.local.iam import Role, acting_as

_STATIC: Final = re.compile(r"'([^']*)'")
_REQUEST_ID: Final = "context.extendedRequestId"


class Kind(StrEnum):
    """What API Gateway calls the answers that it gives by itself; those that there can be here."""

    UNREADABLE = "DEFAULT_4XX"
    FAILED = "DEFAULT_5XX"
    NO_SUCH_ENDPOINT = "MISSING_AUTHENTICATION_TOKEN"
    TOO_LARGE = "REQUEST_TOO_LARGE"
    TIMED_OUT = "INTEGRATION_TIMEOUT"


#: Their statuses where the template gives none.
_STATUSES: Final[Mapping[Kind, int]] = {
    Kind.UNREADABLE: HTTPStatus.BAD_REQUEST,
    Kind.FAILED: HTTPStatus.BAD_GATEWAY,
    Kind.NO_SUCH_ENDPOINT: HTTPStatus.FORBIDDEN,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back over the wire."""

    status: int
    #: A header that is there more than once has a list.
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    body: bytes = b""


class OwnAnswers:
    """What API Gateway answers by itself, out of the template."""

    def __init__(self, responses: Mapping[str, template.Node] | None = None) -> None:
        """Take the template's `GatewayResponses`, or those given, each of them with a body in JSON.

        ValueError where one holds an expression that the local stack cannot tell the value of.
        """
        if responses is None:
            responses = template.load()["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
        self._responses = {kind: responses[kind] for kind in Kind}
        for response in self._responses.values():
            json.loads(_body(response, "id"))
            dict(_headers(response, "id"))

    def answer(self, kind: Kind, *, status: int | None = None) -> Answer:
        """Return such an answer; ``status`` is its own where the template leaves it as it is."""
        response = self._responses[kind]
        request_id = str(uuid.uuid4())
        return Answer(
            status=int(response.get("StatusCode") or status or _STATUSES[kind]),
            headers=dict(_headers(response, request_id)),
            body=_body(response, request_id).encode(),
        )


def _headers(response: template.Node, request_id: str) -> Iterator[tuple[str, str | list[str]]]:
    for name, expression in response["ResponseParameters"]["Headers"].items():
        static = _STATIC.fullmatch(expression)
        if static is None and expression != _REQUEST_ID:
            raise ValueError(f"what {expression} of header {name} comes to is not known here")
        yield name, static[1] if static else request_id


def _body(response: template.Node, request_id: str) -> str:
    text = str(response["ResponseTemplates"]["application/json"]).replace(f"${_REQUEST_ID}", request_id)
    if "$" in text:
        raise ValueError(f"what an expression comes to is not known here: {text}")
    return text


class _NoSuchEndpoint(Exception):
    """No route has this path, or the path not this method."""


class _Routes(LocalGateway):
    """Chalice's own, which knows neither the template nor that API Gateway has no route for another method."""

    def _generate_lambda_event(
        self, method: str, path: str, headers: dict[str, Any], body: bytes | None
    ) -> dict[str, Any]:
        try:
            event: dict[str, Any] = super()._generate_lambda_event(method, path, headers, body)
        except ValueError:
            raise _NoSuchEndpoint from None
        if method not in {"OPTIONS", *self._app_object.routes[event["requestContext"]["resourcePath"]]}:
            raise _NoSuchEndpoint
        return event


class Gateway:
    """The app's routes, and what is answered where none of them does."""

    def __init__(self, app: Chalice, *, timeout_seconds: float, role: Role | None = None) -> None:
        # As chalice.local.create_local_server does, so that each thread has a current_request of its own.
        if not isinstance(app, LocalChalice):
            CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
            app.__class__ = CustomLocalChalice
        config = Config.create(
            chalice_app=app, app_name=app.app_name, lambda_timeout=timeout_seconds, lambda_memory_size=1024
        )
        self._routes = _Routes(app, config)
        self._timeout_seconds = timeout_seconds
        self._own = OwnAnswers()
        self._role = role

    def own(self, kind: Kind, *, status: int | None = None) -> Answer:
        """Return what API Gateway answers by itself."""
        return self._own.answer(kind, status=status)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request, whatever happens.

        A thread cannot be stopped: an answer that took longer than API Gateway waits is thrown away when it comes.
        """
        began = time.monotonic()
        try:
            with acting_as(self._role):
                answered = self._routes.handle_request(method, path, dict(headers), body or None)
        except _NoSuchEndpoint:
            return self.own(Kind.NO_SUCH_ENDPOINT)
        except BaseException:  # noqa: BLE001 - the outermost frame of a request: Lambda says no more than that it failed
            print(f"{method} {path} raised:\n{traceback.format_exc()}", file=sys.stderr)
            return self.own(Kind.FAILED)
        if time.monotonic() - began > self._timeout_seconds:
            return self.own(Kind.TIMED_OUT)
        return Answer(
            status=answered["statusCode"],
            headers={**answered["headers"], **answered["multiValueHeaders"]},
            body=_bytes(answered),
        )


def _bytes(answered: Mapping[str, Any]) -> bytes:
    body = answered["body"]
    if answered.get("isBase64Encoded"):
        return base64.b64decode(body)
    return body if isinstance(body, bytes) else (body or "").encode()
