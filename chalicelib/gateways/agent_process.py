"""One agent's process on this machine: what it is given, what it prints, and the limits that it is held to."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: The most that an agent may print, as its report is all that it prints; more ends it.
MOST_PRINTED: Final = 1024 * 1024

#: How much is kept of the end of what it says beside its report.
TAIL_BYTES: Final = 4096

#: How long it has to end by itself when it is told to.
GRACE_SECONDS: Final = 2.0

#: How often its watcher looks up while it prints nothing.
TICK_SECONDS: Final = 0.05

CHUNK: Final = 65_536

#: How many chunks a pipe holds at the most: 1 MiB, unless root says otherwise.
PIPEFUL: Final = 16

#: Sets the limit and becomes the command. Data (-d) is what a process has written to, or could; the address space (-v)
#: would do for C and Python, but Node reserves more than it will ever use, and could not begin. A machine that knows no
#: such limit, or has set a tighter one, goes on with its own.
LIMITED: Final = 'ulimit -d "$1" 2>/dev/null; shift; exec "$@"'


class Failure(NamedTuple):
    """Why an agent's work came to nothing."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an agent ended."""

    #: None: it ended by itself, with status 0.
    failure: Failure | None
    #: Whether it was stopped: nobody wants to hear of it.
    stopped: bool
    #: What it printed on its standard output.
    printed: bytes
    #: The end of what it said on its standard error, or else of what it printed.
    tail: str


class AgentProcess:
    """A process, and all that it starts: they are one process group, which ends with it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        given: bytes,
        directory: Path,
        environment: Mapping[str, str],
        memory_mb: int,
        seconds: float,
    ) -> None:
        """Begin; OSError if there can be no process. ``given`` is its standard input, ``directory`` where it is."""
        self._given = memoryview(given)
        self._printed = bytearray()
        self._said = bytearray()
        self._stopped = threading.Event()
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._process = subprocess.Popen(  # noqa: S603 - the developer's own command
            ["/bin/sh", "-c", LIMITED, "sh", str(memory_mb * 1024), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
        )

    @property
    def tail(self) -> str:
        """The end of what it has said so far: at most ``TAIL_BYTES`` of UTF-8."""
        said = bytes(self._said[-TAIL_BYTES:]) or bytes(self._printed[-TAIL_BYTES:])
        return said.decode("utf-8", "ignore")

    def stop(self) -> None:
        """Have it ended, from any thread."""
        self._stopped.set()

    def run(self) -> Ending:
        """Serve it until it ends or has to be ended; then nothing of its group is left."""
        process = self._process
        with process, selectors.DefaultSelector() as waiting:
            for pipe, events in (
                (process.stdin, selectors.EVENT_WRITE),
                (process.stdout, selectors.EVENT_READ),
                (process.stderr, selectors.EVENT_READ),
            ):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    waiting.register(pipe, events)
            failure = None
            while process.poll() is None and failure is None and not self._stopped.is_set():
                for key, _ in waiting.select(TICK_SECONDS):
                    self._move(waiting, key)
                failure = self._excess()
            stopped = self._stopped.is_set()
            self._end_group()
            # What it printed last may still be in the pipes. They need not come to an end: whoever left the group may
            # hold them open, and write on, so no more is read than fits into them.
            for key in list(waiting.get_map().values()):
                for _ in range(PIPEFUL):
                    if not self._move(waiting, key):
                        break
        failure = failure or self._excess_printed() or _status(process.returncode)
        return Ending(failure=failure, stopped=stopped, printed=bytes(self._printed), tail=self.tail)

    def _move(self, waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> bool:
        """Move what can be moved through a pipe, once; return whether there may be more."""
        pipe = cast("IO[bytes]", key.fileobj)
        moved = self._write(pipe) if key.events == selectors.EVENT_WRITE else self._read(pipe)
        if moved == 0:
            waiting.unregister(pipe)
            pipe.close()
        return bool(moved) and self._excess_printed() is None

    def _write(self, pipe: IO[bytes]) -> int | None:
        """Return how many bytes it took; 0: it has all, or wants no more; None: none for now."""
        try:
            written = os.write(pipe.fileno(), self._given[:CHUNK])
        except BlockingIOError:
            return None
        except BrokenPipeError:
            return 0
        self._given = self._given[written:]
        return written

    def _read(self, pipe: IO[bytes]) -> int | None:
        """Return how many bytes came; 0: the end; None: none for now."""
        try:
            read = os.read(pipe.fileno(), CHUNK)
        except BlockingIOError:
            return None
        if pipe is self._process.stdout:
            self._printed += read
        else:
            self._said = (self._said + read)[-TAIL_BYTES:]
        return len(read)

    def _excess(self) -> Failure | None:
        if time.monotonic() >= self._deadline:
            return Failure("timeout", f"the agent was ended after {self._seconds:g} seconds")
        return self._excess_printed()

    def _excess_printed(self) -> Failure | None:
        if len(self._printed) <= MOST_PRINTED:
            return None
        return Failure("agent_output_too_large", f"the agent printed more than {MOST_PRINTED} bytes")

    def _end_group(self) -> None:
        """End what is left of the group: politely if the process itself is, and then for certain.

        The group's id is the process's own, which the system gives to nobody while the group has a member; once it has
        none, a signal to it is refused.
        """
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says the second
            os.killpg(self._process.pid, number)


def report_in(printed: bytes) -> bytes | None:
    """Return the report in what an agent printed: all of it, or else its last line that is a JSON object."""
    for text in (printed, *reversed(printed.split(b"\n"))):
        if text.strip()[:1] != b"{":
            continue
        with suppress(ValueError, RecursionError):
            if isinstance(json.loads(text), dict):
                return text.strip()
    return None


def _status(code: int) -> Failure | None:
    """Return what a process's exit status means; negative is the signal that killed it."""
    if code < 0:
        return Failure("agent_killed", f"the agent was killed by signal {-code}")
    if code > 0:
        return Failure("agent_failed", f"the agent ended with status {code}")
    return None
