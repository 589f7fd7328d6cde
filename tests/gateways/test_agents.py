"""What every way to run agents has in common, on ECS as moto plays it and on the fake."""

from __future__ import annotations

import pytest

from chalicelib.gateways.agents import Agents, FakeAgents
from chalicelib.gateways.clients import OWN_ACCESS
from tests.gateways.agents_ecs_cluster import EcsCluster, an_order, ecs_agents


@pytest.fixture(params=["ecs", "fake"])
def agents(request: pytest.FixtureRequest, ecs_cluster: EcsCluster) -> Agents:
    return FakeAgents() if request.param == "fake" else ecs_agents()


def test_an_agent_is_started_and_found_by_its_handle(agents: Agents) -> None:
    assert agents.start(OWN_ACCESS, an_order("one"), again=False)


def test_two_orders_are_two_agents(agents: Agents) -> None:
    handles = {agents.start(OWN_ACCESS, an_order(name), again=False) for name in ("one", "two")}
    assert len(handles) == 2


def test_an_agent_that_was_asked_for_before_is_the_same(agents: Agents) -> None:
    first = agents.start(OWN_ACCESS, an_order("one"), again=False)
    assert agents.start(OWN_ACCESS, an_order("one"), again=True) == first


def test_an_agent_that_was_never_started_is_started_when_it_is_asked_for_again(agents: Agents) -> None:
    assert agents.start(OWN_ACCESS, an_order("one"), again=True)


def test_an_agent_can_be_stopped_twice(agents: Agents) -> None:
    handle = agents.start(OWN_ACCESS, an_order("one"), again=False)
    agents.stop(OWN_ACCESS, handle, reason="canceled")
    agents.stop(OWN_ACCESS, handle, reason="canceled again")


def test_a_token_is_not_in_what_is_printed_of_an_order() -> None:
    assert "hush" not in repr(an_order("one", token="hush"))
