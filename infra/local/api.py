"""Serves the app's routes over HTTP, on threads and with connections kept open."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from chalice.app import Chalice

from infra.local import framing
from infra.local.gateway import Answer, Gateway, Kind
from infra.local.iam import Role

#: How long API Gateway waits for a function.
TIMEOUT_SECONDS: Final = 29.0


class _Handler(BaseHTTPRequestHandler):
    """Reads requests, whatever comes, and sends each answer in one piece."""

    protocol_version = "HTTP/1.1"
    #: What makes no sense as a request is answered with a status and headers too.
    default_request_version = "HTTP/1.1"
    #: Without these two, headers and body go out apart and the second waits for the other side's delayed ACK (40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, *request: Any, gateway: Gateway) -> None:
        self._gateway = gateway
        super().__init__(*request)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Have any method at all answered alike: it is the gateway that knows which there are."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """Let the client send its body now."""
        going_on: bool = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_message(self, *_: Any) -> None:
        """Say nothing: a line a request on stderr costs more than many a request."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - as it is called
        """Answer what cannot be read as a request, and nothing that follows it."""
        self.close_connection = True
        self._send(self._gateway.own(Kind.UNREADABLE, status=code if code < 500 else 400))  # noqa: PLR2004

    def _answer(self) -> None:
        try:
            body = framing.read_body(self.headers, self.rfile)
        except framing.Unreadable:
            self.send_error(400)
        except framing.TooLong as too_long:
            self.close_connection |= not too_long.is_read
            self._send(self._gateway.own(Kind.TOO_LARGE))
        else:
            self._send(self._gateway.answer(self.command, self.path, dict(self.headers), body))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, values in {"Content-Type": "application/json", **answer.headers}.items():
            for value in values if isinstance(values, list) else [values]:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ApiServer:
    """The app's routes at an address, from its making until ``close``."""

    def __init__(
        self, app: Chalice, *, port: int, timeout_seconds: float = TIMEOUT_SECONDS, role: Role | None = None
    ) -> None:
        """Serve the app at this port (0: a free one); ``role`` is what its function runs under, None for anybody's."""
        gateway = Gateway(app, timeout_seconds=timeout_seconds, role=role)
        self._server = _Server(("127.0.0.1", port), partial(_Handler, gateway=gateway))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=partial(self._server.serve_forever, 0.05), name="api", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept nothing more; requests under way may finish."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
