"""The HTTP gateway against servers on the loopback: what it sends, what it understands, where it does not go."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import NotConnected

import pytest

from chalicelib.domain.value import Json
from chalicelib.gateways import http
from chalicelib.gateways.deadline import Deadline
from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.wire import Origin, Switchboard
from chalicelib.settings import Settings
from tests.gateways.asking import LOOPBACK, ask, the_failure
from tests.gateways.servers import Answer, Asked, Server, http_server


@pytest.fixture
def echo() -> Iterator[Server]:
    """A server that tells what it was asked."""

    def answer(asked: Asked) -> Answer:
        told = {"method": asked.method, "path": asked.path, "headers": asked.headers, "body": asked.body.decode()}
        return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(told).encode())

    with http_server(answer) as server:
        yield server


def test_the_request_arrives_as_written(gateway: HttpGateway, echo: Server) -> None:
    headers: dict[str, Json] = {"X-Order": "7", "Authorization": "Bearer a"}
    ask(gateway, f"{echo.url}/orders?a=1", "patch", headers=headers, query={"b": 2}, body={"amount": 4999})
    (asked,) = echo.asked
    assert (asked.method, asked.path, asked.body) == ("PATCH", "/orders?a=1&b=2", b'{"amount":4999}')
    assert asked.headers["host"] == f"127.0.0.1:{echo.port}"
    assert asked.headers["x-order"] == "7"
    assert asked.headers["authorization"] == "Bearer a"
    assert asked.headers["content-type"] == "application/json"


def test_a_post_without_a_body_says_so(gateway: HttpGateway, echo: Server) -> None:
    ask(gateway, echo.url, "POST")
    assert echo.asked[0].headers["content-length"] == "0"


def test_the_answer_has_status_headers_in_lower_case_and_a_value(gateway: HttpGateway) -> None:
    said = Answer(status=201, headers={"Content-Type": "application/problem+json", "X-One": "1"}, body=b'{"a": [1]}')
    with http_server(lambda _: said) as server:
        response = ask(gateway, server.url)
    assert (response.status, response.body, response.headers["x-one"]) == (201, {"a": [1]}, "1")


@pytest.mark.parametrize("status", [204, 304, 400, 404, 500])
def test_a_status_is_an_answer(gateway: HttpGateway, status: int) -> None:
    with http_server(lambda _: Answer(status=status)) as server:
        assert ask(gateway, server.url).status == status
        assert ask(gateway, server.url, "HEAD").body == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "127.1",
        "[::1]",
        "0.0.0.0",  # noqa: S104 - called, not bound
        "[::]",
    ],
)
def test_loopback_is_refused_in_every_spelling_and_nobody_is_called(echo: Server, host: str) -> None:
    failure = the_failure(HttpGateway(), f"http://{host}:{echo.port}/")
    assert (failure.code, failure.retryable) == ("address_refused", False)
    assert echo.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]", "10.0.0.1", "[fe80::1]"])
def test_private_and_metadata_addresses_are_refused(host: str) -> None:
    assert the_failure(HttpGateway(), f"http://{host}/latest/meta-data/").code == "address_refused"


def test_a_name_of_a_private_address_is_refused() -> None:
    switchboard = Switchboard(resolve=lambda _host, _port: ["93.184.216.34", "169.254.169.254"])
    assert the_failure(HttpGateway(switchboard=switchboard), "http://rebind.example/").code == "address_refused"


def test_the_connection_goes_to_the_address_that_was_checked(echo: Server) -> None:
    """A name that resolves to something else the second time (DNS rebinding) is not resolved a second time."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    switchboard = Switchboard(allow=LOOPBACK, resolve=lambda _host, _port: answers.pop(0))
    ask(HttpGateway(switchboard=switchboard), f"http://rebind.example:{echo.port}/")
    switchboard.close()
    assert answers == [["10.0.0.1"]]
    assert echo.asked[0].headers["host"] == f"rebind.example:{echo.port}"


def test_a_name_is_checked_again_when_its_addresses_are_old(echo: Server) -> None:
    now = [0.0]
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    switchboard = Switchboard(allow=LOOPBACK, resolve=lambda _host, _port: answers.pop(0), clock=lambda: now[0])
    gateway = HttpGateway(switchboard=switchboard)
    url = f"http://rebind.example:{echo.port}/"
    ask(gateway, url)
    now[0] = 31.0
    assert the_failure(gateway, url).code == "address_refused"
    switchboard.close()


def test_the_second_address_is_tried_when_the_first_does_not_answer(echo: Server) -> None:
    switchboard = Switchboard(allow=LOOPBACK, resolve=lambda _host, _port: ["::1", "127.0.0.1"])
    ask(HttpGateway(switchboard=switchboard), f"http://two.example:{echo.port}/")
    switchboard.close()
    assert len(echo.asked) == 1


