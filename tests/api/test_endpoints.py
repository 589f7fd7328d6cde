from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import Field

from chalicelib.api.bodies import LONGEST_BODY, AnyJson, Body, Parameters
from chalicelib.api.dialects import TRIGGER_API
from chalicelib.api.endpoints import Answer, Api, Endpoint, Reply, answer
from chalicelib.api.requests import Call, Caller
from chalicelib.domain import refusal
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import Detail, Invalid, Refusal, Unauthenticated
from chalicelib.domain.value import Json
from chalicelib.services import authentication
from tests.api.asking import PROJECT, a_key, a_request, told


class Order(Body):
    order_id: str
    amount: int = 1
    extra: AnyJson = None


class OrderQuery(Parameters):
    limit: Annotated[str, Field(max_length=3)] = "50"


class OrderHeaders(Parameters):
    trace: Annotated[str | None, Field(alias="x-trace", max_length=5)] = None


def an_endpoint(view: Callable[..., object], **declared: object) -> Endpoint:
    api = Api(dialect=TRIGGER_API)
    wanted = {"scope": Scope.RUNS_TRIGGER} | declared
    api.endpoint("POST", "/api/things/{workflow_id}", **wanted)(view)  # type: ignore[arg-type] # a table of options
    return api.endpoints[0]


def ask(view: Callable[..., object], *, path: str = "wf_1", **request: object) -> Answer:
    return answer(an_endpoint(view), a_request(path={"workflow_id": path}, **request))  # type: ignore[arg-type] # options


def never(*_: object, **__: object) -> None:
    pytest.fail("the view must not be called")


@pytest.fixture(autouse=True)
def good_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def authenticate(header: str | None, *, now: object) -> object:
        if header != "Bearer ask_key1_secret":
            raise Unauthenticated("Invalid API key")
        return a_key(Scope.RUNS_TRIGGER)

    monkeypatch.setattr(authentication, "authenticate", authenticate)


def test_a_view_is_told_who_calls_and_what_was_sent() -> None:
    seen: list[object] = []

    def view(caller: Caller, *, workflow_id: str, body: Order, query: OrderQuery, headers: OrderHeaders) -> Reply[Json]:
        seen.extend([caller.project_id, caller.actor.name, workflow_id, body.order_id, query.limit, headers.trace])
        return Reply(body={"a": 1}, headers={"X-More": "yes"})

    endpoint = an_endpoint(view, body=Order, query=OrderQuery, headers=OrderHeaders, status=201)
    request = a_request(
        path={"workflow_id": "wf%5F1"},
        body='{"orderId": "o1"}',
        query={"limit": ["7"], "unknown": ["1"]},
        headers={"x-trace": "t1"},
    )
    answered = answer(endpoint, request)
    assert seen == [PROJECT, "tester", "wf_1", "o1", "7", "t1"]
    assert (answered.status, told(answered), answered.headers["X-More"]) == (201, {"a": 1}, "yes")


def test_every_answer_carries_the_request_id_and_is_json() -> None:
    for view in (lambda *_, **__: {"ok": True}, lambda *_, **__: None, never_found, crash):
        answered = ask(view)
        assert answered.headers["X-Request-Id"] == "req-1"
        assert answered.headers["Content-Type"] == "application/json"


def never_found(*_: object, **__: object) -> None:
    raise refusal.NotFound("Thing not found")


def crash(*_: object, **__: object) -> None:
    raise KeyError("ask_key1_secret")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (refusal.Refusal, 400),
        (refusal.Unauthenticated, 401),
        (refusal.KeyMissing, 401),
        (refusal.ScopeMissing, 403),
        (refusal.NotFound, 404),
        (refusal.BadRequest, 400),
        (refusal.MalformedBody, 400),
        (refusal.Invalid, 422),
        (refusal.InvalidDefinition, 400),
        (refusal.TooLarge, 422),
        (refusal.BodyTooLarge, 422),
        (refusal.Conflict, 409),
        (refusal.IllegalMove, 409),
        (refusal.IdempotencyMismatch, 422),
        (refusal.TooMany, 429),
        (refusal.TryLater, 503),
    ],
)
def test_each_refusal_has_its_status(kind: type[Refusal], status: int) -> None:
    def view(*_: object, **__: object) -> None:
        raise kind("no")

    answered = ask(view)
    assert (answered.status, told(answered)) == (status, {"error": "no"})


def test_the_table_of_statuses_above_misses_no_refusal() -> None:
    def below(kind: type[Refusal]) -> set[type[Refusal]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    marks = test_each_refusal_has_its_status.pytestmark  # type: ignore[attr-defined] # pytest puts it there
    listed = {kind for kind, _ in marks[0].args[1]}
    assert {kind for kind in below(Refusal) if kind.__module__ == refusal.__name__} == listed


def test_details_say_where_and_of_which_node() -> None:
    def view(*_: object, **__: object) -> None:
        details = (Detail(path="nodes.0", message="bad", node_id="n1"), Detail(path="", message="worse"))
        raise refusal.InvalidDefinition("Invalid IR", details=details)

    assert told(ask(view)) == {
        "error": "Invalid IR",
        "details": [{"path": "nodes.0", "message": "bad", "nodeId": "n1"}, {"path": "", "message": "worse"}],
    }


def test_what_nobody_foresaw_is_a_500_that_tells_the_request_and_no_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="stepwell"):
        answered = ask(crash, body='{"pay": "load"}')
    assert answered.status == 500
    assert told(answered) == {"error": "Internal server error (request req-1)"}


