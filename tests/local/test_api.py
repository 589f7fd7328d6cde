from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from chalice.app import Chalice, Response

from chalicelib.api.chalice_routes import CORS
from infra.local.api import ApiServer
from infra.local.gateway import OwnAnswers

MIB = 1024 * 1024
SECRET = "ask_key_" + "s" * 32

app = Chalice("gateway", configure_logs=False)


@app.route("/echo", methods=["POST"], content_types=["*/*"], cors=CORS)
def echo() -> Response:
    """Answer with how long the body is."""
    assert app.current_request is not None
    return Response(body={"bytes": len(app.current_request.raw_body)})


@app.route("/head/{name}", methods=["HEAD", "GET"], content_types=["*/*"], cors=CORS)
def head(name: str) -> Response:
    """Answer with the name."""
    return Response(body={"name": name})


@app.route("/crash", cors=CORS)
def crash() -> Response:
    """End as a function does that Lambda can say no more of than that it ended."""
    raise SystemExit("boom")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ApiServer(app, port=0)
    yield server.port
    server.close()


@dataclass(frozen=True, kw_only=True)
class Got:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def talk(port: int, *requests: bytes, ends: bool = False) -> Sequence[Got]:
    """Send one request after the other on one connection; ``ends`` says that nothing is sent after the last."""
    got = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as answers:
        for request in requests:
            connection.sendall(request)
            if ends and request is requests[-1]:
                connection.shutdown(socket.SHUT_WR)
            version, code = answers.readline().split(b" ")[:2]
            assert version == b"HTTP/1.1", "what the last request was answered goes on"
            named = {name.lower(): value for name, value in http.client.parse_headers(answers).items()}
            body = b"" if request.startswith(b"HEAD ") else answers.read(int(named["content-length"]))
            got.append(Got(status=int(code), headers=named, body=body))
    return got


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, *length, "", ""]).encode() + body


GOOD = request("GET /head/well")


def is_own(got: Got, *, status: int, code: str) -> bool:
    """Whether it is an answer of API Gateway's own, as the template words it."""
    request_id = got.headers["x-request-id"]
    return (
        (got.status, got.json["error"]["code"]) == (status, code)
        and got.json["message"] == got.json["error"]["message"]
        and got.json["request_id"] == got.json["requestId"] == request_id
        and re.fullmatch(r"[0-9a-f-]{36}", request_id) is not None
        and got.headers["content-type"] == "application/json"
        and got.headers["access-control-allow-origin"] == "*"
        and "X-Request-Id" in got.headers["access-control-expose-headers"]
    )


