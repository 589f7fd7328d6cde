"""A socket under a deadline: all that a request reads and writes has one stretch of time between them."""

from __future__ import annotations

import io
import select
import time
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer


class Deadline:
    """The moment, on the monotonic clock, by which a whole request must be over."""

    def __init__(self, at: float) -> None:
        self.at = at

    def remaining(self) -> float:
        """Return the seconds left, or raise ``TimeoutError``."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TimedReader(io.RawIOBase):
    """Reads from a socket, allowing each read only what is left of the request's time.

    A socket's own timeout starts anew with every read, so a far end that sends one byte a second would never be late.
    """

    def __init__(self, raw: io.RawIOBase, socket_: TimedSocket) -> None:
        self._raw = raw
        self._socket = socket_

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._socket.allow()
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimedSocket:
    """What ``http.client`` asks of a socket, under a deadline that is set anew for each request."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._connected = connected
        self.deadline = deadline

    def allow(self) -> None:
        """Let the next operation take what is left of the time, or raise ``TimeoutError``."""
        self._connected.settimeout(self.deadline.remaining())

    def sendall(self, data: bytes) -> None:
        """Send the whole."""
        self.allow()
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader; the connection stays open until both it and the socket are closed."""
        raw = cast("io.RawIOBase", self._connected.makefile("rb", buffering=0))
        return io.BufferedReader(_TimedReader(raw, self))

    def close(self) -> None:
        """Close it, once no reader needs it any more."""
        self._connected.close()

    def is_silent(self) -> bool:
        """Return whether nothing has come in: between requests, whatever comes is the far end hanging up."""
        poll = select.poll()
        poll.register(self._connected, select.POLLIN)
        return not poll.poll(0)
