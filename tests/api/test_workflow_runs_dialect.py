from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import Field

from chalicelib.api.bodies import LONGEST_BODY, AnyJson
from chalicelib.api.dialects import WORKFLOW_RUNS_API
from chalicelib.api.endpoints import ANY_KEY, Answer, Api, Endpoint, Reply, answer
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api import surface
from chalicelib.api.workflow_runs_api.surface import Body, PageQuery, ProjectPageQuery, Shown, Time
from chalicelib.domain import refusal
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import Detail, Refusal
from chalicelib.services import authentication
from tests.api.asking import PROJECT, a_key, a_request, told


class Colour(StrEnum):
    RED = "red"


class Paint(Body):
    reason: str | None = None
    colour: Annotated[Colour | None, Field(strict=False)] = None
    coats: Annotated[int, Field(ge=1, le=3)] = 1


class PaintAll(Body):
    wall_ids: Annotated[list[str], Field(min_length=1, max_length=2)]
    walls: Annotated[list[Paint], Field(default_factory=list)]


class Wall(Shown):
    wall_id: str
    output: AnyJson = None
    painted_at: Time | None = None


@pytest.fixture(autouse=True)
def good_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "authenticate", lambda *_, **__: a_key(Scope.RUNS_READ))


def an_endpoint(view: Callable[..., object], method: str = "GET", **declared: Any) -> Endpoint:
    api = Api(dialect=WORKFLOW_RUNS_API)
    api.endpoint(method, "/v1/walls/{run_id}", **({"scope": Scope.RUNS_READ} | declared))(view)
    return api.endpoints[0]


def ask(view: Callable[..., object], *, declared: dict[str, Any] | None = None, **request: Any) -> Answer:
    return answer(an_endpoint(view, **(declared or {})), a_request(path={"run_id": "wall_1"}, **request))


def refusing(refused: Refusal) -> Callable[..., object]:
    def view(*_: object, **__: object) -> None:
        raise refused

    return view


def never(*_: object, **__: object) -> None:
    pytest.fail("the view must not be called")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (refusal.Refusal, 400, "refused"),
        (refusal.Unauthenticated, 401, "unauthorized"),
        (refusal.KeyMissing, 401, "unauthorized"),
        (refusal.ScopeMissing, 403, "forbidden"),
        (refusal.NotFound, 404, "not_found"),
        (refusal.BadRequest, 400, "bad_request"),
        (refusal.Invalid, 400, "validation_error"),
        (refusal.InvalidDefinition, 400, "validation_error"),
        (refusal.TooLarge, 400, "too_large"),
        (refusal.BodyTooLarge, 413, "too_large"),
        (refusal.Conflict, 409, "conflict"),
        (refusal.IllegalMove, 400, "invalid_state"),
        (refusal.IdempotencyMismatch, 409, "idempotency_key_reused"),
        (refusal.TooMany, 429, "too_many_runs"),
        (refusal.TryLater, 503, "unavailable"),
    ],
)
def test_each_refusal_has_its_status_and_its_code(kind: type[Refusal], status: int, code: str) -> None:
    answered = ask(refusing(kind("no")))
    assert answered.status == status
    assert told(answered) == {"error": {"code": code, "message": "no"}, "request_id": "req-1"}


def test_details_say_what_is_wrong_where() -> None:
    refused = refusal.InvalidDefinition("steps.0 is bad", details=(Detail(path="steps.0", message="is bad"),))
    assert told(ask(refusing(refused)))["error"]["details"] == [{"path": "steps.0", "message": "is bad"}]


@pytest.mark.parametrize(
    ("noun", "message"),
    [("Run", "workflow run not found"), ("Step", "workflow step run not found"), ("Workflow", "workflow not found")],
)
def test_what_the_services_do_not_find_is_said_in_this_apis_words(noun: str, message: str) -> None:
    assert told(ask(refusing(refusal.NotFound(f"{noun} not found"))))["error"]["message"] == message


def test_an_id_that_cannot_be_one_is_not_found_in_this_apis_words() -> None:
    answered = answer(an_endpoint(never), a_request(path={"run_id": "a%2Fb"}))
    assert (answered.status, told(answered)["error"]["message"]) == (404, "workflow run not found")


def test_what_nobody_foresaw_is_a_500_in_this_apis_shape() -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyError("secret")

    answered = ask(crash)
    assert answered.status == 500
    assert told(answered)["error"] == {"code": "internal", "message": "Internal server error (request req-1)"}


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"\xff", b'{"reason": NaN}', b"[" * 500_000])
def test_a_malformed_body_is_refused(body: bytes) -> None:
    answered = ask(never, declared={"body": Paint}, body=body)
    assert (answered.status, told(answered)["error"]["code"]) == (400, "invalid_body")
    assert told(answered)["error"]["message"] == "invalid request body"


