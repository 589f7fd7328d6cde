"""The HTTP gateway against servers that are late, rude or gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.wire import Switchboard
from tests.gateways.asking import ask, the_failure
from tests.gateways.servers import Answer, http_server, raw_server

MEGABYTE = 1_048_576


def drip(beginning: bytes, each: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Say the beginning at once, then ``each`` over and over: never silent for as long as a read may take."""

    def converse(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(beginning)
        while not over.wait(0.02):
            connection.sendall(each)

    return converse


def say(*pieces: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Hear one request, answer it in these pieces and hang up."""

    def converse(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65_536)
        for piece in pieces:
            connection.sendall(piece)

    return converse


@pytest.mark.parametrize(
    ("beginning", "each"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "header", "body", "chunks", "continue"],
)
def test_a_slow_answer_ends_at_the_deadline_however_it_trickles(
    gateway: HttpGateway, beginning: bytes, each: bytes
) -> None:
    with raw_server(drip(beginning, each)) as url:
        started = time.monotonic()
        failure = the_failure(gateway, url, timeout_seconds=0.3)
        took = time.monotonic() - started
    assert (failure.code, failure.retryable) == ("timeout", True)
    assert 0.29 < took < 2


def test_redirects_share_one_deadline(gateway: HttpGateway) -> None:
    over = threading.Event()

    def answer(_: object) -> Answer:
        over.wait(0.2)
        return Answer(status=302, headers={"Location": "/again"})

    with http_server(answer) as server:
        assert the_failure(gateway, server.url, timeout_seconds=0.5).code == "timeout"
    assert len(server.asked) <= 3


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    over = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        over.wait(30)
        return []

    switchboard = Switchboard(resolve=resolve)
    failure = the_failure(HttpGateway(switchboard=switchboard), "http://slow.example/", timeout_seconds=0.2)
    over.set()
    assert failure.code == "timeout"


def test_a_body_that_is_not_read_ends_at_the_deadline(gateway: HttpGateway) -> None:
    def converse(_connection: socket.socket, over: threading.Event) -> None:
        over.wait(30)

    with raw_server(converse) as url:
        failure = the_failure(gateway, url, "POST", body="a" * 20 * MEGABYTE, timeout_seconds=0.3)
    assert failure.code == "timeout"


def test_a_name_without_an_address_is_told_apart_from_a_resolver_in_trouble() -> None:
    def failing(number: int) -> HttpGateway:
        def resolve(_host: str, _port: int) -> list[str]:
            raise socket.gaierror(number, "no")

        return HttpGateway(switchboard=Switchboard(resolve=resolve))

    nobody = the_failure(failing(socket.EAI_NONAME), "http://nobody.example/")
    trouble = the_failure(failing(socket.EAI_AGAIN), "http://nobody.example/")
    assert (nobody.code, nobody.retryable) == ("host_not_found", False)
    assert (trouble.code, trouble.retryable) == ("host_not_found", True)


def test_a_closed_port_may_open_later(gateway: HttpGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    failure = the_failure(gateway, f"http://127.0.0.1:{port}/")
    assert (failure.code, failure.retryable) == ("connection_failed", True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "bad_response"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "bad_response"),
        (b"", "connection_failed"),
    ],
)
def test_what_is_not_a_whole_answer_may_be_asked_for_again(gateway: HttpGateway, said: bytes, code: str) -> None:
    with raw_server(say(said)) as url:
        failure = the_failure(gateway, url)
    assert (failure.code, failure.retryable) == (code, True)


def test_an_answer_that_ends_with_its_connection_is_whole(gateway: HttpGateway) -> None:
    with raw_server(say(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhel", b"lo")) as url:
        assert ask(gateway, url).body == "hello"
        assert ask(gateway, url).body == "hello"


def test_a_kept_connection_that_was_hung_up_is_replaced(gateway: HttpGateway) -> None:
    with raw_server(say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as url:
        for _ in range(5):
            assert ask(gateway, url, "PUT", body="a").body == "hello"


def test_a_hung_up_connection_is_noticed_before_a_post_is_sent_on_it(gateway: HttpGateway) -> None:
    hung_up = threading.Event()

    def converse(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        connection.close()
        hung_up.set()

    with raw_server(converse) as url:
        for _ in range(3):
            assert ask(gateway, url, "POST").body == "hello"
            assert hung_up.wait(5)
            hung_up.clear()


def test_a_request_that_may_have_been_heard_is_not_sent_twice(gateway: HttpGateway) -> None:
    heard: list[bytes] = []

    def converse(connection: socket.socket, _over: threading.Event) -> None:
        heard.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        heard.append(connection.recv(65_536))  # and hangs up without an answer

    with raw_server(converse) as url:
        ask(gateway, url, "POST")
        failure = the_failure(gateway, url, "POST")
        assert len(heard) == 2
        ask(gateway, url, "GET")
        ask(gateway, url, "GET")
        gateway.switchboard.close()
    assert failure.code == "connection_failed"
    assert [line[:4] for line in heard if line] == [b"POST", b"POST", b"GET ", b"GET ", b"GET "]
