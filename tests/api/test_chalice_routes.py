from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chalice.app import Chalice
from chalice.config import Config
from chalice.deploy.validate import validate_routes
from chalice.local import LambdaContext, LocalGateway

from chalicelib import settings, tracing
from chalicelib.api import catalog, chalice_routes
from chalicelib.api.bodies import AnyJson, Body
from chalicelib.api.catalog import Route
from chalicelib.api.dialects import TRIGGER_API
from chalicelib.api.endpoints import NOTHING, Api, Nothing, Reply
from chalicelib.api.requests import Call
from chalicelib.domain.value import Json


class Sent(Body):
    value: AnyJson


api = Api(dialect=TRIGGER_API)


@api.endpoint("POST", "/echo/{workflow_id}", public=True, body=Sent, status=201)
def echo(call: Call, workflow_id: str, body: Sent) -> Reply[Json]:
    return Reply(body={"id": workflow_id, "value": body.value, "base": call.base_url}, headers={"X-Echo": "1"})


@api.endpoint("GET", "/echo/{workflow_id}", public=True)
def empty(_call: Call, workflow_id: str) -> Reply[Nothing]:
    assert workflow_id
    return Reply(body=NOTHING)


@pytest.fixture
def app() -> Iterator[Chalice]:
    made = Chalice("test", configure_logs=False)
    here = (Route(method=one.method, path=one.path, module=__name__) for one in api.endpoints)
    chalice_routes.register(made, here)
    settings.reset()
    yield made
    settings.reset()