@pytest.mark.parametrize(
    "unknown",
    [
        request("GET /nowhere"),
        request("GET /"),
        request("POST /nowhere", body=b"{}"),
        request("GET /echo"),
        request("PUT /echo", body=b"{}"),
        request("DELETE /echo", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        request("BREW /echo", body=b"GET /head/smuggled HTTP/1.1\r\n\r\n"),
        request("TRACE /echo"),
        request("OPTIONS /nowhere"),
        request("OPTIONS *"),
        request("GET http://[half"),
        request("GET /nowhere", f"Authorization: Bearer {SECRET}"),
        request("GET /nowhere", "Authorization: Bearer \N{SNOWMAN}"),
        request("GET /nowhere", f"Authorization: AWS4-HMAC-SHA256 Credential={SECRET}"),
    ],
)
def test_where_no_endpoint_is_the_template_answers_and_the_next_request_may_follow(port: int, unknown: bytes) -> None:
    got, following = talk(port, unknown, GOOD)

    assert is_own(got, status=404, code="not_found")
    assert SECRET.encode() not in got.body
    assert (following.status, following.json) == (200, {"name": "well"})


def test_a_head_where_no_endpoint_is_has_the_answers_headers_alone(port: int) -> None:
    got, following = talk(port, request("HEAD /echo"), GOOD)

    assert (got.status, got.body) == (404, b"")
    assert int(got.headers["content-length"]) > 0
    assert following.json == {"name": "well"}


def test_a_head_that_an_endpoint_answers_has_no_body_either(port: int) -> None:
    got, following = talk(port, request("HEAD /head/a"), GOOD)

    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", str(len(b'{"name":"a"}')))
    assert following.json == {"name": "well"}


def test_a_browser_that_asks_beforehand_is_told_what_it_may(port: int) -> None:
    got, following = talk(port, request("OPTIONS /echo"), GOOD)

    assert (got.status, got.body) == (200, b"")
    assert got.headers["access-control-allow-methods"] == "POST,OPTIONS"
    assert following.status == 200


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (request("POST /echo", "Content-Length: abc"), 400),
        (request("POST /echo", "Content-Length: -1"), 400),
        (request("POST /echo", "Content-Length: 5", "Content-Length: 4") + b"hello", 400),
        (request("POST /echo", "Transfer-Encoding: gzip") + b"hello", 400),
        (request("POST /echo", "Transfer-Encoding: chunked") + b"hello\r\n", 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n", 400),
        (b"GET /head/a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /head/a HTTP/one\r\n\r\n", 400),
        (b"GET /head/a HTTP/2.0\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000, 414),
        (request("GET /head/a", "X: " + "a" * 70_000), 431),
        (request("GET /head/a", *(f"X-{number}: 1" for number in range(200))), 431),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_that_follows_it_is_taken_for_a_request(
    port: int, broken: bytes, status: int
) -> None:
    [got] = talk(port, broken)

    assert is_own(got, status=status, code="bad_request")
    assert got.headers["connection"] == "close"
    assert talk(port, GOOD)[0].status == 200


def test_a_body_that_ends_early_reaches_no_endpoint(port: int) -> None:
    [got] = talk(port, request("POST /echo", "Content-Length: 9") + b"hello", ends=True)

    assert is_own(got, status=400, code="bad_request")


def test_a_body_over_ten_megabytes_is_too_large_and_one_of_ten_is_the_endpoints_to_judge(port: int) -> None:
    too_large = bytes(10 * MIB + 1)
    chunks = request("POST /echo", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (
        len(too_large),
        too_large,
    )
    one, other, largest = talk(
        port, request("POST /echo", body=too_large), chunks, request("POST /echo", body=bytes(10 * MIB))
    )

    assert is_own(one, status=413, code="body_too_large")
    assert is_own(other, status=413, code="body_too_large")
    assert (largest.status, largest.json) == (200, {"bytes": 10 * MIB})


def test_of_a_body_without_end_nothing_is_awaited(port: int) -> None:
    [got] = talk(port, request("POST /echo", f"Content-Length: {10**15}") + b"hello")

    assert is_own(got, status=413, code="body_too_large")
    assert got.headers["connection"] == "close"


def test_a_body_arrives_in_chunks_or_when_it_is_asked_for(port: int) -> None:
    chunked, following = talk(
        port, request("POST /echo", "Transfer-Encoding: chunked") + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", GOOD
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request("POST /echo", "Expect: 100-continue", "Content-Length: 5"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert connection.recv(12) == b"HTTP/1.1 200"

    assert (chunked.json, following.status) == ({"bytes": 5}, 200)


def test_a_function_that_dies_is_no_answer_and_the_next_request_may_follow(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    got, following = talk(port, request("GET /crash"), GOOD)

    assert is_own(got, status=502, code="try_later")
    assert "boom" in capsys.readouterr().err
    assert following.status == 200


def test_an_answer_that_comes_after_the_time_out_is_none() -> None:
    server = ApiServer(app, port=0, timeout_seconds=0)
    got, following = talk(server.port, GOOD, request("OPTIONS /nowhere"))
    server.close()

    assert is_own(got, status=504, code="try_later")
    assert is_own(following, status=404, code="not_found")


def test_a_client_that_goes_away_is_no_trouble(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            connection.sendall(request("POST /echo", body=b"x" * MIB))

    assert talk(port, GOOD)[0].status == 200
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("method.request.header.Origin", '{"message": "x"}'),
        ("'*'", '{"message": "$context.error.message"}'),
        ("'*'", "not JSON"),
    ],
)
def test_a_template_that_the_local_stack_cannot_follow_is_refused(header: str, body: str) -> None:
    response = {"ResponseParameters": {"Headers": {"A": header}}, "ResponseTemplates": {"application/json": body}}
    kinds = ("DEFAULT_4XX", "DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "INTEGRATION_TIMEOUT")
    with pytest.raises(ValueError, match=r"not known here|Expecting value"):
        OwnAnswers(dict.fromkeys(kinds, response))