def test_a_body_that_is_too_long_is_413() -> None:
    assert ask(never, declared={"body": Paint}, body=b" " * (LONGEST_BODY + 1)).status == 413


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}"])
def test_an_empty_body_will_do_where_every_field_is_optional(body: bytes) -> None:
    def view(caller: Caller, *, run_id: str, body: Paint) -> AnyJson:
        return body.coats

    assert ask(view, declared={"body": Paint}, body=body).body == "1"


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (PaintAll, b"", "wall_ids is required"),
        (PaintAll, b"{}", "wall_ids is required"),
        (PaintAll, b'{"wall_ids": []}', "wall_ids must have at least 1 items"),
        (PaintAll, b'{"wall_ids": ["a", "b", "c"]}', "wall_ids must have at most 2 items"),
        (PaintAll, b'{"wall_ids": "a"}', "wall_ids must be a list"),
        (PaintAll, b'{"wall_ids": [1]}', "wall_ids.0 must be text"),
        (PaintAll, b'{"wall_ids": ["a"], "walls": [{"coats": 0}]}', "walls.0.coats must be at least 1"),
        (PaintAll, b'{"wall_ids": ["a"], "walls": [1]}', "walls.0 must be an object"),
        (Paint, b"null", "the request body must be an object"),
        (Paint, b"[]", "the request body must be an object"),
        (Paint, b'{"reason": 1}', "reason must be text"),
        (Paint, b'{"colour": "blue"}', "colour is invalid"),
        (Paint, b'{"coats": 4}', "coats must be at most 3"),
        (Paint, b'{"coats": 1.5}', "coats must be a whole number"),
        (Paint, b'{"coats": true}', "coats must be a whole number"),
        (Paint, b'{"coats": "1"}', "coats must be a whole number"),
        (Paint, b'{"{reason}": 1}', "{reason} is not a known field"),
    ],
)
def test_a_fault_is_said_of_its_field(model: type[Body], body: bytes, message: str) -> None:
    answered = ask(never, declared={"body": model}, body=body)
    error = told(answered)["error"]
    assert (answered.status, error["code"], error["message"]) == (400, "validation_error", message)
    assert message.endswith(error["details"][0]["message"])


def test_all_faults_are_told() -> None:
    error = told(ask(never, declared={"body": Paint}, body=b'{"coats": 0, "unknown": 1}'))["error"]
    assert {detail["path"] for detail in error["details"]} == {"coats", "unknown"}


@pytest.mark.parametrize(("limit", "rows"), [(None, 50), ("1", 1), ("100", 100), ("101", 100), ("999999999", 100)])
def test_a_limit_is_at_most_a_hundred(limit: str | None, rows: int) -> None:
    def view(caller: Caller, *, run_id: str, query: PageQuery) -> AnyJson:
        return query.limit

    query = {} if limit is None else {"limit": [limit]}
    assert ask(view, declared={"query": PageQuery}, query=query).body == str(rows)


@pytest.mark.parametrize("limit", ["", "0", "00", "-1", "1.5", "ten", "5_0", "٣", " 1", "9" * 5000])
def test_a_limit_that_is_no_positive_integer_is_refused(limit: str) -> None:
    answered = ask(never, declared={"query": PageQuery}, query={"limit": [limit]})
    assert (answered.status, told(answered)["error"]["message"]) == (400, "limit must be a positive integer")


def test_a_parameter_given_twice_is_refused() -> None:
    answered = ask(never, declared={"query": PageQuery}, query={"limit": ["1", "2"]})
    assert (answered.status, told(answered)["error"]["message"]) == (400, "limit is given more than once")


@pytest.mark.parametrize("query", [{}, {"project_id": [""]}])
def test_a_projects_list_needs_the_project(query: dict[str, list[str]]) -> None:
    answered = ask(never, declared={"query": ProjectPageQuery}, query=query)
    assert (answered.status, told(answered)["error"]["message"]) == (400, "project_id is required")


@pytest.mark.parametrize(("project_id", "status"), [(PROJECT, 200), ("proj_other", 404)])
def test_another_project_does_not_exist(project_id: str, status: int) -> None:
    def view(caller: Caller, *, run_id: str, query: ProjectPageQuery) -> AnyJson:
        return surface.own_project(caller, query.project_id)

    answered = ask(view, declared={"query": ProjectPageQuery}, query={"project_id": [project_id]})
    assert answered.status == status


def test_a_list_is_a_bare_array_with_the_next_cursor_in_a_header() -> None:
    at = datetime(2026, 1, 2, 5, 4, 5, 678900, tzinfo=timezone(timedelta(hours=2)))
    first = Wall(wall_id="w1", output={"kept": None}, painted_at=at)

    def view(caller: Caller, *, run_id: str) -> Reply[Any]:
        return surface.listed([first, Wall(wall_id="w2")], "c1")

    answered = ask(view)
    assert answered.headers["X-Next-Cursor"] == "c1"
    assert told(answered) == [
        {"wall_id": "w1", "output": {"kept": None}, "painted_at": "2026-01-02T03:04:05.678Z"},
        {"wall_id": "w2"},
    ]


def test_the_last_page_has_no_cursor_and_an_empty_one_is_an_empty_array() -> None:
    answered = ask(lambda *_, **__: surface.listed([], None))
    assert answered.body == "[]"
    assert "X-Next-Cursor" not in answered.headers


def test_a_time_is_utc() -> None:
    assert surface.shown_time(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


def test_a_scope_that_is_missing_is_told_by_its_word() -> None:
    answered = ask(never, declared={"scope": Scope.RUNS_REPAIR})
    assert answered.status == 403
    assert told(answered)["error"]["message"] == "API key missing required scope: workflows:write"


def test_any_key_will_do_where_no_scope_is_named() -> None:
    assert ask(lambda *_, **__: "fine", declared={"scope": ANY_KEY}).status == 200
