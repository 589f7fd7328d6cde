from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.api.dialects import TRIGGER_API, WORKFLOW_RUNS_API, Dialect
from chalicelib.api.endpoints import NOTHING, Answer, Api, Reply, answer
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Body, Parameters
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import BadRequest
from chalicelib.services import authentication
from tests.api.asking import a_key, a_request, told

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


class Paint(Body):
    colour: str = "red"


class PaintQuery(Parameters):
    wet: str | None = None


class Painter:
    """A view that counts what it did."""

    def __init__(self) -> None:
        self.ids: list[str | None] = []

    def __call__(self, caller: Caller, *, run_id: str, body: Paint, query: PaintQuery) -> Reply[Any]:
        self.ids.append(None if caller.once is None else caller.once.derived_id("wall"))
        if body.colour == "none":
            raise BadRequest("paint is needed")
        return Reply(body={"colour": body.colour, "nr": len(self.ids)}, headers={"X-Wet": "yes"})


@pytest.fixture(autouse=True)
def good_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "authenticate", lambda *_, **__: a_key())


def ask(
    view: Callable[..., object],
    *,
    key: str | None = "k1",
    body: str = "{}",
    wall: str = "wall_1",
    query: dict[str, list[str]] | None = None,
    dialect: Dialect = WORKFLOW_RUNS_API,
    method: str = "POST",
) -> Answer:
    api = Api(dialect=dialect)
    path = "/v1/walls/{run_id}/paint"
    api.endpoint(method, path, scope=Scope.RUNS_CONTROL, status=201, body=Paint, query=PaintQuery)(view)
    headers = {} if key is None else {"idempotency-key": key}
    return answer(api.endpoints[0], a_request(path={"run_id": wall}, body=body, query=query, headers=headers))


def test_a_repeated_request_is_answered_as_before_and_says_so() -> None:
    painter = Painter()
    first, repeated = ask(painter), ask(painter, body='{"colour": "red"}')
    assert (repeated.status, told(repeated)) == (first.status, told(first)) == (201, {"colour": "red", "nr": 1})
    assert repeated.headers["X-Wet"] == "yes"
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(painter.ids) == 1


def test_what_has_no_body_is_repeated_without_one() -> None:
    assert ask(lambda *_, **__: Reply(body=NOTHING, status=204)).status == 204
    repeated = ask(lambda *_, **__: pytest.fail("it must not be called again"))
    assert (repeated.status, repeated.body) == (204, "")


@pytest.mark.parametrize("other", [{"body": '{"colour": "blue"}'}, {"wall": "wall_2"}, {"query": {"wet": ["yes"]}}])
def test_another_request_with_the_key_is_a_conflict_that_names_the_header(other: dict[str, Any]) -> None:
    painter = Painter()
    ask(painter)
    refused = ask(painter, **other)
    assert (refused.status, told(refused)["error"]["code"]) == (409, "idempotency_key_reused")
    assert "Idempotency-Key" in told(refused)["error"]["message"]
    assert len(painter.ids) == 1


def test_a_refused_request_may_be_mended_and_sent_with_the_same_key() -> None:
    painter = Painter()
    assert ask(painter, body='{"colour": "none"}').status == 400
    assert ask(painter, body='{"colour": "blue"}').status == 201


def test_a_request_without_a_key_is_made_as_often_as_it_is_sent() -> None:
    painter = Painter()
    assert [told(ask(painter, key=None))["nr"] for _ in range(2)] == [1, 2]
    assert painter.ids == [None, None]


@pytest.mark.parametrize("other", [{"method": "PATCH"}, {"dialect": TRIGGER_API}])
def test_other_methods_and_the_trigger_api_are_not_kept_by_this_layer(other: dict[str, Any]) -> None:
    painter = Painter()
    assert [told(ask(painter, **other))["nr"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("key", ["", " ", "two words", "k" * 256, "käse", "a\tb", "a\x7f"])
def test_a_key_that_is_not_1_to_255_visible_characters_is_refused(key: str) -> None:
    refused = ask(Painter(), key=key)
    assert (refused.status, told(refused)["error"]["code"]) == (400, "validation_error")


@pytest.mark.parametrize("key", ["k", "k" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "~!#$%&/()=?"])
def test_a_key_may_be_any_visible_characters(key: str) -> None:
    assert ask(Painter(), key=key).status == 201
