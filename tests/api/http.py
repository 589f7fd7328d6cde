"""A client of the stack's API, over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.text)


@dataclass(frozen=True, kw_only=True)
class Client:
    """Sends requests with a key."""

    url: str
    key: str | None
    #: How many seconds an answer may take.
    patience: float = 30

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request as it is, path and body unchanged."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=self.patience)
        authorization = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        try:
            connection.request(method, path, body=body, headers={**authorization, **(headers or {})})
            answered = connection.getresponse()
            named = {name.lower(): value for name, value in answered.getheaders()}
            return Response(status=answered.status, headers=named, text=answered.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Response:
        """Send a GET."""
        return self.send("GET", path)

    def post(self, path: str, body: object = None, **headers: str) -> Response:
        """Send a POST with a JSON body; an underscore in a header's name stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **named})
