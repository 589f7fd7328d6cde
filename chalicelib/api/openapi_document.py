"""The OpenAPI document of every API, made of the endpoints themselves; it loads them all."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from chalicelib.api import catalog, openapi_errors
from chalicelib.api.dialects import Dialect
from chalicelib.api.endpoints import AnyKey, Endpoint
from chalicelib.api.openapi_schemas import Key, Schema, answered_by, described, fields_of, name_in
from chalicelib.api.requests import PARAMETERS
from chalicelib.domain.access import word_for

#: By what a path begins with, the first that fits: the API's tag, and what it is.
TAGS: Final = (
    ("/v1/", "workflow-runs", "Workflows as lists of steps, their runs and each run's steps, events, approvals, jobs."),
    ("/api/v1/", "workflows", "Workflows as pipelines of agents, their personas and files, and their runs."),
    ("/api/", "trigger", "Workflows as graphs, their versions and deployments, and their runs."),
    ("/functions/", "functions", "Functions at their own URL."),
    ("/", "service", "Stepwell itself."),
)
_DESCRIPTION: Final = (
    "Durable workflows in your own AWS account. Every answer carries its request's id in X-Request-Id."
)
_JSON: Final = "application/json"
#: Where the fields of a model go, by the model's use.
_PLACES: Final[Mapping[str, str]] = MappingProxyType({"query": "query", "headers": "header"})
_ERROR: Final = "Error"


@dataclass(frozen=True, kw_only=True)
class _Models:
    """The schemas of one dialect's models, by endpoint and use."""

    #: By endpoint's name and ``body``, ``query``, ``headers`` or ``answer``.
    schemas: Mapping[Key, Schema]
    #: Those that they refer to.
    named: Mapping[str, Schema]


@functools.cache
def document() -> dict[str, Any]:
    """Return the document; it is the same for the life of the process, and nobody changes it."""
    endpoints = sorted(catalog.endpoints(), key=lambda one: (one.path, one.method))
    dialects = {one.dialect.name: one.dialect for one in endpoints}
    models = {
        name: _models([one for one in endpoints if one.dialect is dialect], dialect)
        for name, dialect in dialects.items()
    }
    uses = Counter(one.view.__name__ for one in endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        name = one.view.__name__ if uses[one.view.__name__] == 1 else one.name
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, name, models[one.dialect.name])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stepwell",
            "version": "1",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for _, name, text in TAGS],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(_schemas(models))),
            "responses": dict(sorted(_errors(endpoints))),
            "headers": _HEADERS,
            "parameters": {"Idempotency-Key": _IDEMPOTENCY_KEY},
            "securitySchemes": {
                "bearerAuth": {"type": "http", "scheme": "bearer", "description": "A key: `ask_<id>_<secret>`."},
                "agentToken": {"type": "http", "scheme": "bearer", "description": "What an agent is given to report."},
            },
        },
    }


