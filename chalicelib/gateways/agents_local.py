"""Sandboxes on this machine, for the local stack: a process each, of the command that is set for its ``cliId``.

They guard against accidents (too long, too much memory, too much output, a child left behind), not against malice: an
agent runs as whoever runs the stack. Nothing of the stack's environment reaches it, so neither do its credentials.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chalicelib.gateways.agent_callbacks import AgentCallbacks
from chalicelib.gateways.agent_process import AgentProcess, Ending, Failure, report_in
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.gateways.agents import Order
    from chalicelib.gateways.clients import AwsAccess
    from chalicelib.settings import Settings

#: How long the end of the stack waits for the end of each agent.
CLOSING_SECONDS: Final = 5.0

#: Every agent that this process has started, by order; None once it has ended. They outlive the gateways: the local
#: stack makes those anew whenever it is pointed at.
_agents: dict[str, _Agent | None] = {}
_lock = threading.Lock()


class LocalAgents:
    """Sandboxes as processes of this machine; a handle is ``local/<order id>``."""

    def __init__(self, *, commands: Mapping[str, str], heartbeat_seconds: float, search_path: str) -> None:
        self._commands = commands
        self._heartbeat_seconds = heartbeat_seconds
        self._search_path = search_path

    @classmethod
    def of(cls, settings: Settings) -> LocalAgents:
        """Return the sandboxes of the commands that are set."""
        return cls(
            commands=settings.agent_commands,
            heartbeat_seconds=settings.agent_heartbeat_seconds,
            search_path=settings.search_path,
        )

    def start(self, access: AwsAccess, order: Order, *, again: bool) -> str:
        """Start the command, unless this order was started before; it reports over HTTP, as one elsewhere would."""
        del access, again
        command = self._command(order.cli_id)
        with _lock:
            if order.id not in _agents:
                _agents[order.id] = _Agent(
                    order, command, search_path=self._search_path, heartbeat_seconds=self._heartbeat_seconds
                )
        return f"local/{order.id}"

    def stop(self, access: AwsAccess, handle: str, *, reason: str) -> None:
        """End the process and all that it started, within moments; one that has ended, or is unknown, is left alone."""
        del access, reason
        with _lock:
            agent = _agents.get(handle.removeprefix("local/"))
        if agent is not None:
            agent.stop()

    def _command(self, cli_id: str) -> list[str]:
        variable = f"STEPWELL_AGENT_{cli_id.upper()}"
        try:
            command = shlex.split(self._commands.get(cli_id, ""))
        except ValueError as error:
            message = f"{variable} is no command line: {error}"
            raise CallFailed("agents_not_configured", message, retryable=False) from error
        if not command:
            message = f"{variable} is not set: it is the command that runs as {cli_id} on the local stack"
            raise CallFailed("agents_not_configured", message, retryable=False)
        return command


def close_all() -> None:
    """End every agent that this process has started, and wait until they have ended (the local stack's end)."""
    with _lock:
        agents = [agent for agent in _agents.values() if agent is not None]
    for agent in agents:
        agent.stop()
    for agent in agents:
        agent.join(CLOSING_SECONDS)


class _Agent:
    """A process at work, watched by one thread; another says meanwhile that it is alive."""

    def __init__(self, order: Order, command: list[str], *, search_path: str, heartbeat_seconds: float) -> None:
        self._order_id = order.id
        self._heartbeat_seconds = heartbeat_seconds
        self._callbacks = AgentCallbacks(order.callback_url, order.token)
        self._over = threading.Event()
        self._directory = Path(tempfile.mkdtemp(prefix="stepwell-agent-"))
        try:
            self._process = self._begun(order, command, search_path)
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise CallFailed("agent_start_failed", f"no process: {error.strerror}", retryable=True) from error
        self._watching = threading.Thread(target=self._watch, name=f"agent {order.id}", daemon=True)
        self._watching.start()

    def stop(self) -> None:
        self._process.stop()

    def join(self, seconds: float) -> None:
        self._watching.join(seconds)

    def _begun(self, order: Order, command: list[str], search_path: str) -> AgentProcess:
        work, file = order.work.encode(), self._directory / "work.json"
        file.write_bytes(work)
        environment = {
            "PATH": search_path,
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "LANG": "C.UTF-8",
            "STEPWELL_WORK_FILE": str(file),
            "STEPWELL_CLI": order.cli_id,
            "STEPWELL_TIMEOUT_SECONDS": f"{order.timeout.total_seconds():g}",
        }
        return AgentProcess(
            command,
            given=work,
            directory=self._directory,
            environment=environment,
            memory_mb=order.memory_mb,
            seconds=order.timeout.total_seconds(),
        )

    def _watch(self) -> None:
        beating = threading.Thread(target=self._beat, name=f"heartbeat {self._order_id}", daemon=True)
        beating.start()
        ending = self._process.run()
        self._over.set()
        shutil.rmtree(self._directory, ignore_errors=True)
        beating.join()
        if not ending.stopped:
            self._tell(ending)
        self._callbacks.close()
        with _lock:
            _agents[self._order_id] = None

    def _tell(self, ending: Ending) -> None:
        failure, report = ending.failure, report_in(ending.printed)
        if failure is None and report is not None:
            refusal = self._callbacks.report(report)
            if refusal is None:
                return
            failure = Failure("agent_report_refused", refusal)
        failure = failure or Failure("agent_no_report", "the agent printed no JSON object")
        self._callbacks.fail(failure.code, failure.message, ending.tail)

    def _beat(self) -> None:
        while not self._over.wait(self._heartbeat_seconds):
            if not self._callbacks.heartbeat(self._process.tail):
                self._process.stop()
                return