def test_the_log_of_a_500_holds_neither_message_nor_key(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", written.append)
    logger = logging.getLogger("stepwell")
    logger.addHandler(handler)
    try:
        ask(crash, body='{"pay": "load"}')
    finally:
        logger.removeHandler(handler)
    text = str([record.__dict__ for record in written])
    assert "KeyError" in text
    assert "crash" in text
    assert "secret" not in text
    assert "load" not in text


def test_a_closed_endpoint_asks_for_a_key_before_anything_else() -> None:
    endpoint = an_endpoint(never, body=Order)
    for key in (None, "ask_key1_wrong", "nonsense"):
        answered = answer(endpoint, a_request(path={"workflow_id": "%"}, body="{", key=key))
        assert answered.status == 401


def test_a_key_without_the_scope_is_told_the_dialects_word_for_it() -> None:
    endpoint = an_endpoint(never, scope=Scope.RUNS_CONTROL, body=Order)
    answered = answer(endpoint, a_request(path={"workflow_id": "wf_1"}, body="{"))
    assert (answered.status, told(answered)) == (403, {"error": "API key missing required scope: deploy"})


def test_a_public_endpoint_asks_for_no_key() -> None:
    def view(call: Call, *, workflow_id: str) -> dict[str, bool]:
        return {"caller": isinstance(call, Caller)}

    endpoint = an_endpoint(view, scope=None, public=True)
    assert told(answer(endpoint, a_request(path={"workflow_id": "wf_1"}, key=None))) == {"caller": False}


@pytest.mark.parametrize("declared", [{"scope": None}, {"public": True}])
def test_an_endpoint_is_either_closed_by_a_scope_or_public(declared: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must either name a scope or be public"):
        an_endpoint(never, **declared)


def test_an_endpoint_has_a_method_that_the_gateway_leaves_to_us() -> None:
    with pytest.raises(ValueError, match="no such method"):
        Api(dialect=TRIGGER_API).endpoint("OPTIONS", "/x", public=True)


@pytest.mark.parametrize(
    "path", ["a%2Fb", "a%252Fb", "%zz", "%", "%00", "%ff", "a%23b", "a%20b", "", "x" * 129, "ä", "..", "a%0A"]
)
def test_a_path_that_no_id_can_look_like_is_the_objects_404(path: str) -> None:
    answered = ask(never, path=path)
    assert (answered.status, told(answered)) == (404, {"error": "Workflow not found"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"   ", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"orderId": "\xff"}', 400),
        (b'\xef\xbb\xbf{"orderId": "o"}', 400),
        ('{"orderId": "o"}'.encode("utf-16"), 400),
        (b'{"orderId": "o", "amount": NaN}', 400),
        (b'{"orderId": "o", "extra": Infinity}', 400),
        (b'{"orderId": "o", "extra": -Infinity}', 400),
        (b'{"orderId": "o", "extra": 1e999}', 400),
        (b'{"orderId": "o", "extra": -1e999}', 400),
        (b'{"orderId": "o", "extra": ' + b"9" * 5000 + b"}", 400),
        (b'{"orderId": "o", "extra": ' + b"9" * 400 + b"}", 400),
        (b'{"orderId": "\\ud800"}', 400),
        (b'{"orderId": "o", "extra": {"\\udfff": 1}}', 400),
        (b'{"orderId": "o", "extra": ' + b"[" * 101 + b"]" * 101 + b"}", 400),
        (b"[" * 500_000, 400),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"orderId": "' + b"x" * LONGEST_BODY + b'"}', 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"orderId": 1}', 422),
        (b'{"orderId": null}', 422),
        (b'{"orderId": "o", "amount": "1"}', 422),
        (b'{"orderId": "o", "amount": 1.5}', 422),
        (b'{"orderId": "o", "amount": true}', 422),
        (b'{"orderId": "o", "unknown": 1}', 422),
        (b'{"order_id": "o"}', 422),
    ],
)
def test_a_bad_body_is_refused_in_the_dialects_error(body: bytes, status: int) -> None:
    answered = answer(an_endpoint(never, body=Order), a_request(path={"workflow_id": "wf_1"}, body=body))
    assert answered.status == status
    assert isinstance(told(answered)["error"], str)


def test_a_fault_is_named_by_its_path_in_the_callers_words() -> None:
    answered = answer(an_endpoint(never, body=Order), a_request(path={"workflow_id": "wf_1"}, body='{"amount": "1"}'))
    details = told(answered)["details"]
    assert {detail["path"] for detail in details} == {"orderId", "amount"}


def test_a_query_parameter_given_twice_is_refused() -> None:
    request = a_request(path={"workflow_id": "wf_1"}, query={"limit": ["1", "2"]})
    answered = answer(an_endpoint(never, query=OrderQuery), request)
    assert (answered.status, told(answered)["details"][0]["path"]) == (422, "limit")


def test_a_bad_header_is_refused() -> None:
    request = a_request(path={"workflow_id": "wf_1"}, headers={"x-trace": "far too long"})
    assert answer(an_endpoint(never, headers=OrderHeaders), request).status == 422


def test_deep_but_legal_json_reaches_the_view() -> None:
    def view(caller: Caller, *, workflow_id: str, body: Order) -> AnyJson:
        return body.extra

    deep = "[" * 99 + "]" * 99
    request = a_request(path={"workflow_id": "wf_1"}, body=f'{{"orderId": "o", "extra": {deep}}}')
    assert answer(an_endpoint(view, body=Order), request).body == deep


def test_a_view_may_refuse_with_a_field() -> None:
    def view(*_: object, **__: object) -> None:
        raise Invalid("cursor is not one of ours", field="cursor")

    assert told(ask(view)) == {"error": "cursor is not one of ours"}
