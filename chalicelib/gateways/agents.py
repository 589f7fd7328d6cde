"""Sandboxes that command-line agents run in: what one is asked for, and the fake that runs none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from chalicelib.gateways.clients import AwsAccess


@dataclass(frozen=True, kw_only=True)
class Order:
    """One piece of work for one agent."""

    #: The ticket's id: however often it is asked for, there is one sandbox for it.
    id: str
    project_id: str
    #: The command-line agent: ``claude``, ``codex``, ``opencode``, ``pi``.
    cli_id: str
    #: The work document, as JSON text; see ``services.agent_work``.
    work: str
    #: Names the kind of sandbox; on ECS the family of a task definition, behind a prefix.
    template_id: str
    #: 1,024 are one vCPU.
    cpu_units: int
    memory_mb: int
    #: When the sandbox ends itself, if nobody has ended it before.
    timeout: timedelta
    #: Where it reports to: ``<url>/report``, ``<url>/heartbeat``, ``<url>/fail``.
    callback_url: str
    #: What it shows there, once; kept out of ``repr``.
    token: str = field(repr=False)


class Agents(Protocol):
    """Starts and ends sandboxes; what goes wrong is a ``CallFailed``."""

    def start(self, access: AwsAccess, order: Order, *, again: bool) -> str:
        """Start a sandbox and return what it is found by; ``again`` if it may have been started before."""

    def stop(self, access: AwsAccess, handle: str, *, reason: str) -> None:
        """End a sandbox; one that has ended, or is unknown by now, is left alone."""


class FakeAgents:
    """Sandboxes that do nothing: a test reports in their place."""

    def __init__(self) -> None:
        #: What was asked for, by handle.
        self.orders: dict[str, Order] = {}
        #: Why each was ended, by handle.
        self.stopped: dict[str, str] = {}

    def start(self, access: AwsAccess, order: Order, *, again: bool) -> str:
        """Remember the order; asked again, it is the same sandbox."""
        del access, again
        self.orders[f"fake/{order.id}"] = order
        return f"fake/{order.id}"

    def stop(self, access: AwsAccess, handle: str, *, reason: str) -> None:
        """Remember why."""
        del access
        self.stopped.setdefault(handle, reason)
