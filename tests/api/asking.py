"""Builders: requests, keys and answers for tests of the API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from chalicelib.api.endpoints import Answer
from chalicelib.api.requests import HttpRequest
from chalicelib.domain.access import ApiKey, Scope

NOW = datetime(2026, 11, 22, 7, 0, 0, 123000, tzinfo=UTC)
PROJECT = "proj_test"


def a_request(
    *,
    body: bytes | str = b"",
    path: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
    headers: dict[str, str] | None = None,
    key: str | None = "ask_key1_secret",
) -> HttpRequest:
    """A request, with a key unless told otherwise."""
    authorization = {} if key is None else {"authorization": f"Bearer {key}"}
    return HttpRequest(
        path_parameters=path or {},
        query=query or {},
        headers={**authorization, **(headers or {})},
        body=body.encode() if isinstance(body, str) else body,
        request_id="req-1",
        base_url="https://stepwell.example",
        at=NOW,
    )


def a_key(*scopes: Scope) -> ApiKey:
    """A key that has the scopes, or every one."""
    return ApiKey(
        id="key1",
        project_id=PROJECT,
        name="tester",
        scopes=frozenset(scopes or Scope),
        digest="",
        created_at=NOW,
    )


def told(answer: Answer) -> Any:
    """The answer's body, read."""
    return json.loads(answer.body)