def send(app: Chalice, method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    gateway = LocalGateway(app, Config.create())
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return dict(gateway.handle_request(method, path, {"Host": "127.0.0.1:8000", **named}, body))


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/octet-stream", "x", ""])
def test_the_body_is_read_whatever_the_content_type(app: Chalice, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content_type": content_type}
    answered = send(app, "POST", "/echo/wf_1", b'{"value": "\xc3\xa4"}', **headers)
    assert answered["statusCode"] == 201
    assert json.loads(answered["body"]) == {"id": "wf_1", "value": "ä", "base": "http://127.0.0.1:8000"}


def test_an_answer_that_lambda_would_not_let_out_is_a_refusal_in_the_apis_words(
    app: Chalice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chalice_routes, "LONGEST_ANSWER", 1000)

    def status_of(text: str) -> int:
        answered = send(app, "POST", "/echo/wf_1", json.dumps({"value": text}).encode())
        told = json.loads(answered["body"])
        assert answered["statusCode"] == 201 or "lets 1000 pass" in told["error"]
        assert answered["headers"]["X-Request-Id"]
        assert answered["headers"]["Access-Control-Allow-Origin"] == "*"
        return int(answered["statusCode"])

    around = len(json.dumps(json.dumps({"id": "wf_1", "value": "", "base": "http://127.0.0.1:8000"})))
    assert {status_of("a" * 200), status_of("a" * (980 - around)), status_of("ä" * (490 - around // 2))} == {201}
    # Each of these is a character of the answer that leaves Lambda as more bytes than one.
    assert {status_of("a" * 1000), status_of("ä" * 500), status_of('"' * 350)} == {500}


def test_an_answer_has_its_id_its_headers_and_cors(app: Chalice) -> None:
    headers = send(app, "POST", "/echo/wf_1", b'{"value": 1}')["headers"]
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-Request-Id"])
    assert headers["X-Echo"] == "1"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "X-Request-Id" in headers["Access-Control-Expose-Headers"]


def test_a_request_stands_in_a_segment_by_its_pattern_and_in_lines_by_both_of_its_ids(
    app: Chalice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names: list[str] = []

    @contextmanager
    def segment(name: str) -> Iterator[tracing.Segment]:
        names.append(name)
        yield tracing.Segment()

    monkeypatch.setattr(tracing, "segment", segment)
    as_it_was = LocalGateway._generate_lambda_event

    def with_id(gateway: LocalGateway, *request: Any) -> dict[str, Any]:
        event = dict(as_it_was(gateway, *request))
        # The second is the caller's own words, where it sent some.
        event["requestContext"] |= {"extendedRequestId": "gateway-1", "requestId": "ask_1_secret"}
        return event

    monkeypatch.setattr(LocalGateway, "_generate_lambda_event", with_id)
    with caplog.at_level(logging.INFO, "stepwell"):
        headers = send(app, "POST", "/echo/wf_1", b'{"value": 1}')["headers"]
    assert names == ["POST /echo/:workflow_id"]
    [line] = [vars(record) for record in caplog.records if record.name == "stepwell"]
    assert (line["request_id"], line["gateway_request_id"]) == (headers["X-Request-Id"], "gateway-1")


def test_a_refusal_has_cors_too_so_that_a_browser_may_read_it(app: Chalice) -> None:
    answered = send(app, "POST", "/echo/wf_1", b"{")
    assert answered["statusCode"] == 400
    assert answered["headers"]["Access-Control-Allow-Origin"] == "*"
    assert answered["headers"]["X-Request-Id"]


def test_a_browser_may_ask_beforehand_with_our_headers(app: Chalice) -> None:
    allowed = send(app, "OPTIONS", "/echo/wf_1")["headers"]["Access-Control-Allow-Headers"]
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed.split(","))


@pytest.mark.parametrize("id_", ["a%2Fb", "%2F..%2F", "%", "%25", "a%23b", "%00", "%FF"])
def test_an_encoded_slash_or_percent_sign_is_the_objects_404(app: Chalice, id_: str) -> None:
    answered = send(app, "POST", f"/echo/{id_}", b'{"value": 1}')
    assert (answered["statusCode"], json.loads(answered["body"])) == (404, {"error": "Workflow not found"})


def test_an_empty_answer_has_an_empty_body(app: Chalice) -> None:
    answered = send(app, "GET", "/echo/wf_1")
    assert (answered["statusCode"], answered["body"]) == (200, "")


def from_api_gateway(body: str | None, *, is_base64: bool = False, path: str = "/echo/wf_1") -> dict[str, Any]:
    return {
        "resource": "/echo/{workflow_id}",
        "path": path,
        "httpMethod": "POST",
        "headers": {"Host": "abc.execute-api.eu-west-1.amazonaws.com", "Content-Type": "application/json"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"workflow_id": "wf_1"},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/echo/{workflow_id}",
            "httpMethod": "POST",
            "path": f"/prod{path}",
            "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def call(app: Chalice, event: dict[str, Any]) -> dict[str, Any]:
    return dict(app(event, LambdaContext("api", 128)))


def test_behind_api_gateway_the_stage_is_part_of_the_base_url(app: Chalice) -> None:
    answered = call(app, from_api_gateway('{"value": 1}'))
    assert json.loads(answered["body"])["base"] == "https://abc.execute-api.eu-west-1.amazonaws.com/prod"


def test_the_public_url_of_the_settings_comes_before_the_requests_own(
    app: Chalice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEPWELL_PUBLIC_URL", "https://stepwell.example/")
    answered = call(app, from_api_gateway('{"value": 1}'))
    assert json.loads(answered["body"])["base"] == "https://stepwell.example"


def test_a_body_that_api_gateway_encoded_is_decoded(app: Chalice) -> None:
    encoded = base64.b64encode(b'{"value": "x"}').decode()
    assert json.loads(call(app, from_api_gateway(encoded, is_base64=True))["body"])["value"] == "x"


@pytest.mark.parametrize("body", [None, "", '{"value": "\ud800"}', "not base64 \N{SNOWMAN}"])
def test_a_body_that_is_none_or_broken_is_malformed(app: Chalice, body: str | None) -> None:
    answered = call(app, from_api_gateway(body))
    assert answered["statusCode"] == 400
    assert "error" in json.loads(answered["body"])


def test_all_of_stepwells_routes_pass_chalices_own_check() -> None:
    whole = Chalice("test", configure_logs=False)
    chalice_routes.register(whole, catalog.routes())
    validate_routes(whole.routes)
