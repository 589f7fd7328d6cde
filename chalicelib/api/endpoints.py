"""The endpoints that Stepwell has, and how one answers: the only place where a refusal becomes an HTTP status.

A view is an ordinary function. It is called as ``view(caller, **path_ids, body=…, query=…, headers=…)``, with those of
the last three that the endpoint declares a model for, and returns a model or JSON value, or a ``Reply`` to set the
status or a header too. Before it is called, in this order: the key is checked, then its scope, then the path, the
query, the headers and the body; last, where the API remembers idempotency keys, whether it has been answered before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from chalicelib import logs
from chalicelib.api import bodies
from chalicelib.api.dialects import Dialect, Problem, unforeseen
from chalicelib.api.requests import Call, Caller, HttpRequest, path_ids
from chalicelib.domain.access import Actor, Scope
from chalicelib.domain.idempotency import request_digest
from chalicelib.domain.refusal import Invalid, Refusal, TryLater
from chalicelib.domain.value import Json, dumps
from chalicelib.logs import Action, Ids
from chalicelib.services import authentication, once
from chalicelib.services.availability import PASSING
from chalicelib.services.faults import describe
from chalicelib.services.once import Made

View = TypeVar("View", bound=Callable[..., object])

#: HTTP methods that an endpoint may answer; OPTIONS is the gateway's, for CORS.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Nothing(Enum):
    """An empty body, where None is JSON's null."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


class AnyKey(Enum):
    """In place of a scope: a key in force is enough, whatever it may do."""

    ANY_KEY = "any"


ANY_KEY: Final = AnyKey.ANY_KEY

#: What a body is made of: a model, a list of models, JSON, or nothing.
Content: TypeAlias = "BaseModel | Sequence[BaseModel] | Json | Nothing"
Body_co = TypeVar("Body_co", bound=Content, covariant=True)
Model = TypeVar("Model", bound=BaseModel)

#: The body of a request to a guarded endpoint: what reads and checks it, or raises why it is refused.
Unread: TypeAlias = Callable[[], Model]


