"""The errors of each API, as the OpenAPI document holds them: their bodies, and which an endpoint may answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from chalicelib.api.dialects import FUNCTION_URL, TRIGGER_API, WORKFLOW_RUNS_API, WORKFLOWS_API, Dialect
from chalicelib.api.endpoints import AnyKey, Endpoint
from chalicelib.domain import refusal
from chalicelib.domain.refusal import Refusal

Part: TypeAlias = dict[str, Any]

_DETAILS: Final[Part] = {
    "type": "array",
    "description": "Each thing that is wrong, and where in what was sent.",
    "items": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "message": {"type": "string"},
            "nodeId": {"type": "string", "description": "The graph's node that it belongs to."},
        },
        "required": ["path", "message"],
    },
}

#: By dialect: the schema of an error's body.
BODIES: Final[Mapping[str, Part]] = MappingProxyType(
    {
        TRIGGER_API.name: {
            "type": "object",
            "properties": {"error": {"type": "string"}, "details": _DETAILS},
            "required": ["error"],
        },
        FUNCTION_URL.name: {
            "type": "object",
            "properties": {"message": {"type": "string"}},
            "required": ["message"],
        },
        WORKFLOW_RUNS_API.name: {
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {
                        "code": {"type": "string", "description": "For machines."},
                        "message": {"type": "string", "description": "For people."},
                        "details": _DETAILS,
                    },
                    "required": ["code", "message"],
                },
                "request_id": {"type": "string"},
            },
            "required": ["error", "request_id"],
        },
        WORKFLOWS_API.name: {
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {
                        "code": {"type": "string", "description": "For machines."},
                        "message": {"type": "string", "description": "For people."},
                        "field": {"type": "string", "description": "What of the input is at fault, if one thing is."},
                        "details": _DETAILS,
                    },
                    "required": ["code", "message"],
                },
                "requestId": {"type": "string"},
            },
            "required": ["error", "requestId"],
        },
    },
)

_READS: Final = frozenset({"GET", "HEAD"})
_UNFORESEEN: Final = 500
_UNFORESEEN_MEANS: Final = "Nobody foresaw it; the log has more under the request's id."


def statuses_of(endpoint: Endpoint) -> set[int]:
    """Return the statuses of the errors that an endpoint may answer."""
    return {_status(kind, endpoint.dialect) for kind in _refusals(endpoint)} | {_UNFORESEEN}


def meaning_of(status: int, dialect: Dialect) -> str:
    """Return what a status means in a dialect: each refusal that has it."""
    kinds = [kind for kind in _kinds(Refusal) if _status(kind, dialect) == status]
    return "\n".join(f"- {kind.__doc__}" for kind in kinds) or _UNFORESEEN_MEANS


def _status(kind: type[Refusal], dialect: Dialect) -> int:
    return dialect.problem(kind(""), request_id="").status


def _kinds(above: type[Refusal]) -> Iterator[type[Refusal]]:
    """Yield the kinds of refusals that have a code of their own."""
    for kind in above.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from _kinds(kind)


def _refusals(endpoint: Endpoint) -> Iterator[type[Refusal]]:
    """Yield what an endpoint may refuse with, by what it asks for."""
    if not endpoint.public or endpoint.guarded:
        yield refusal.Unauthenticated
    if not endpoint.public and not isinstance(endpoint.scope, AnyKey):
        yield refusal.ScopeMissing
    if endpoint.parameters or endpoint.query is not None or endpoint.body is not None:
        yield refusal.NotFound
    if endpoint.query is not None or endpoint.headers is not None or endpoint.takes_key:
        yield refusal.Invalid
    if endpoint.body is not None:
        yield from (refusal.MalformedBody, refusal.Invalid, refusal.InvalidDefinition)
        yield from (refusal.BodyTooLarge, refusal.TooLarge)
    if endpoint.takes_key:
        yield refusal.IdempotencyMismatch
    if (endpoint.scope is not None or endpoint.guarded) and endpoint.method not in _READS:
        yield from (refusal.BadRequest, refusal.Conflict, refusal.IllegalMove)
    if endpoint.scope is not None and endpoint.method == "POST":
        yield refusal.TooMany
    yield refusal.TryLater
