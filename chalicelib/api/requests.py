"""A request as an endpoint sees it, and what a view is told of who makes it; nothing here knows Chalice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from chalicelib.domain.access import Actor, Scope
from chalicelib.domain.refusal import NotFound
from chalicelib.services import identifiers

#: What a path parameter names, for the 404 of one that can name nothing.
_NOUNS: Mapping[str, str] = {
    "workflow_id": "Workflow",
    "version_id": "Version",
    "run_id": "Run",
    "token": "Function",
}


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One HTTP request."""

    #: From the path's template, still percent-encoded.
    path_parameters: Mapping[str, str]
    #: Every value of each parameter, in order.
    query: Mapping[str, Sequence[str]]
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    #: What the caller reached the API under, such as ``https://host/stage``; no slash at its end.
    base_url: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Call:
    """What every view is told."""

    request_id: str
    #: The time of the request; a view asks no clock.
    now: datetime
    base_url: str


@dataclass(frozen=True, kw_only=True)
class Caller(Call):
    """What the view of a closed endpoint is told: the project that it acts in, too, and who acts."""

    project_id: str
    actor: Actor
    scopes: frozenset[Scope]


def path_ids(request: HttpRequest) -> dict[str, str]:
    """Return the path's parameters, decoded once; one that no id can look like is its object's 404.

    API Gateway and Chalice's local server both hand them over as they were sent: a slash in one is still ``%2F``.
    """
    return {name: _decoded(text, _NOUNS[name]) for name, text in request.path_parameters.items()}


def _decoded(text: str, noun: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise NotFound(f"{noun} not found") from None
    return identifiers.known_form(decoded, noun)
