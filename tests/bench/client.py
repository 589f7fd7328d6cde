"""A client of the API that keeps its connection, one a thread."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_SUCCESS = range(200, 300)
_NONE: Mapping[str, str] = MappingProxyType({})


class Client:
    """Sends JSON with a key, and raises if it is not answered with success."""

    def __init__(self, url: str, key: str) -> None:
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        """Send a POST, with an idempotency key if one is given, and return the JSON that it was answered with."""
        return self._ask("POST", path, json.dumps(body).encode(), {"Idempotency-Key": key} if key else {})

    def get(self, path: str) -> Any:
        """Send a GET and return the JSON that it was answered with."""
        return self._ask("GET", path, None)

    def delete(self, path: str) -> None:
        """Send a DELETE, which is answered with nothing."""
        self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = _NONE) -> Any:
        self._connection.request(method, path, body=body, headers={**self._headers, **headers})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in _SUCCESS:
            message = f"{method} {path} was answered {answer.status}: {text[:500]!r}"
            raise AssertionError(message)
        return json.loads(text) if text else None


def deploy(client: Client, graph: Any) -> str:
    """Create a workflow, deploy it on `conn_default`, and return the path that it lies under."""
    created = client.post("/api/workflows", {"name": graph["metadata"]["name"]})
    path = f"/api/workflows/{created['id']}"
    client.post(f"{path}/versions", {"ir": graph})
    client.post(f"{path}/deploy", {"connectionId": "conn_default"})
    return path


def publish(client: Client, steps: Sequence[Any], **settings: Any) -> str:
    """Create a workflow of steps, deployed as it is saved, and return the path that it lies under."""
    project_id = client.get("/v1/whoami")["project_id"]
    body = {"project_id": project_id, "name": "bench", "slug": f"bench-{uuid.uuid4().hex}", "steps": steps}
    created = client.post("/v1/workflows", {**body, **settings})
    return f"/api/workflows/{created['id']}"


def trigger(client: Client, path: str, *, key: str | None = None) -> str:
    """Start a run and return its id."""
    body = {"connectionId": "conn_default", "params": {"orderId": "ord_001"}}
    answer = client.post(f"{path}/trigger", body, key=key)
    run_id: str = answer["instanceId"]
    return run_id