@dataclass(frozen=True, kw_only=True)
class Reply(Generic[Body_co]):
    """A view's answer where the body alone does not say it."""

    body: Body_co
    #: None for the endpoint's own.
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    #: JSON text, or nothing.
    body: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path, and all that the OpenAPI document says of it."""

    method: str
    #: With its parameters in braces.
    path: str
    view: Callable[..., object]
    dialect: Dialect
    #: What the caller's key must be allowed; None only where it is public.
    scope: Scope | AnyKey | None
    #: The status of success.
    status: int
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    #: Other statuses that it answers with such a body too.
    also: tuple[int, ...] = ()
    #: Whether its view looks for a token of its own (``Call.authorization``), and only then has the body read: it is
    #: given a function that does so, an ``Unread``.
    guarded: bool = False

    @property
    def public(self) -> bool:
        """Whether it asks for no key."""
        return self.scope is None

    @property
    def takes_key(self) -> bool:
        """Whether a request may carry an Idempotency-Key that the API itself keeps; a view that reads it keeps it."""
        read = self.headers is not None and "idempotency_key" in self.headers.model_fields
        return not read and self.scope is not None and self.method in self.dialect.repeatable

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def name(self) -> str:
        """A name that no other endpoint has."""
        return f"{self.view.__name__}_{self.method.lower()}"


class Api:
    """The endpoints of one dialect."""

    def __init__(self, *, dialect: Dialect) -> None:
        self.dialect = dialect
        self.endpoints: list[Endpoint] = []

    def endpoint(  # noqa: PLR0913 - an endpoint has these parts
        self,
        method: str,
        path: str,
        *,
        scope: Scope | AnyKey | None = None,
        public: bool = False,
        status: int = 200,
        body: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
        headers: type[BaseModel] | None = None,
        also: tuple[int, ...] = (),
        guarded: bool = False,
    ) -> Callable[[View], View]:
        """Remember the decorated view as this endpoint; it names a scope, or says that it is public."""
        if public == (scope is not None):
            message = f"{method} {path} must either name a scope or be public"
            raise ValueError(message)
        if method not in METHODS:
            message = f"{method} {path}: no such method here"
            raise ValueError(message)

        def remember(view: View) -> View:
            endpoint = Endpoint(
                method=method,
                path=path,
                view=view,
                dialect=self.dialect,
                scope=scope,
                status=status,
                body=body,
                query=query,
                headers=headers,
                also=also,
                guarded=guarded,
            )
            self.endpoints.append(endpoint)
            return view

        return remember


def answer(endpoint: Endpoint, request: HttpRequest) -> Answer:
    """Answer a request; whatever happens, in the endpoint's dialect and with the request's id, as all lines have it."""
    began = time.monotonic()
    ids: Ids = {"request_id": request.request_id, "endpoint": f"{endpoint.method} {endpoint.path}"}
    if request.gateway_request_id not in {"", request.request_id}:
        ids["gateway_request_id"] = request.gateway_request_id
    with logs.carrying(**ids):
        answered, code = _answered(endpoint, request)
        ms = round((time.monotonic() - began) * 1000)
        logs.tell(Action.REQUEST_ANSWERED, status=answered.status, code=code, ms=ms)
    return answered


def _answered(endpoint: Endpoint, request: HttpRequest) -> tuple[Answer, str | None]:
    """Return the answer, and the code of the refusal if it is one."""
    try:
        made = _made(endpoint, request)
        replayed = {"Idempotency-Replayed": "true"} if made.replayed else {}
        return _answer(made.status, made.body, request, {**made.headers, **replayed}), None
    except Refusal as refused:
        return _refusal_answer(endpoint.dialect, refused, request)
    except PASSING as error:
        logs.tell(Action.PART_UNAVAILABLE, fault=describe(error))
        later = TryLater("A part of Stepwell does not answer at this moment; try again")
        return _refusal_answer(endpoint.dialect, later, request)
    except Exception as error:  # noqa: BLE001 - the outermost frame of a request: what nobody foresaw is a 500, not a crash
        # The message and the traceback's values may hold what the caller sent.
        logs.tell(Action.REQUEST_FAILED, fault=describe(error))
        return _problem_answer(endpoint.dialect, unforeseen(request_id=request.request_id), request), None


def _refusal_answer(dialect: Dialect, refused: Refusal, request: HttpRequest) -> tuple[Answer, str]:
    problem = dialect.problem(refused, request_id=request.request_id)
    return _problem_answer(dialect, problem, request), refused.code


def _made(endpoint: Endpoint, request: HttpRequest) -> Made:
    """Return what the view makes of the request, or has made of the same one before."""
    caller = _call(request) if endpoint.scope is None else _caller(endpoint.dialect, endpoint.scope, request)
    arguments = _arguments(endpoint, request)
    key = request.headers.get("idempotency-key") if endpoint.takes_key else None
    if key is None or not isinstance(caller, Caller):
        return _called(endpoint, caller, arguments)
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 255 visible ASCII characters", field="Idempotency-Key")
    sent = once.Sent(
        project_id=caller.project_id,
        scope=f"{endpoint.method} {endpoint.path}",
        key=key,
        digest=_digest(arguments),
        now=request.at,
    )
    return once.once(sent, lambda use: _called(endpoint, replace(caller, once=use), arguments))


def _arguments(endpoint: Endpoint, request: HttpRequest) -> dict[str, object]:
    wording = endpoint.dialect.wording
    arguments: dict[str, object] = {**path_ids(request)}
    if endpoint.query is not None:
        arguments["query"] = bodies.checked(
            endpoint.query, bodies.single(request.query, wording=wording), wording=wording
        )
    if endpoint.headers is not None:
        arguments["headers"] = bodies.checked(endpoint.headers, dict(request.headers), wording=wording)
    if endpoint.body is not None:
        body = endpoint.body
        arguments["body"] = (
            partial(_body, body, endpoint, request) if endpoint.guarded else _body(body, endpoint, request)
        )
    return arguments


def _body(model: type[BaseModel], endpoint: Endpoint, request: HttpRequest) -> BaseModel:
    sent = bodies.read_json(request.body, when_empty=endpoint.dialect.empty_body)
    return bodies.checked(model, sent, wording=endpoint.dialect.wording)


def _digest(arguments: Mapping[str, object]) -> str:
    """Return what tells one request to an endpoint from another: its path, its query and its body."""
    return request_digest(
        {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
            for name, value in arguments.items()
            if name != "headers"
        }
    )


def _called(endpoint: Endpoint, caller: Call, arguments: Mapping[str, object]) -> Made:
    result = endpoint.view(caller, **arguments)
    reply = result if isinstance(result, Reply) else Reply(body=cast("Content", result))
    return Made(
        status=reply.status or endpoint.status,
        headers=reply.headers,
        body=_text(reply.body, endpoint.dialect),
    )


def _call(request: HttpRequest) -> Call:
    return Call(
        request_id=request.request_id,
        now=request.at,
        base_url=request.base_url,
        authorization=request.headers.get("authorization"),
    )


def _caller(dialect: Dialect, scope: Scope | AnyKey, request: HttpRequest) -> Caller:
    key = authentication.authenticate(request.headers.get("authorization"), now=request.at)
    logs.carry(project_id=key.project_id, key_id=key.id)
    if isinstance(scope, Scope) and scope not in key.scopes:
        raise dialect.scope_missing(scope)
    return Caller(
        request_id=request.request_id,
        now=request.at,
        base_url=request.base_url,
        project_id=key.project_id,
        actor=Actor(key_id=key.id, name=key.name),
        scopes=key.scopes,
    )


def _problem_answer(dialect: Dialect, problem: Problem, request: HttpRequest) -> Answer:
    return _answer(problem.status, dumps(dialect.error(problem)), request, MappingProxyType({}))


def _answer(status: int, body: str, request: HttpRequest, headers: Mapping[str, str]) -> Answer:
    return Answer(
        status=status,
        headers={"Content-Type": "application/json", "X-Request-Id": request.request_id, **headers},
        body=body,
    )


def _text(body: Content, dialect: Dialect) -> str:
    if isinstance(body, Nothing):
        return ""
    if isinstance(body, BaseModel):
        return _model_text(body, dialect)
    if isinstance(body, (list, tuple)) and body and all(isinstance(row, BaseModel) for row in body):
        return f"[{','.join(_model_text(row, dialect) for row in body)}]"
    return dumps(cast("Json", body))


def _model_text(model: BaseModel, dialect: Dialect) -> str:
    return model.model_dump_json(by_alias=True, exclude_none=dialect.omits_none)