_HEADERS: Final = {
    "X-Request-Id": {"description": "The request's id, as the log has it.", "schema": {"type": "string"}},
    "X-Next-Cursor": {
        "description": "The next page's `cursor`; absent on the last page.",
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "That the same request had been answered so before, and did nothing now.",
        "schema": {"type": "string", "const": "true"},
    },
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key takes effect once, within 24 hours, and is answered the same.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def _models(endpoints: Sequence[Endpoint], dialect: Dialect) -> _Models:
    """Return the schemas of what the endpoints take and answer; a name that would mean two things is an error."""
    sent: dict[Key, object] = {
        (one.name, part): model
        for one in endpoints
        for part, model in (("body", one.body), ("query", one.query), ("headers", one.headers))
        if model is not None
    }
    answered: dict[Key, object] = {
        (one.name, "answer"): type_ for one in endpoints if (type_ := answered_by(one.view)) is not None
    }
    prefix = f"{dialect.name}."
    taken, taken_named = described(sent, prefix=prefix, mode="validation", omits_none=False)
    given, given_named = described(answered, prefix=prefix, mode="serialization", omits_none=dialect.omits_none)
    twice = [name for name in taken_named.keys() & given_named.keys() if taken_named[name] != given_named[name]]
    if twice:
        raise ValueError(f"sent and answered alike, but not the same: {', '.join(twice)}")
    return _Models(schemas={**taken, **given}, named={**taken_named, **given_named})


def _spelled_out(models: _Models) -> set[str]:
    """Return the names of the models that stand in the document field by field, as parameters."""
    return {name_in(schema) for key, schema in models.schemas.items() if key[1] in _PLACES}


def _operation(endpoint: Endpoint, name: str, models: _Models) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(endpoint.view) or "").replace("``", "`").partition("\n\n")
    made: dict[str, Any] = {
        "operationId": name,
        "tags": [next(tag for begin, tag, _ in TAGS if endpoint.path.startswith(begin))],
        "summary": " ".join(summary.split()).removesuffix("."),
    }
    if rest:
        made["description"] = " ".join(rest.split())
    parameters = list(_parameters(endpoint, models))
    if parameters:
        made["parameters"] = parameters
    body = models.schemas.get((endpoint.name, "body"))
    if body is not None:
        needed = any(required for _, _, required in fields_of(body, models.named)) or not endpoint.dialect.empty_body
        made["requestBody"] = {"required": needed, "content": {_JSON: {"schema": body}}}
    made["responses"] = _responses(endpoint, models)
    made["security"] = _security(endpoint)
    return made


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    """Return what a caller must have: a key, with the scope in its API's word where it takes one; or a token."""
    if endpoint.guarded:
        return [{"agentToken": []}]
    if endpoint.scope is None:
        return []
    if isinstance(endpoint.scope, AnyKey):
        return [{"bearerAuth": []}]
    return [{"bearerAuth": [word_for(endpoint.scope, endpoint.dialect.bundles)]}]


def _parameters(endpoint: Endpoint, models: _Models) -> Iterator[dict[str, Any]]:
    for name in endpoint.parameters:
        _, form = PARAMETERS[name]
        schema = {"type": "string", "pattern": f"^{form.pattern}$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for part, place in _PLACES.items():
        schema = models.schemas.get((endpoint.name, part), {})
        for name, field, required in fields_of(schema, models.named):
            yield {"name": name, "in": place, "required": required, "schema": field}
    if endpoint.takes_key:
        yield {"$ref": "#/components/parameters/Idempotency-Key"}


def _responses(endpoint: Endpoint, models: _Models) -> dict[str, Any]:
    answer = models.schemas.get((endpoint.name, "answer"))
    headers = ["X-Request-Id"]
    if answer is not None and answer.get("type") == "array" and endpoint.query is not None:
        headers.append("X-Next-Cursor")
    if endpoint.takes_key:
        headers.append("Idempotency-Replayed")
    good: dict[str, Any] = {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers}}
    if answer is not None:
        good["content"] = {_JSON: {"schema": answer}}
    answers = {
        str(status): {"description": HTTPStatus(status).phrase, **good} for status in (endpoint.status, *endpoint.also)
    }
    errors = {
        str(status): {"$ref": f"#/components/responses/{endpoint.dialect.name}.{status}"}
        for status in openapi_errors.statuses_of(endpoint)
    }
    return dict(sorted({**errors, **answers}.items()))


def _errors(endpoints: Sequence[Endpoint]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the errors that there are, each once for a dialect and a status."""
    for name, dialect in {one.dialect.name: one.dialect for one in endpoints}.items():
        used = {status for one in endpoints if one.dialect is dialect for status in openapi_errors.statuses_of(one)}
        for status in used:
            yield (
                f"{name}.{status}",
                {
                    "description": openapi_errors.meaning_of(status, dialect),
                    "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                    "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{name}.{_ERROR}"}}},
                },
            )


def _schemas(models: Mapping[str, _Models]) -> Iterator[tuple[str, Schema]]:
    """Yield all schemas that others refer to."""
    for name, found in models.items():
        apart = _spelled_out(found)
        yield from ((named, schema) for named, schema in found.named.items() if named not in apart)
        yield f"{name}.{_ERROR}", openapi_errors.BODIES[name]
