"""Builders for tests of agents: steps that have one work, runs that wait for it, and what it says meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.domain.agent_report import AgentReport, Verdict
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.pipeline import compile_pipeline
from chalicelib.domain.ticket import Ticket
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Connection
from chalicelib.gateways.agents import FakeAgents, Order
from chalicelib.services import agents
from chalicelib.store import connections, tickets
from tests.conftest import Table
from tests.domain.building import T0, a_step
from tests.services.house import House, a_house, a_line
from tests.services.waiting import ticket_of, waiting

URL = "https://stepwell.example"


def a_house_with_agents(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    """Return a house whose agents can call back."""
    monkeypatch.setenv("STEPWELL_PUBLIC_URL", URL)
    settings.reset()
    connections.put(Connection(id="conn_default", project_id="p", name="own", region="eu-west-1", created_at=T0))
    return a_house(table, monkeypatch)


def an_agent(ref: str = "agent", *, retries: int = 0, **config: Json) -> StepSpec:
    """Return a step that has Claude work."""
    own: Mapping[str, Json] = {"cliId": "claude", "prompt": "Draw a poster", **config}
    return a_step(ref, StepType.AGENT, config=own, retries=retries)


def a_pipeline(*steps: Mapping[str, Json], **fields: Json) -> Definition:
    """Return the definition of a pipeline whose steps are given as the workflows API takes them."""
    return compile_pipeline({"pipelineSteps": list(steps), "defaultConfig": {"cliId": "claude"}, **fields})


def a_loop(iterations: int = 3) -> Definition:
    """Return a pipeline of a planner, and a designer and a checker who go round."""
    loop: Mapping[str, Json] = {"loopId": "polish", "loopMaxIterations": iterations}
    return a_pipeline({"type": "planner"}, {"type": "designer", **loop}, {"type": "checker", **loop})


def fakes(house: House) -> FakeAgents:
    """Return the house's sandboxes."""
    found = house.outside.agents
    assert isinstance(found, FakeAgents)
    return found


def order_of(house: House, run_id: str, key: str = "agent") -> Order:
    """Return what the sandbox of a step's last wait was asked for."""
    return fakes(house).orders[f"fake/{ticket_of(house, run_id, key).id}"]


def at_work(house: House, *, payload: Json = None, **config: Any) -> tuple[str, Ticket]:
    """Start a run of one agent, and return it with the agent's ticket."""
    run_id = waiting(house, a_line(an_agent(**config)), payload=payload)
    return run_id, ticket_of(house, run_id, "agent")


def a_report(output: Json = "done", **parts: Any) -> AgentReport:
    """Return what an agent says that has done its work."""
    return AgentReport(output=output, **parts)


def said(house: House, run_id: str, key: str, output: Json, verdict: str | None = None, feedback: str = "") -> None:
    """Have a step's agent report, and let the run go on."""
    found = Verdict(verdict) if verdict is not None else None
    reported(house, ticket_of(house, run_id, key), a_report(output, verdict=found, feedback=feedback or None))
    house.drain()


def reported(house: House, ticket: Ticket, report: AgentReport | None = None) -> None:
    """Have an agent report."""
    agents.report(now_of(ticket), report or a_report(), now=house.clock.now(), outside=house.outside)


def failed(house: House, ticket: Ticket, message: str = "no paper", **parts: Any) -> None:
    """Have an agent report that it came to nothing."""
    own = {"code": "agent_failed", "tail": None, **parts}
    agents.fail(now_of(ticket), message=message, now=house.clock.now(), outside=house.outside, **own)


def beat(house: House, ticket: Ticket, tail: str | None = None) -> None:
    """Have an agent be heard of."""
    agents.heartbeat(now_of(ticket), tail=tail, now=house.clock.now())


def now_of(ticket: Ticket) -> Ticket:
    """Return a ticket as it is now."""
    found = tickets.load(ticket.id)
    assert found is not None
    return found


def a_house_that_cannot_stop(house: House, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Have every request to end a sandbox fail."""

    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fakes(house), "stop", stop)


def without(house: House, **parts: Any) -> House:
    """Have the house's outside be another in some part."""
    house.outside = replace(house.outside, **parts)
    return house
