"""HTTP without a network: the same checks of a request, and answers from a function of the test's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from chalicelib.domain.value import Json
from chalicelib.gateways.addresses import Network, checked
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse, prepared


def nobody(request: HttpRequest) -> HttpResponse:
    """Answer nothing: the default, since a test that did not expect a call should not see it succeed."""
    message = f"cannot connect to {request.origin.host} port {request.origin.port}"
    raise CallFailed("connection_failed", message, retryable=True)


@dataclass(kw_only=True)
class FakeHttp:
    """Answers what it is told to, and remembers what it was asked."""

    #: Answers a request, or raises CallFailed.
    answer: Callable[[HttpRequest], HttpResponse] = nobody
    #: Opened networks. Hosts that are written as addresses are checked; names are taken for public.
    allow: tuple[Network, ...] = ()
    #: What was sent, in order.
    sent: list[HttpRequest] = field(default_factory=list)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, Json],
        query: Mapping[str, Json],
        body: Json,
        timeout_seconds: float,  # noqa: ARG002 - a function of the test's is not timed
    ) -> HttpResponse:
        """Check the request as the real gateway does, remember it and answer it."""
        request = prepared(method, url, headers=headers, query=query, body=body)
        host = request.origin.host
        try:
            ip_address(host)
        except ValueError:
            pass
        else:
            checked(host, [host], allow=self.allow)
        self.sent.append(request)
        return self.answer(request)