def test_redirects_are_followed(gateway: HttpGateway) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/start":
            return Answer(status=302, headers={"Location": "/end?x=1"}, body=b"moved")
        return Answer(body=asked.path.encode())

    with http_server(answer) as server:
        response = ask(gateway, f"{server.url}/start", "POST", body={"a": 1})
    assert (response.status, response.body) == (200, "/end?x=1")
    assert [asked.method for asked in server.asked] == ["POST", "GET"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "file:///etc/passwd"]
)
def test_a_redirect_to_a_private_address_is_refused(gateway: HttpGateway, location: str) -> None:
    with http_server(lambda _: Answer(status=307, headers={"Location": location})) as server:
        assert the_failure(gateway, server.url).code == "address_refused"


def test_five_redirects_are_followed_and_a_sixth_is_not(gateway: HttpGateway) -> None:
    def answer(asked: Asked) -> Answer:
        left = int(asked.path[1:])
        return Answer(status=302, headers={"Location": f"/{left - 1}"}) if left else Answer(body=b"there")

    with http_server(answer) as server:
        assert ask(gateway, f"{server.url}/5").body == "there"
        failure = the_failure(gateway, f"{server.url}/6")
    assert (failure.code, failure.retryable) == ("too_many_redirects", False)


def test_credentials_do_not_follow_a_redirect_to_another_origin(gateway: HttpGateway, echo: Server) -> None:
    with http_server(lambda _: Answer(status=307, headers={"Location": f"{echo.url}/"})) as server:
        ask(gateway, server.url, headers={"Authorization": "Bearer a", "Cookie": "b", "X-Other": "c"})
    headers = echo.asked[0].headers
    assert "authorization" not in headers
    assert "cookie" not in headers
    assert headers["x-other"] == "c"


def test_many_requests_to_a_host_share_a_connection_and_an_address(echo: Server) -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    switchboard = Switchboard(allow=LOOPBACK, resolve=resolve)
    gateway = HttpGateway(switchboard=switchboard)
    for _ in range(100):
        ask(gateway, f"http://busy.example:{echo.port}/")
    switchboard.close()
    assert (len(echo.asked), echo.connections, asked) == (100, 1, ["busy.example"])


def test_thirty_two_threads_get_each_their_own_answer(gateway: HttpGateway, echo: Server) -> None:
    def one(number: int) -> bool:
        body = ask(gateway, f"{echo.url}/{number}", "POST", body=str(number)).body
        return isinstance(body, dict) and (body["path"], body["body"]) == (f"/{number}", str(number))

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(400)))
    assert echo.connections <= 32


def test_a_connection_kept_too_long_is_not_used_again(echo: Server) -> None:
    now = [0.0]
    switchboard = Switchboard(allow=LOOPBACK, clock=lambda: now[0])
    gateway = HttpGateway(switchboard=switchboard)
    ask(gateway, echo.url)
    now[0] = 11.0
    ask(gateway, echo.url)
    switchboard.close()
    assert echo.connections == 2


def test_a_connection_kept_too_long_is_closed_whichever_host_is_called_next(echo: Server) -> None:
    now = [0.0]
    switchboard = Switchboard(allow=LOOPBACK, clock=lambda: now[0])
    gateway = HttpGateway(switchboard=switchboard)
    ask(gateway, f"http://localhost:{echo.port}/")
    now[0] = 11.0
    ask(gateway, echo.url)
    assert [origin.host for origin in switchboard._idle] == ["127.0.0.1"]
    switchboard.close()


def test_no_more_connections_are_kept_than_files_may_be_open(echo: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.gateways.wire.IDLE_CONNECTIONS", 2)
    switchboard = Switchboard(allow=LOOPBACK, resolve=lambda _host, _port: ["127.0.0.1"])
    for host in "abcd":
        ask(HttpGateway(switchboard=switchboard), f"http://{host}.example:{echo.port}/")
    assert sum(map(len, switchboard._idle.values())) == 2
    switchboard.close()


def test_a_closed_connection_opens_none_of_its_own(gateway: HttpGateway, echo: Server) -> None:
    line = gateway.switchboard.open(Origin("http", "127.0.0.1", echo.port), Deadline(time.monotonic() + 10))
    line.http.close()
    with pytest.raises(NotConnected):
        line.http.request("GET", "/")


def test_a_process_has_one_gateway_for_its_settings(echo: Server) -> None:
    settings = Settings(http_allow=LOOPBACK)
    assert http.gateway(settings) is http.gateway(settings)
    assert ask(http.gateway(settings), echo.url).status == 200
    assert the_failure(http.gateway(Settings()), echo.url).code == "address_refused"
    http.reset()


def test_reset_closes_the_kept_connections(echo: Server) -> None:
    settings = Settings(http_allow=LOOPBACK)
    ask(http.gateway(settings), echo.url)
    http.reset()
    ask(http.gateway(settings), echo.url)
    http.reset()
    assert echo.connections == 2


def test_nothing_of_the_request_is_logged(gateway: HttpGateway, echo: Server, caplog: pytest.LogCaptureFixture) -> None:
    before = threading.active_count()
    with caplog.at_level(0):
        ask(gateway, f"{echo.url}/?t=hunter2", "POST", headers={"Authorization": "hunter2"}, body="hunter2")
    assert "hunter2" not in caplog.text
    # The server has a thread for each connection.
    assert threading.active_count() <= before + 1
