"""Reading an HTTP answer's body: never more than the limit, however it is compressed, and as JSON if it is JSON."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Final, NoReturn

from chalicelib.domain.value import dumps
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from chalicelib.domain.value import Json

#: The most bytes of a body: no step's output may be larger.
LARGEST_RESPONSE: Final = 1_048_576
CHUNK: Final = 65_536

#: Content encodings that zlib undoes; we ask for gzip alone.
COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
#: zlib's word for "a gzip or a zlib header: see for yourself".
EITHER_HEADER: Final = 32 + zlib.MAX_WBITS

#: Character sets that an answer may claim. Python knows codecs that are no character sets, and slow ones.
CHARSETS: Final = frozenset(
    {"ascii", "us-ascii", "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "latin1", "windows-1252"},
)


def read(answer: HTTPResponse, *, largest: int) -> bytes:
    """Return the whole body, decompressed, or raise ``response_too_large`` or ``bad_response``."""
    encoding = (answer.getheader("Content-Encoding") or "").strip().lower()
    if encoding in COMPRESSED:
        decoder: _Inflated | _Plain = _Inflated(largest)
    elif encoding in {"", "identity"}:
        decoder = _Plain(largest)
    else:
        message = "the answer is compressed in a way that was not asked for"
        raise CallFailed("bad_response", message, retryable=False)
    received = 0
    while chunk := answer.read(CHUNK):
        received += len(chunk)
        if received > largest:
            _too_large(largest)
        decoder.feed(chunk)
    if answer.length:  # http.client says nothing when a body of known length breaks off
        message = "the answer broke off"
        raise CallFailed("bad_response", message, retryable=True)
    return decoder.whole()


def text_or_json(raw: bytes, content_type: str) -> Json:
    """Return the value if the content type says JSON and it is, else the text."""
    kind, _, parameters = content_type.partition(";")
    text = raw.decode(_charset(parameters), errors="replace").removeprefix("\ufeff")
    kind = kind.strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return text
    try:
        value: Json = json.loads(text, parse_constant=_no_constant)
        dumps(value).encode()  # an infinity (1e999) or half a surrogate pair could never be stored
    except (ValueError, RecursionError):
        return text
    return value


class _Plain:
    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._largest:
            _too_large(self._largest)
        self._parts.append(chunk)

    def whole(self) -> bytes:
        return b"".join(self._parts)


class _Inflated(_Plain):
    """Decompresses no more at a time than there is still room for, so that a bomb never unfolds."""

    def __init__(self, largest: int) -> None:
        super().__init__(largest)
        self._inflater = zlib.decompressobj(EITHER_HEADER)
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        self._begun = True
        while chunk:
            if self._inflater.eof:  # gzip may be several members, one after another
                self._inflater = zlib.decompressobj(EITHER_HEADER)
            try:
                inflated = self._inflater.decompress(chunk, self._largest + 1 - self._size)
            except zlib.error as error:
                message = "the answer is not compressed as it says"
                raise CallFailed("bad_response", message, retryable=True) from error
            super().feed(inflated)
            chunk = self._inflater.unconsumed_tail or self._inflater.unused_data

    def whole(self) -> bytes:
        if self._begun and not self._inflater.eof:
            message = "the compressed answer broke off"
            raise CallFailed("bad_response", message, retryable=True)
        return super().whole()


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset in CHARSETS:
            return charset
    return "utf-8"


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _too_large(largest: int) -> NoReturn:
    message = f"the answer is over {largest} bytes"
    raise CallFailed("response_too_large", message, retryable=False)
