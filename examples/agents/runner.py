"""What an agent's container runs: gets the work, has a command do it, says that it is alive, reports what came of it.

`runner.py COMMAND…` is the entry point; see `Dockerfile`. The command gets the work document (JSON) on its standard
input and in the file that `STEPWELL_WORK_FILE` names, prints its report on its standard output, and may say whatever
it likes on its standard error. The rest of its environment is the container's: keys of models, `STEPWELL_CLI`. Stepwell
sets

    STEPWELL_WORK_URL         where the work is, for an hour
    STEPWELL_CALLBACK_URL     what /heartbeat, /report and /fail are added to
    STEPWELL_CALLBACK_TOKEN   what is shown there; the command never sees it
    STEPWELL_TIMEOUT_SECONDS  when the command is ended

`STEPWELL_HEARTBEAT_SECONDS` (20) is the image's own: Stepwell gives an agent up after two minutes without a word.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

#: A report is no longer, in bytes.
LARGEST_REPORT: Final = 1024 * 1024
#: How much of what the command says goes with a heartbeat or a failure, in bytes.
TAIL: Final = 4096
#: How long the command has to end by itself once it is told to. ECS gives the whole container 30 seconds.
GRACE_SECONDS: Final = 5.0
#: Between one attempt to reach Stepwell and the next.
DELAYS: Final = (1.0, 3.0, 10.0)
#: Stepwell's ways of saying that nobody waits any more.
OVER: Final = frozenset({401, 404, 409, 410})
#: What the command does not see.
SECRET: Final = frozenset({"STEPWELL_WORK_URL", "STEPWELL_CALLBACK_URL", "STEPWELL_CALLBACK_TOKEN"})
TOO_MANY: Final = 429
SERVER_FAILURE: Final = 500


class Failure(Exception):
    """The work came to nothing; the code is for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Over(Exception):
    """Nobody waits for this agent any more."""


class Stepwell:
    """What can be asked of Stepwell, and told."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def fetch(self, url: str) -> bytes:
        """Return the work."""
        return self._again(lambda: _read(Request(url)))  # noqa: S310 - the URL is Stepwell's own

    def tell(self, word: str, said: bytes) -> None:
        """Tell it, a few times if need be: what comes twice is taken once."""
        self._again(lambda: self.once(word, said))

    def once(self, word: str, said: bytes) -> bytes:
        """Tell it once; ``Over`` if nobody wants to know."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            return _read(Request(f"{self._url}/{word}", data=said, headers=headers, method="POST"))  # noqa: S310 - as above
        except HTTPError as error:
            if error.code in OVER:
                raise Over from error
            raise

    def _again(self, ask: Callable[[], bytes]) -> bytes:
        for delay in DELAYS:
            try:
                return ask()
            except HTTPError as error:
                if error.code != TOO_MANY and error.code < SERVER_FAILURE:
                    raise
            except OSError:
                pass
            time.sleep(delay)
        return ask()


class Command:
    """The command at work, and all that it starts: one process group."""

    def __init__(self, command: Sequence[str], work: bytes, folder: str) -> None:
        file = Path(folder) / "work.json"
        file.write_bytes(work)
        kept = {name: value for name, value in os.environ.items() if name not in SECRET}
        self._process = subprocess.Popen(  # noqa: S603 - the image's own command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**kept, "STEPWELL_WORK_FILE": str(file)},
            start_new_session=True,
        )
        self._printed, self._said = bytearray(), bytearray()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=task, daemon=True) for task in (lambda: self._give(work), self._listen, self._log)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever the reason; then its last words are there."""
        self.end()
        for thread in self._threads:
            thread.join(GRACE_SECONDS)

    @property
    def tail(self) -> str:
        """What it has said last."""
        return bytes(self._said[-TAIL:] or self._printed[-TAIL:]).decode("utf-8", "ignore")

    def report(self, seconds: float) -> bytes:
        """Wait for its end and return the report in what it printed."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure("timeout", f"the agent was ended after {seconds:g} seconds") from None
        self._signal(signal.SIGKILL)  # whatever it has left running holds the pipes open
        for thread in self._threads:
            thread.join(GRACE_SECONDS)
        if len(self._printed) > LARGEST_REPORT:
            raise Failure("agent_output_too_large", f"the agent printed more than {LARGEST_REPORT} bytes")
        if status:
            raise Failure("agent_failed", f"the agent ended with status {status}")
        return _report_in(bytes(self._printed))

    def end(self) -> None:
        """End it and what it has started, politely at first."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _give(self, work: bytes) -> None:
        with suppress(BrokenPipeError), _pipe(self._process.stdin) as pipe:
            pipe.write(work)

    def _listen(self) -> None:
        pipe = _pipe(self._process.stdout)
        while chunk := os.read(pipe.fileno(), 65_536):
            self._printed += chunk
            if len(self._printed) > LARGEST_REPORT:
                self._signal(signal.SIGKILL)
                return

    def _log(self) -> None:
        """Pass what it says on to the container's log, and keep the end of it."""
        pipe = _pipe(self._process.stderr)
        while chunk := os.read(pipe.fileno(), 65_536):
            self._said = (self._said + chunk)[-TAIL:]
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()


