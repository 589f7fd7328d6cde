"""Where a request's body ends and the next request begins: as HTTP/1.1 says it, or not at all."""

from __future__ import annotations

import re
from email.message import Message
from io import BufferedIOBase
from typing import Final

#: What API Gateway takes of a request's body, in bytes.
LONGEST_BODY: Final = 10 * 1024 * 1024
#: As much is read of a longer one, so that its sender comes to read the answer; then the connection is closed.
MOST_DISCARDED: Final = 64 * 1024 * 1024

_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
_LONGEST_LINE: Final = 8192
_PIECE: Final = 64 * 1024


class Unreadable(Exception):
    """Nobody can tell where the request ends, or it ended too early: nothing may follow on its connection."""


class TooLong(Exception):
    """The body is longer than ``LONGEST_BODY``."""

    def __init__(self, *, is_read: bool) -> None:
        super().__init__(f"over {LONGEST_BODY} bytes")
        #: Whether the next request may follow on the same connection.
        self.is_read = is_read


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Return the body of a request whose headers were read from the stream; raise Unreadable or TooLong."""
    lengths = {value.strip() for value in headers.get_all("Content-Length", [])}
    codings = headers.get_all("Transfer-Encoding", [])
    if codings:
        # With both, one reader would believe the one and another the other.
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise Unreadable("Transfer-Encoding must be chunked, and stand alone")
        return _chunks(stream)
    if not lengths:
        return b""
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise Unreadable("Content-Length must be one whole number")
    return _exactly(stream, int(length))


def _exactly(stream: BufferedIOBase, length: int) -> bytes:
    if length > LONGEST_BODY:
        raise TooLong(is_read=length <= MOST_DISCARDED and _discarded(stream, length))
    body = stream.read(length)
    if len(body) < length:
        raise Unreadable("the body ended early")
    return body


def _discarded(stream: BufferedIOBase, length: int) -> bool:
    """Read on to the body's end; return whether it came."""
    while length:
        piece = stream.read(min(length, _PIECE))
        if not piece:
            return False
        length -= len(piece)
    return True


def _chunks(stream: BufferedIOBase) -> bytes:
    body = bytearray()
    size = 0
    while length := _chunk_length(stream):
        size += length
        if size > MOST_DISCARDED:
            raise TooLong(is_read=False)
        chunk = stream.read(length + 2)
        if len(chunk) != length + 2 or not chunk.endswith(b"\r\n"):
            raise Unreadable("a chunk is not as long as it says")
        if size <= LONGEST_BODY:
            body += chunk[:-2]
    while stream.readline(_LONGEST_LINE).strip():
        pass  # trailers, which say nothing to anybody here
    if size > LONGEST_BODY:
        raise TooLong(is_read=True)
    return bytes(body)


def _chunk_length(stream: BufferedIOBase) -> int:
    found = _CHUNK.fullmatch(stream.readline(_LONGEST_LINE))
    if found is None:
        raise Unreadable("a chunk must begin with its length")
    return int(found[1], 16)
