"""The bodies of answers: never more than the limit, and as JSON if they are JSON."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
import zlib

import pytest

from chalicelib.gateways.http import HttpGateway
from tests.gateways.asking import ask, the_failure
from tests.gateways.servers import Answer, http_server, raw_server

MEGABYTE = 1_048_576


def test_an_answer_at_the_limit_is_read_and_one_byte_more_is_not(gateway: HttpGateway) -> None:
    with http_server(lambda asked: Answer(body=b"a" * (MEGABYTE + int(asked.path[1:])))) as server:
        assert ask(gateway, f"{server.url}/0").body == "a" * MEGABYTE
        failure = the_failure(gateway, f"{server.url}/1")
    assert (failure.code, failure.retryable) == ("response_too_large", False)


def test_an_endless_answer_is_cut_off(gateway: HttpGateway) -> None:
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"

    def converse(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            connection.sendall(chunk)

    with raw_server(converse) as url:
        assert the_failure(gateway, url).code == "response_too_large"


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"\0" * (200 * MEGABYTE), 1),
        gzip.compress(b"a" * MEGABYTE, mtime=0) + gzip.compress(b"a", mtime=0),
        gzip.compress(b"", mtime=0) * 60_000,
    ],
    ids=["bomb", "two members", "empty members"],
)
def test_a_compressed_answer_is_measured_unfolded(gateway: HttpGateway, packed: bytes) -> None:
    with http_server(lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=packed)) as server:
        assert the_failure(gateway, server.url).code == "response_too_large"


def test_a_bomb_is_never_unfolded(gateway: HttpGateway) -> None:
    bomb = gzip.compress(b"\0" * (200 * MEGABYTE), 1)
    with http_server(lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=bomb)) as server:
        tracemalloc.start()
        the_failure(gateway, server.url)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 5 * MEGABYTE


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("GZIP", gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
        ("identity", b"hello"),
    ],
)
def test_a_compressed_answer_is_unpacked(gateway: HttpGateway, encoding: str, packed: bytes) -> None:
    with http_server(lambda _: Answer(headers={"Content-Encoding": encoding}, body=packed)) as server:
        assert ask(gateway, server.url).body == "hello"


@pytest.mark.parametrize(
    ("encoding", "packed", "retryable"),
    [
        ("gzip", b"not gzip", True),
        ("gzip", gzip.compress(b"hello" * 100, mtime=0)[:-4], True),
        ("br", b"hello", False),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_bad(
    gateway: HttpGateway,
    encoding: str,
    packed: bytes,
    retryable: bool,  # noqa: FBT001 - a table's column
) -> None:
    with http_server(lambda _: Answer(headers={"Content-Encoding": encoding}, body=packed)) as server:
        failure = the_failure(gateway, server.url)
    assert (failure.code, failure.retryable) == ("bad_response", retryable)


@pytest.mark.parametrize(
    ("content_type", "said", "body"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("Application/JSON; charset=UTF-8", b"null", None),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b"", ""),
        ("application/json", b"{oops", "{oops"),
        ("application/json", b"NaN", "NaN"),
        ("application/json", b"1e999", "1e999"),
        ("application/json", b'"\\ud800"', '"\\ud800"'),
        ("application/json", b"[" * 100_000, "[" * 100_000),
        ("application/json", b"9" * 5000, "9" * 5000),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ("text/plain; charset=zip", "é".encode(), "é"),
        ("text/plain", b"\xff", "\ufffd"),
    ],
)
def test_a_body_is_json_if_it_says_so_and_can_be_kept(
    gateway: HttpGateway, content_type: str, said: bytes, body: object
) -> None:
    with http_server(lambda _: Answer(headers={"Content-Type": content_type}, body=said)) as server:
        assert ask(gateway, server.url).body == body