def run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Do the work; return 0 if it was reported, or nobody waits for it any more."""
    stepwell = Stepwell(env["STEPWELL_CALLBACK_URL"], env["STEPWELL_CALLBACK_TOKEN"])
    agent: Command | None = None
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            agent = Command(command, stepwell.fetch(env["STEPWELL_WORK_URL"]), folder)
            with agent, _kept_alive(agent, stepwell, float(env.get("STEPWELL_HEARTBEAT_SECONDS", "20"))):
                report = agent.report(float(env["STEPWELL_TIMEOUT_SECONDS"]))
        stepwell.tell("report", report)
    except Over:
        return 0
    except (Failure, OSError) as error:
        failure = error if isinstance(error, Failure) else Failure(*_meant(error))
        print(f"{failure.code}: {failure}", file=sys.stderr)
        said = {"code": failure.code, "message": str(failure), "tail": agent.tail if agent else ""}
        with suppress(Over, OSError):
            stepwell.tell("fail", _json(said))
        return 1
    return 0


@contextmanager
def _kept_alive(agent: Command, stepwell: Stepwell, seconds: float) -> Iterator[None]:
    """Say meanwhile that the agent is alive; end it, and raise ``Over``, if nobody wants to know."""
    over, unwanted = threading.Event(), threading.Event()

    def beat() -> None:
        while not over.wait(seconds):
            try:
                stepwell.once("heartbeat", _json({"tail": agent.tail}))
            except Over:
                unwanted.set()
                agent.end()
                return
            except OSError:
                pass  # the next one may get through

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    except Failure as failure:
        if unwanted.is_set():
            raise Over from failure
        raise
    finally:
        over.set()
        beating.join()


def _meant(error: OSError) -> tuple[str, str]:
    """Return what an error of the outside means: a refused report, or no way to the work or the command."""
    if not isinstance(error, HTTPError):
        reason = error.reason if isinstance(error, URLError) else error
        return "agent_start_failed", f"{type(error).__name__}: {reason}"
    try:
        told = json.loads(error.read())["error"]
        field = f"{told['field']}: " if told.get("field") else ""
        return "agent_report_refused", f"{field}{told['message']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return "agent_start_failed", f"a request was answered with status {error.code}"


def _report_in(printed: bytes) -> bytes:
    """Return all that was printed, or else its last line that is a JSON object."""
    for text in (printed, *reversed(printed.split(b"\n"))):
        with suppress(ValueError, RecursionError):
            if text.strip().startswith(b"{") and isinstance(json.loads(text), dict):
                return text
    raise Failure("agent_no_report", "the agent printed no JSON object")


def _read(request: Request) -> bytes:
    with urlopen(request, timeout=30) as answer:  # noqa: S310 - the URLs are Stepwell's own
        content: bytes = answer.read()
    return content


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - each was asked for
    return pipe


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _told_to_stop(number: int, _: object) -> None:
    raise Failure("agent_stopped", f"the container was told to stop (signal {number})")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _told_to_stop)
    sys.exit(run(sys.argv[1:], os.environ))
