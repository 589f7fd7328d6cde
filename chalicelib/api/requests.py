"""A request as an endpoint sees it, and what a view is told of who makes it; nothing here knows Chalice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from chalicelib.domain.access import Actor, Scope
from chalicelib.domain.idempotency import FirstUse
from chalicelib.domain.refusal import NotFound
from chalicelib.services import identifiers

_ID: Final = identifiers.FORM
_STEP: Final = re.compile(r"[A-Za-z0-9_.-]{1,512}", re.ASCII)
#: Any text of one line; a rendered template may have put anything into it.
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,512}")

#: What a path parameter names and can look like, for the 404 of one that can name nothing.
PARAMETERS: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = MappingProxyType(
    {
        "workflow_id": ("Workflow", _ID),
        "version_id": ("Version", _ID),
        "other_version_id": ("Version", _ID),
        "run_id": ("Run", _ID),
        "step_ref": ("Step", _STEP),
        "event_key": ("Event", _LINE),
        "job_run_id": ("Job run", _ID),
        "token": ("Function", _ID),
        # One that there cannot be is refused as one that there is not: by its token.
        "ticket_id": ("Agent", _LINE),
    },
)


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
    #: API Gateway's own id of it, which stands in that one's log; empty where there is none.
    gateway_request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What every view is told."""

    request_id: str
    #: The time of the request; a view asks no clock.
    now: datetime
    base_url: str
    #: As it was sent, where the endpoint asks for no key: a guarded one looks for a token of its own.
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Caller(Call):
    """What the view of a closed endpoint is told: the project that it acts in, too, and who acts."""

    project_id: str
    actor: Actor
    scopes: frozenset[Scope]
    #: If the request carries an idempotency key, where its API remembers such: what the request creates has ids of it.
    once: FirstUse | None = None


def path_ids(request: HttpRequest) -> dict[str, str]:
    """Return the path's parameters, decoded once; one that no id can look like is its object's 404.

    API Gateway and Chalice's local server both hand them over as they were sent: a slash in one is still ``%2F``.
    """
    return {name: _decoded(text, *PARAMETERS[name]) for name, text in request.path_parameters.items()}


def _decoded(text: str, noun: str, form: re.Pattern[str]) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise NotFound(f"{noun} not found") from None
    if not form.fullmatch(decoded):
        raise NotFound(f"{noun} not found")
    return decoded
