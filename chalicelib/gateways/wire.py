"""Connections for the HTTP gateway: opened to an address that was checked, kept a while, and never beyond a deadline.

The standard library's ``http.client`` speaks HTTP over a socket that is opened here, and is forbidden to open one
itself; so there is no path from a URL to a connection that goes round the check. TLS still verifies the host's name.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.gateways.addresses import Network, checked
from chalicelib.gateways.deadline import Deadline, TimedSocket
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest wait for a connection, TLS included: a host that is down is told apart from one that is slow.
CONNECT_SECONDS: Final = 10.0
#: How long the checked addresses of a host are believed.
RESOLVED_SECONDS: Final = 30.0
#: How long a connection is kept unused. Short: a frozen Lambda does not see the far end hang up.
IDLE_SECONDS: Final = 10.0
#: Connections kept unused, to all origins: several a thread of a driver, and far below Lambda's 1,024 open files.
IDLE_CONNECTIONS: Final = 128
#: Hosts remembered before the memory is thrown away whole.
REMEMBERED_HOSTS: Final = 256


class Origin(NamedTuple):
    """Where a request goes: what browsers call an origin."""

    #: ``http`` or ``https``.
    scheme: str
    #: The host's name or address, lower case; an IPv6 address without its brackets.
    host: str
    port: int


class Line(NamedTuple):
    """One connection to an origin."""

    origin: Origin
    http: HTTPConnection
    socket: TimedSocket
    #: Whether it served a request before, so that its far end may have hung up unseen.
    used: bool = False


def system_addresses(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver knows for a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An IPv6 answer may carry a zone (``fe80::1%eth0``) in its text; such an address is link-local and is refused.
    return [str(entry[4][0]).partition("%")[0] for entry in found]


class Switchboard:
    """Opens, keeps and hands out connections; safe to use from many threads.

    ``tls`` verifies servers, by default against the system's certificate authorities. ``resolve`` returns the addresses
    of a host and port, in order of preference, or raises ``socket.gaierror``. ``clock`` is the wall's, in seconds: the
    monotonic one may stand still while a Lambda is frozen.
    """

    def __init__(
        self,
        *,
        allow: tuple[Network, ...] = (),
        tls: ssl.SSLContext | None = None,
        resolve: Callable[[str, int], list[str]] = system_addresses,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allow = allow
        self._tls = tls
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        #: Unused connections, each with the time since when.
        self._idle: dict[Origin, deque[tuple[float, Line]]] = {}
        #: Checked addresses, with the time until when they are believed.
        self._known: dict[Origin, tuple[float, tuple[str, ...]]] = {}

    def take(self, origin: Origin, deadline: Deadline) -> Line:
        """Return a connection that nobody else uses: a kept one, or a new one to a checked address."""
        while (line := self._pop(origin)) is not None:
            if line.socket.is_silent():
                line.socket.deadline = deadline
                return line
            line.http.close()
        return self.open(origin, deadline)

    def keep(self, line: Line) -> None:
        """Take back a connection whose response was read to its end."""
        with self._lock:
            dropped = self._stale()
            if sum(map(len, self._idle.values())) < IDLE_CONNECTIONS:
                self._idle.setdefault(line.origin, deque()).append((self._clock(), line._replace(used=True)))
            else:
                dropped.append(line)
        for old in dropped:
            old.http.close()

    def close(self) -> None:
        """Close what is kept, and forget the addresses."""
        with self._lock:
            lines = [line for idle in self._idle.values() for _, line in idle]
            self._idle.clear()
            self._known.clear()
        for line in lines:
            line.http.close()

    def open(self, origin: Origin, deadline: Deadline) -> Line:
        """Open a connection to the first checked address that answers."""
        failure: OSError | None = None
        for address in self._addresses(origin, deadline):
            try:
                connected = self._connect(origin, address, deadline)
            except ssl.SSLCertVerificationError as error:
                message = f"the certificate of {origin.host} is not valid: {error.verify_message}"
                raise CallFailed("tls_failed", message, retryable=False) from error
            except OSError as error:
                failure = error
                deadline.remaining()
                continue
            timed = TimedSocket(connected, deadline)
            http = HTTPConnection(origin.host, origin.port)
            http.auto_open = 0  # never a connection of its own, to an address that nobody checked
            http.sock = timed
            return Line(origin, http, timed)
        message = f"cannot connect to {origin.host} port {origin.port}"
        raise CallFailed("connection_failed", message, retryable=True) from failure

    def _pop(self, origin: Origin) -> Line | None:
        """Return the most lately kept connection of an origin; close what was kept too long."""
        with self._lock:
            dropped = self._stale()
            idle = self._idle.get(origin)
            line = idle.pop()[1] if idle else None
        for old in dropped:
            old.http.close()
        return line

    def _stale(self) -> list[Line]:
        """Take out what was kept too long, of any origin, for the caller to close. The lock is the caller's, too."""
        oldest = self._clock() - IDLE_SECONDS
        stale: list[Line] = []
        for origin, idle in list(self._idle.items()):
            while idle and idle[0][0] < oldest:
                stale.append(idle.popleft()[1])
            if not idle:
                del self._idle[origin]
        return stale

    def _addresses(self, origin: Origin, deadline: Deadline) -> tuple[str, ...]:
        """Return the checked addresses of an origin, remembered for half a minute.

        Two threads may both resolve a new host: the answers are equally good, and the later one is remembered.
        """
        known = self._known.get(origin)
        if known is not None and known[0] > self._clock():
            return known[1]
        found = checked(origin.host, self._resolve_by(origin, deadline), allow=self._allow)
        with self._lock:
            if len(self._known) >= REMEMBERED_HOSTS:
                self._known.clear()
            self._known[origin] = (self._clock() + RESOLVED_SECONDS, found)
        return found

    def _resolve_by(self, origin: Origin, deadline: Deadline) -> list[str]:
        """Resolve in a thread of its own, since the system's resolver takes no deadline."""
        answers: deque[list[str] | OSError | UnicodeError] = deque()

        def ask() -> None:
            try:
                answers.append(self._resolve(origin.host, origin.port))
            except (OSError, UnicodeError) as error:
                answers.append(error)

        asking = threading.Thread(target=ask, name="resolve", daemon=True)
        asking.start()
        asking.join(deadline.remaining())
        if not answers:
            raise TimeoutError
        answer = answers[0]
        if isinstance(answer, list):
            return answer
        lasting = isinstance(answer, UnicodeError) or answer.errno == socket.EAI_NONAME
        message = f"{origin.host} has no address"
        raise CallFailed("host_not_found", message, retryable=not lasting) from answer

    def _connect(self, origin: Origin, address: str, deadline: Deadline) -> socket.socket:
        limit = Deadline(min(deadline.at, time.monotonic() + CONNECT_SECONDS))
        plain = socket.create_connection((address, origin.port), timeout=limit.remaining())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "http":
                return plain
            plain.settimeout(limit.remaining())
            return self._verifying().wrap_socket(plain, server_hostname=origin.host)
        except BaseException:
            plain.close()
            raise

    def _verifying(self) -> ssl.SSLContext:
        # Loading the authorities takes milliseconds, so once; two threads may both do it, to the same end.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
