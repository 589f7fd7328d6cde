"""Serves one WSGI application on a free port of the loopback, on threads and with connections kept open.

Werkzeug's own server closes each connection and then lingers on it for 10 ms: more than a call to moto takes.
"""

from __future__ import annotations

import io
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_NO_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class _Handler(MotoRequestHandler):
    """Reads a request whole and sends its answer whole, so that the next one may follow on the same connection."""

    protocol_version = "HTTP/1.1"
    #: Without these two, headers and body go out apart and the second waits for the other side's delayed ACK (40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        chunked = "wsgi.input_terminated" in environ
        body = environ["wsgi.input"].read(*(() if chunked else (int(environ.get("CONTENT_LENGTH") or 0),)))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        if chunked:
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Any:
            answered.append((status, headers))
            return lambda _data: None

        parts = self.server.app(environ, start_response)
        try:
            content = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close:
                close()
        status, headers = answered[-1]
        self._send(status, headers, content)

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        if int(code) not in _NO_BODY and "content-length" not in {name.lower() for name, _ in headers}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_expect_100(self) -> bool:
        """Let the client send its body now."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_request(self, *_: Any) -> None:
        """Say nothing: this is not the API's own log."""


class KeepAliveServer:
    """A server that runs from its making on, until the process ends."""

    def __init__(self, app: WSGIApplication) -> None:
        server = ThreadedWSGIServer("127.0.0.1", 0, app, handler=_Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, name="aws", daemon=True).start()
