"""What sets one public API apart from another: its statuses, the shape of its errors, its words for scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from chalicelib.api.bodies import PLAIN, Wording
from chalicelib.domain import refusal
from chalicelib.domain.access import (
    TRIGGER_API_BUNDLES,
    WORKFLOW_RUNS_API_BUNDLES,
    WORKFLOWS_API_BUNDLES,
    Scope,
    word_for,
)
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
    #: Its own words in place of the services' for a refusal's message.
    message: Callable[[Refusal], str] = field(default=lambda refused: refused.message)
    #: How it words what is wrong with the input.
    wording: Wording = PLAIN
    #: Whether a field of an answer that is None is left out, or else null.
    omits_none: bool = False
    #: What an empty body is read as.
    empty_body: bytes = b""
    #: The methods whose requests may carry an Idempotency-Key, each kept as the dialect's own endpoints need not know.
    repeatable: frozenset[str] = frozenset()

    def problem(self, refused: Refusal, *, request_id: str) -> Problem:
        """Return what to say of a refusal."""
        return Problem(
            status=next(self.statuses[kind] for kind in type(refused).__mro__ if kind in self.statuses),
            code=refused.code,
            message=self.message(refused),
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

#: The workflow-runs API's code for each refusal; one that is not listed has that of the class it derives from.
_WORKFLOW_RUNS_API_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unauthenticated": "unauthorized",
        "key_missing": "unauthorized",
        "scope_missing": "forbidden",
        "malformed_body": "invalid_body",
        "invalid": "validation_error",
        "invalid_definition": "validation_error",
        "body_too_large": "too_large",
        "illegal_move": "invalid_state",
        "idempotency_mismatch": "idempotency_key_reused",
        "too_many": "too_many_runs",
        "try_later": "unavailable",
    },
)

#: What the services say is not found, in the workflow-runs API's words.
_WORKFLOW_RUNS_API_NOUNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Workflow not found": "workflow not found",
        "Version not found": "workflow version not found",
        "Run not found": "workflow run not found",
        "Step not found": "workflow step run not found",
        "Event not found": "event not found",
        "Job run not found": "job run not found",
        "Project not found": "project not found",
        "Connection not found": "connection not found",
    },
)


def _workflow_runs_api_message(refused: Refusal) -> str:
    if isinstance(refused, refusal.MalformedBody):
        return "invalid request body"
    return _WORKFLOW_RUNS_API_NOUNS.get(refused.message, refused.message)


def _workflow_runs_api_error(problem: Problem) -> Json:
    error: dict[str, Json] = {
        "code": _WORKFLOW_RUNS_API_CODES.get(problem.code, problem.code),
        "message": problem.message,
    }
    if problem.details:
        error["details"] = [_detail(detail) for detail in problem.details]
    return {"error": error, "request_id": problem.request_id}


def _field_and_fault(fault: Detail) -> str:
    return f"{fault.path or 'the request body'} {fault.message}"


#: How a fault is said of the field that it precedes, as in ``project_id is required``.
_OF_THE_FIELD: Final = Wording(
    summary=_field_and_fault,
    faults=MappingProxyType(
        {
            "missing": "is required",
            "extra_forbidden": "is not a known field",
            "enum": "is invalid",
            "literal_error": "is invalid",
            "value_error": "{error}",
            "model_type": "must be an object",
            "model_attributes_type": "must be an object",
            "dict_type": "must be an object",
            "list_type": "must be a list",
            "string_type": "must be text",
            "int_type": "must be a whole number",
            "int_from_float": "must be a whole number",
            "float_type": "must be a number",
            "bool_type": "must be true or false",
            "string_pattern_mismatch": "must match {pattern}",
            "string_too_short": "must have at least {min_length} characters",
            "string_too_long": "must have at most {max_length} characters",
            "too_short": "must have at least {min_length} items",
            "too_long": "must have at most {max_length} items",
            "greater_than": "must be greater than {gt}",
            "greater_than_equal": "must be at least {ge}",
            "less_than": "must be less than {lt}",
            "less_than_equal": "must be at most {le}",
        },
    ),
    twice="is given more than once",
)

#: Dialect B: `/v1`. Its faults are said of the field, as in ``project_id is required``.
WORKFLOW_RUNS_API = Dialect(
    name="workflow_runs",
    statuses=MappingProxyType(
        {
            Refusal: 400,
            refusal.Unauthenticated: 401,
            refusal.ScopeMissing: 403,
            refusal.NotFound: 404,
            refusal.BodyTooLarge: 413,
            refusal.Conflict: 409,
            refusal.IllegalMove: 400,
            refusal.IdempotencyMismatch: 409,
            refusal.TooMany: 429,
            refusal.TryLater: 503,
        },
    ),
    error=_workflow_runs_api_error,
    bundles=WORKFLOW_RUNS_API_BUNDLES,
    message=_workflow_runs_api_message,
    wording=_OF_THE_FIELD,
    omits_none=True,
    empty_body=b"{}",
    repeatable=frozenset({"POST"}),
)

#: The workflows API's code for each refusal; one that is not listed has that of the class it derives from.
WORKFLOWS_API_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "refused": "VALIDATION",
        "unauthenticated": "AUTH_INVALID",
        "key_missing": "AUTH_MISSING",
        "scope_missing": "SCOPE_DENIED",
        "not_found": "NOT_FOUND",
        "bad_request": "VALIDATION",
        "malformed_body": "VALIDATION",
        "invalid": "VALIDATION",
        "invalid_definition": "VALIDATION",
        "too_large": "TOO_LARGE",
        "body_too_large": "TOO_LARGE",
        "conflict": "CONFLICT",
        "illegal_move": "CONFLICT",
        "idempotency_mismatch": "idempotency_mismatch",
        "too_many": "RATE_LIMITED",
        "try_later": "UNAVAILABLE",
        "internal": "INTERNAL",
    },
)


def _workflows_api_error(problem: Problem) -> Json:
    error: dict[str, Json] = {"code": WORKFLOWS_API_CODES[problem.code], "message": problem.message}
    field = problem.field or next((detail.path for detail in problem.details), "")
    if field:
        error["field"] = field
    if problem.details:
        error["details"] = [_detail(detail) for detail in problem.details]
    return {"error": error, "requestId": problem.request_id}


#: Dialect C: `/api/v1`.
WORKFLOWS_API = Dialect(
    name="workflows",
    statuses=MappingProxyType(
        {
            Refusal: 400,
            refusal.Unauthenticated: 401,
            refusal.ScopeMissing: 403,
            refusal.NotFound: 404,
            refusal.TooLarge: 413,
            refusal.Conflict: 409,
            refusal.IdempotencyMismatch: 409,
            refusal.TooMany: 429,
            refusal.TryLater: 503,
        },
    ),
    error=_workflows_api_error,
    bundles=WORKFLOWS_API_BUNDLES,
    wording=_OF_THE_FIELD,
    empty_body=b"{}",
    repeatable=frozenset({"POST"}),
)
