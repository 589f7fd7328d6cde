"""Short ways to ask the HTTP gateway something."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from types import MappingProxyType

import pytest

from chalicelib.domain.value import Json
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http import Http
from chalicelib.gateways.http_requests import HttpResponse

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NOTHING: Mapping[str, Json] = MappingProxyType({})


def ask(
    http: Http,
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, Json] = NOTHING,
    query: Mapping[str, Json] = NOTHING,
    body: Json = None,
    timeout_seconds: float = 10,
) -> HttpResponse:
    return http.request(method, url, headers=headers, query=query, body=body, timeout_seconds=timeout_seconds)


def the_failure(
    http: Http, url: str, method: str = "GET", *, body: Json = None, timeout_seconds: float = 10
) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        ask(http, url, method, body=body, timeout_seconds=timeout_seconds)
    return failed.value
