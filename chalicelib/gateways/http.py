"""The HTTP client of ``http_request`` steps and webhooks: guarded, and bounded in time and size.

What it refuses or cannot do is a CallFailed. A status is an answer, not a failure: ``status_failure`` judges it.

==========================  =========  ==================================================================
code                        retryable  when
==========================  =========  ==================================================================
``invalid_request``         no         the method, URL, a header or the body cannot be sent as HTTP
``address_refused``         no         the URL, or one that it redirects to, is not on the public internet
``host_not_found``          it depends the name has no address; retryable if the resolver may know later
``connection_failed``       yes        nobody answers, or the connection broke
``tls_failed``              no         the certificate is not one for this host
``timeout``                 yes        the whole request, redirects included, took longer than allowed
``too_many_redirects``      no         more than five
``response_too_large``      no         over the limit, after decompression
``bad_response``            it depends it is not HTTP, breaks off, or is in an encoding we did not ask for
``http_status``             it depends ``status_failure`` only
==========================  =========  ==================================================================
"""

from __future__ import annotations

import functools
import time
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final, Protocol

from chalicelib.gateways.deadline import Deadline
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http_bodies import LARGEST_RESPONSE, read, text_or_json
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse, prepared, redirected
from chalicelib.gateways.wire import Switchboard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from chalicelib.domain.value import Json
    from chalicelib.gateways.addresses import Network
    from chalicelib.gateways.wire import Line
    from chalicelib.settings import Settings

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS: Final = 5

#: Methods that may be sent again when a kept connection turns out dead: doing them twice is doing them once.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

#: Statuses of 400 and above after which the same request may succeed; every 5xx is one too.
TRANSIENT_STATUSES: Final = frozenset({408, 425, 429})
FIRST_FAILURE: Final = 400
FIRST_SERVER_FAILURE: Final = 500

#: The longest that a far end may put us off.
LONGEST_RETRY_AFTER: Final = 86_400.0

#: The gateways that ``gateway`` made, for ``reset`` to close.
_made: list[HttpGateway] = []


class Http(Protocol):
    """What services ask of HTTP."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, Json],
        query: Mapping[str, Json],
        body: Json,
        timeout_seconds: float,
    ) -> HttpResponse:
        """Send a request, follow its redirects and return the answer; CallFailed if there is none.

        ``body``: none sends no body, text is sent as it is, anything else as JSON. ``query`` is added to the URL's own;
        a list is sent as repeated parameters and null not at all. ``timeout_seconds`` bounds the whole.
        """


class HttpGateway:
    """HTTP over connections to checked addresses."""

    def __init__(self, *, switchboard: Switchboard | None = None, largest_response: int = LARGEST_RESPONSE) -> None:
        self.switchboard = switchboard or Switchboard()
        #: The most bytes of a response's body, decompressed.
        self.largest_response = largest_response

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, Json],
        query: Mapping[str, Json],
        body: Json,
        timeout_seconds: float,
    ) -> HttpResponse:
        """See the protocol."""
        deadline = Deadline(time.monotonic() + timeout_seconds)
        request = prepared(method, url, headers=headers, query=query, body=body)
        for _ in range(MOST_REDIRECTS + 1):
            try:
                response = self._exchange(request, deadline)
            except TimeoutError as error:
                message = f"no whole answer from {request.origin.host} in {timeout_seconds:g} seconds"
                raise CallFailed("timeout", message, retryable=True) from error
            except (HTTPException, OSError) as error:
                raise _broken(request, error) from error
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return response
            request = redirected(request, response.status, location)
        message = f"more than {MOST_REDIRECTS} redirects"
        raise CallFailed("too_many_redirects", message, retryable=False)

    def _exchange(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        """Send one request and read its answer."""
        line, answer = self._answered(request, deadline)
        try:
            raw = read(answer, largest=self.largest_response)
        except BaseException:
            answer.close()
            line.http.close()
            raise
        if answer.will_close:
            line.http.close()
        else:
            self.switchboard.keep(line)
        headers = _joined(answer)
        return HttpResponse(
            status=answer.status, headers=headers, body=text_or_json(raw, headers.get("content-type", ""))
        )

    def _answered(self, request: HttpRequest, deadline: Deadline) -> tuple[Line, HTTPResponse]:
        """Return the beginning of the answer, and the connection it comes by."""
        line = self.switchboard.take(request.origin, deadline)
        try:
            return line, _send(line, request)
        except ConnectionError:
            if not line.used or request.method not in IDEMPOTENT:
                raise
        # A kept connection that the far end closed as we wrote: once more, on a new one.
        line = self.switchboard.open(request.origin, deadline)
        return line, _send(line, request)


def gateway(settings: Settings) -> HttpGateway:
    """Return this process's gateway: one set of kept connections for each list of opened networks."""
    return _gateway(settings.http_allow)


@functools.cache
def _gateway(allow: tuple[Network, ...]) -> HttpGateway:
    made = HttpGateway(switchboard=Switchboard(allow=allow))
    _made.append(made)
    return made


def reset() -> None:
    """Forget the gateways and close their connections (tests, the local stack)."""
    _gateway.cache_clear()
    while _made:
        _made.pop().switchboard.close()


def status_failure(response: HttpResponse, *, now: datetime) -> CallFailed | None:
    """Return why the response's status fails the call, or none below 400.

    408, 425, 429 and every 5xx may pass with time; ``Retry-After``, in seconds or as a date, says with how much.
    """
    status = response.status
    if status < FIRST_FAILURE:
        return None
    retryable = status >= FIRST_SERVER_FAILURE or status in TRANSIENT_STATUSES
    retry_after = _retry_after(response.headers.get("retry-after", ""), now) if retryable else None
    return CallFailed("http_status", f"the server answered {status}", retryable=retryable, retry_after=retry_after)


def _retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; none if it is absent or makes no sense."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        # A date without a zone (``-0000``) is UTC by the standard.
        seconds = (when if when.tzinfo else when.replace(tzinfo=now.tzinfo)).timestamp() - now.timestamp()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _send(line: Line, request: HttpRequest) -> HTTPResponse:
    try:
        line.http.request(request.method, request.target, body=request.body, headers=dict(request.headers))
        return line.http.getresponse()
    except BaseException:
        line.http.close()
        raise


def _joined(answer: HTTPResponse) -> dict[str, str]:
    """Return the headers under lower-case names; several of one name are one list, as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in answer.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _broken(request: HttpRequest, error: HTTPException | OSError) -> CallFailed:
    # RemoteDisconnected is both; that nothing came is a matter of the connection.
    if isinstance(error, OSError):
        return CallFailed("connection_failed", f"the connection to {request.origin.host} broke", retryable=True)
    return CallFailed("bad_response", f"{request.origin.host} did not answer in HTTP", retryable=True)
