"""Servers on 127.0.0.1 for the tests of the gateways: one that speaks HTTP, one that speaks what it likes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: The port at the other end, which tells connections apart.
    connection: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(kw_only=True)
class Server:
    """A running server, and what it was asked."""

    port: int
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections brought the requests."""
        return len({asked.connection for asked in self.asked})


@contextmanager
def http_server(answer: Callable[[Asked], Answer], *, tls: SSLContext | None = None) -> Iterator[Server]:
    """Serve HTTP/1.1 with connections that are kept."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm: ClassVar[bool] = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
                connection=self.client_address[1],
            )
            server.asked.append(asked)
            said = answer(asked)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if "Transfer-Encoding" not in said.headers:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if asked.method != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer  # noqa: N815 - http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing when a client hangs up: many tests do."""

    listening = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    server = Server(port=listening.server_address[1])
    serving = threading.Thread(target=listening.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield server
    finally:
        listening.shutdown()
        serving.join()
        listening.server_close()


@contextmanager
def raw_server(converse: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Serve each connection with ``converse``, which gets an event that is set when the test is over."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client hung up, which is what the test is about
            converse(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=one, args=(connection,))
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
        for thread in threads:
            thread.join()
