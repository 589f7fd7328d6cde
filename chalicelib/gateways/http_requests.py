"""What an HTTP request is before it is sent: checked, encoded, and rewritten when it is redirected."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

from chalicelib.domain.value import dumps
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.wire import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.value import Json

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

#: A method or a header's name.
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: A header's value: one line of Latin-1. Anything else could end the header and begin another.
FIELD: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: A host's name, or an IPv4 address in whatever spelling, or an IPv6 address without a zone.
HOST: Final = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]*:[0-9a-f:.]*")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: Headers that say where a message goes and where it ends: ours alone to write.
OURS: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"},
)
#: Methods that are no request for a representation: a tunnel, and an echo of our headers.
NOT_SENT: Final = frozenset({"CONNECT", "TRACE"})
#: Headers that are meant for the one origin they were written for.
SECRETS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
#: Headers that describe a body, and leave with it.
OF_THE_BODY: Final = frozenset({"content-type", "content-encoding", "content-language", "content-location"})

#: Characters that may stand in a path or a query as they are; ``%`` because the author may have encoded it already.
PATH_SAFE: Final = "/%:@!$&'()*+,;=~"
QUERY_SAFE: Final = PATH_SAFE + "?"

SEE_OTHER: Final = 303
#: A POST that is answered by one of these goes on as GET, as browsers have always done.
POST_BECOMES_GET: Final = frozenset({301, 302})


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One request as it will be sent."""

    method: str
    origin: Origin
    #: Path and query, encoded.
    target: str
    #: In the author's spelling, with what Stepwell adds. Kept out of ``repr``, as is the body.
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def url(self) -> str:
        """The whole URL, which a redirect may be relative to."""
        return f"{self.origin.scheme}://{_authority(self.origin)}{self.target}"

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.origin.scheme}://{_authority(self.origin)})"


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """What came back."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    #: The value if it is JSON and says so, else text.
    body: Json

    def __repr__(self) -> str:
        return f"HttpResponse({self.status})"


def prepared(
    method: str, url: str, *, headers: Mapping[str, Json], query: Mapping[str, Json], body: Json
) -> HttpRequest:
    """Return the request to send, or raise ``invalid_request`` or ``address_refused``."""
    method = method.upper()
    if not TOKEN.fullmatch(method) or method in NOT_SENT:
        raise _invalid("that is no method of HTTP to send")
    origin, target = _split(url, query)
    given = {name: _field(name, value) for name, value in headers.items()}
    content, content_type = _content(body)
    defaults = {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "Stepwell"}
    if content_type:
        defaults["Content-Type"] = content_type
    names = {name.lower() for name in given}
    merged = {name: value for name, value in defaults.items() if name.lower() not in names} | given
    return HttpRequest(
        method=method, origin=origin, target=target, headers={"Host": _authority(origin)} | merged, body=content
    )


def redirected(request: HttpRequest, status: int, location: str) -> HttpRequest:
    """Return the request that a redirect asks for; its address is as unchecked as the first one was."""
    try:
        url = urljoin(request.url, _as_utf8(location.strip()))
    except ValueError as error:
        raise _invalid("the redirect leads to no URL") from error
    origin, target = _split(url, {})
    dropped = {"host"}
    if origin != request.origin:
        dropped |= SECRETS
    after = replace(request, origin=origin, target=target)
    to_get = (status == SEE_OTHER and request.method != "HEAD") or (
        status in POST_BECOMES_GET and request.method == "POST"
    )
    if to_get:
        dropped |= OF_THE_BODY
        after = replace(after, method="GET", body=None)
    kept = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
    return replace(after, headers={"Host": _authority(origin)} | kept)


def _split(url: str, query: Mapping[str, Json]) -> tuple[Origin, str]:
    if CONTROL.search(url):
        # urlsplit would drop some of them without a word, and judge another URL than was written.
        raise _invalid("the URL holds control characters")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise _invalid("that is no URL") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused("only http and https URLs are called")
    if "@" in parts.netloc:
        raise _refused("a URL with a user name or password is not called; send a header")
    origin = Origin(scheme=parts.scheme, host=_host(parts), port=DEFAULT_PORTS[parts.scheme] if port is None else port)
    try:
        path = quote(parts.path or "/", safe=PATH_SAFE)
        queries = [quote(parts.query, safe=QUERY_SAFE), _query(query)]
    except UnicodeError as error:  # half a surrogate pair
        raise _invalid("the URL is not Unicode text") from error
    return origin, "?".join(text for text in (path, "&".join(text for text in queries if text)) if text)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        encoded = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _invalid("the URL names no host") from error
    if not HOST.fullmatch(encoded):
        raise _invalid("the URL names no host")
    return encoded


def _as_utf8(location: str) -> str:
    """Undo what ``http.client`` does to a header that holds raw UTF-8: it reads every byte as Latin-1."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeError:
        return location


def _authority(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == DEFAULT_PORTS[origin.scheme] else f"{host}:{origin.port}"


def _query(query: Mapping[str, Json]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _scalar(f"the query parameter {name}", item)) for item in values if item is not None]
    return urlencode(pairs)


def _field(name: str, value: Json) -> str:
    if not TOKEN.fullmatch(name):
        raise _invalid("a header's name is not one of HTTP")
    if name.lower() in OURS:
        message = f"the header {name} is Stepwell's to write"
        raise _invalid(message)
    text = _scalar(f"the header {name}", value).strip(" \t")
    if not FIELD.fullmatch(text):
        message = f"the header {name} holds characters that a header cannot"
        raise _invalid(message)
    return text


def _scalar(what: str, value: Json) -> str:
    """Return a string as it is, and a number or boolean as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    message = f"{what} must be text, a number or a boolean"
    raise _invalid(message)


def _content(body: Json) -> tuple[bytes | None, str]:
    """Return the body's bytes, and what to call them if the author does not say."""
    if body is None:
        return None, ""
    try:
        if isinstance(body, str):
            return body.encode(), "text/plain; charset=utf-8"
        return dumps(body).encode(), "application/json"
    except ValueError as error:  # NaN, an infinity, half a surrogate pair
        raise _invalid("the body cannot be sent as UTF-8 or JSON") from error


def _invalid(message: str) -> CallFailed:
    return CallFailed("invalid_request", message, retryable=False)


def _refused(message: str) -> CallFailed:
    return CallFailed("address_refused", message, retryable=False)
