"""What sets one public API apart from another: its statuses, the shape of its errors, its words for scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chalicelib.domain import refusal
from chalicelib.domain.access import TRIGGER_API_BUNDLES, Scope, word_for
from chalicelib.domain.refusal import Detail, Refusal
from chalicelib.domain.value import Json


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a request is not answered as asked, before a dialect gives it a shape."""

    status: int
    #: The refusal's code; ``internal`` for what nobody foresaw.
    code: str
    #: For people.
    message: str
    request_id: str
    #: The one input that is at fault, if it is one.
    field: str | None = None
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One public API's manners."""

    name: str
    #: The status of each refusal; one that is not listed has that of the class it derives from.
    statuses: Mapping[type[Refusal], int]
    #: The body of an error.
    error: Callable[[Problem], Json]
    #: Its words for bundles of fine scopes.
    bundles: Mapping[str, frozenset[Scope]]

    def problem(self, refused: Refusal, *, request_id: str) -> Problem:
        """Return what to say of a refusal."""
        return Problem(
            status=next(self.statuses[kind] for kind in type(refused).__mro__ if kind in self.statuses),
            code=refused.code,
            message=refused.message,
            request_id=request_id,
            field=refused.field,
            details=refused.details,
        )

    def scope_missing(self, scope: Scope) -> refusal.ScopeMissing:
        """Return the refusal of a key that lacks a scope, in this API's own word for it."""
        return refusal.ScopeMissing(f"API key missing required scope: {word_for(scope, self.bundles)}")


def unforeseen(*, request_id: str) -> Problem:
    """Return what to say of an error that nobody foresaw: nothing of its cause, and where to find it."""
    message = f"Internal server error (request {request_id})"
    return Problem(status=500, code="internal", message=message, request_id=request_id)


def _trigger_api_error(problem: Problem) -> Json:
    if not problem.details:
        return {"error": problem.message}
    return {"error": problem.message, "details": [_detail(detail) for detail in problem.details]}


def _detail(detail: Detail) -> Json:
    shown = {"path": detail.path, "message": detail.message}
    return shown if detail.node_id is None else {**shown, "nodeId": detail.node_id}


_TRIGGER_API_STATUSES: Mapping[type[Refusal], int] = MappingProxyType(
    {
        Refusal: 400,
        refusal.Unauthenticated: 401,
        refusal.ScopeMissing: 403,
        refusal.NotFound: 404,
        refusal.BadRequest: 400,
        refusal.Invalid: 422,
        refusal.InvalidDefinition: 400,
        refusal.TooLarge: 422,
        refusal.Conflict: 409,
        refusal.IdempotencyMismatch: 422,
        refusal.TooMany: 429,
        refusal.TryLater: 503,
    },
)

#: Dialect A: `/api`.
TRIGGER_API = Dialect(
    name="trigger",
    statuses=_TRIGGER_API_STATUSES,
    error=_trigger_api_error,
    bundles=TRIGGER_API_BUNDLES,
)

#: A function's own URL answers errors as a Worker does, as `{message}`; a bad body there is a 400.
FUNCTION_URL = Dialect(
    name="function",
    statuses=MappingProxyType({**_TRIGGER_API_STATUSES, refusal.Invalid: 400, refusal.TooLarge: 413}),
    error=lambda problem: {"message": problem.message},
    bundles=MappingProxyType({}),
)
