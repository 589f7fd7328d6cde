"""Serves an unzipped deployment over HTTP, as Lambda and API Gateway would; run on it and Python's own library alone.

`python -I -S lambda_runtime.py <folder>`: prints its port, and answers the app's routes and Lambda's call `Invoke`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class Runtime(BaseHTTPRequestHandler):
    """Answers one request; ``app`` is the deployment's module of that name."""

    app: Any
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        invoked = _INVOKE.fullmatch(self.path)
        if invoked:
            returned = getattr(self.app, invoked[1])(json.loads(body), _context(invoked[1], seconds=900))
            self._send(200, {}, json.dumps(returned))
            return
        answer = self.app.app(self._event(body), _context("api_handler", seconds=29))
        self._send(answer["statusCode"], answer["headers"], answer["body"])

    def _event(self, body: str) -> dict[str, Any]:
        split = urlsplit(self.path)
        for route in self.app.app.routes:
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route), split.path)
            if match:
                break
        else:
            raise LookupError(split.path)
        request = {"httpMethod": self.command, "resourcePath": route, "path": split.path, "identity": {}}
        return {
            "requestContext": {**request, "requestId": str(uuid.uuid4())},
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "pathParameters": {name: unquote(value) for name, value in match.groupdict().items()},
            "multiValueQueryStringParameters": parse_qs(split.query) or None,
            "stageVariables": None,
            "body": body,
            "isBase64Encoded": False,
        }

    def _send(self, status: int, headers: dict[str, str], text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _context(function: str, *, seconds: float) -> SimpleNamespace:
    until = time.monotonic() + seconds
    return SimpleNamespace(
        aws_request_id=str(uuid.uuid4()),
        function_name=function,
        function_version="$LATEST",
        invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
        log_group_name=f"/aws/lambda/{function}",
        log_stream_name="zip",
        memory_limit_in_mb="1024",
        get_remaining_time_in_millis=lambda: round(1000 * (until - time.monotonic())),
    )


def main() -> None:
    sys.path[:0] = sys.argv[1:]
    Runtime.app = importlib.import_module("app")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
