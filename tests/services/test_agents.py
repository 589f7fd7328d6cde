"""Agents: started, heard of, reporting, given up; and what of it a run's record tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from chalicelib import settings
from chalicelib.domain.refusal import Conflict, Invalid, TooLarge
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.usage import ModelUsage
from chalicelib.domain.value import Json
from chalicelib.gateways.agents import Order
from chalicelib.gateways.clients import AwsAccess
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import agent_tokens, agent_work, agents
from chalicelib.services import tickets as judged
from chalicelib.store import tickets
from chalicelib.store.errors import StoreError
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.agent_runs import (
    URL,
    a_house_with_agents,
    a_pipeline,
    a_report,
    an_agent,
    at_work,
    beat,
    failed,
    fakes,
    now_of,
    order_of,
    reported,
    said,
)
from tests.services.faults import Fault, writes
from tests.services.house import Crash, House, a_line
from tests.services.waiting import status_of, terminate, ticket_of, waiting


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def insisting(ask: Callable[[], None]) -> None:
    """Ask again, as an agent does that got no answer."""
    for _ in range(5):
        try:
            return ask()
        except (Crash, StoreError):
            continue
    raise AssertionError("no answer, however often it is asked")


def error_of(house: House, run_id: str, key: str = "agent") -> tuple[str, str]:
    error = house.records(run_id)[key].error
    assert error is not None
    return error.code, error.message


def test_an_agents_step_runs_and_its_run_only_waits(house: House) -> None:
    run_id, ticket = at_work(house, model="opus", timeoutMs=600_000, memoryMb=3000, cpuCount=0.5, templateId="big")
    assert status_of(house, run_id, "agent") is StepStatus.RUNNING
    assert house.run(run_id).waiting_for == (WaitKind.AGENT,)
    assert (ticket.kind, ticket.name, ticket.status) == (TicketKind.AGENT, "custom", TicketStatus.OPEN)
    order = order_of(house, run_id)
    assert (order.cli_id, order.template_id, order.cpu_units, order.memory_mb) == ("claude", "big", 512, 3072)
    assert (order.timeout, order.callback_url) == (timedelta(minutes=10), f"{URL}/api/v1/agents/{ticket.id}")
    assert agent_tokens.is_token_of(ticket.id, order.token)
    assert order.token not in repr((order, ticket, house.run(run_id), house.records(run_id)))


def test_what_an_agent_reports_is_its_steps_output_and_its_usage_the_runs(house: House) -> None:
    steps = [
        an_agent("a", model="opus"),
        an_agent("b"),
        an_agent("c"),
        a_step("end", config={"value": "{{ c.output }}"}),
    ]
    run_id = waiting(house, a_definition(steps, ("a", "end"), ("b", "end"), ("c", "end")))
    used = {"input_tokens": 5, "output_tokens": 7, "cost_nano_usd": 1_500_000_001}
    reported(house, ticket_of(house, run_id, "a"), a_report(1, branch_name="x", pr_url="https://x.example/1", **used))
    reported(house, ticket_of(house, run_id, "b"), a_report(2, **used))
    reported(house, ticket_of(house, run_id, "c"), a_report({"n": 3}, branch_name="y", **used))
    run = house.settle(run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, {"n": 3})
    by_model = ModelUsage(tool="claude", model="opus", **used)
    assert run.usage == (
        by_model,
        ModelUsage(tool="claude", model="", input_tokens=10, output_tokens=14, cost_nano_usd=3_000_000_002),
    )
    assert (run.branch_name, run.pr_url) == ("y", "https://x.example/1")
    assert house.records(run_id)["c"].output == {
        "output": {"n": 3},
        "branchName": "y",
        "usage": {"inputTokens": 5, "outputTokens": 7, "costUsd": 1.500000001},
    }
    assert now_of(ticket_of(house, run_id, "a")).status is TicketStatus.DONE
    assert fakes(house).stopped == {}


@pytest.mark.store
def test_of_two_that_report_at_once_neithers_usage_is_lost(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = waiting(house, a_definition([an_agent("a"), an_agent("b")]))
    [a, b] = [ticket_of(house, run_id, key) for key in "ab"]
    looked_at, first = judged.looked_at, [True]

    def after_the_other(found: Sequence[Ticket], *, now: datetime) -> list[judged.Sight]:
        seen = looked_at(found, now=now)
        if first and first.pop():
            reported(house, b, a_report(input_tokens=2))
        return seen

    monkeypatch.setattr(judged, "looked_at", after_the_other)
    reported(house, a, a_report(input_tokens=1))
    run = house.settle(run_id)
    assert (run.status, run.usage) == (RunStatus.COMPLETED, (ModelUsage(tool="claude", model="", input_tokens=3),))


def test_the_same_report_again_changes_nothing_and_another_is_a_conflict(house: House) -> None:
    run_id, ticket = at_work(house)
    reported(house, ticket)
    run = house.settle(run_id)
    reported(house, ticket)
    assert house.run(run_id) == run
    others = (partial(reported, house, ticket, a_report("else")), partial(failed, house, ticket))
    for other in (*others, partial(beat, house, ticket)):
        with pytest.raises(Conflict, match="work is over: it has reported"):
            other()
    assert house.run(run_id) == run


def test_an_agent_that_comes_to_nothing_fails_its_step_in_its_own_words(house: House) -> None:
    run_id, ticket = at_work(house)
    beat(house, ticket, "x" * 5000 + "the last line\n")
    failed(house, ticket, code="exit_1", message="it ended with 1")
    failed(house, ticket, code="exit_1", message="it ended with 1")
    assert house.settle(run_id).status is RunStatus.FAILED
    code, message = error_of(house, run_id)
    assert (code, message.partition("x")[0]) == ("exit_1", "it ended with 1; it last printed: ")
    assert message.endswith("xthe last line")
    assert len(message) < 2100
    assert len(now_of(ticket).note or "") == agents.LONGEST_TAIL
    assert fakes(house).stopped == {}


def test_a_failed_agent_is_begun_again_by_its_steps_policy_in_another_sandbox(house: House) -> None:
    run_id, ticket = at_work(house, retries=1)
    failed(house, ticket)
    house.settle(run_id, until=lambda _: len(fakes(house).orders) == 2)
    again = ticket_of(house, run_id, "agent")
    assert json.loads(order_of(house, run_id).work)["attempt"] == 2
    with pytest.raises(Conflict, match="it has reported that it failed"):
        reported(house, ticket)
    reported(house, again)
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_a_checker_must_say_whether_it_passes(house: House) -> None:
    run_id, ticket = at_work(house, role="checker")
    with pytest.raises(Invalid, match="verdict is required"):
        reported(house, ticket)
    said(house, run_id, "agent", "fine", "fail", "bolder")
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_a_report_over_a_megabyte_is_refused(house: House) -> None:
    _, ticket = at_work(house)
    with pytest.raises(TooLarge, match="the limit is 1048576"):
        reported(house, ticket, a_report("x" * 1024 * 1024))


def test_a_report_after_its_run_has_ended_is_refused_and_tells_the_agent_so(house: House) -> None:
    run_id, ticket = at_work(house)
    terminate(house, run_id)
    run = house.run(run_id)
    for late in (partial(reported, house, ticket), partial(failed, house, ticket), partial(beat, house, ticket)):
        with pytest.raises(Conflict, match="nobody waits for it any more"):
            late()
    assert house.run(run_id) == run


@pytest.mark.store
def test_a_report_that_is_quicker_than_its_steps_record_is_not_lost(house: House) -> None:
    run_id = house.start(a_line(an_agent()), invoked=False)
    house.lambda_retries = False
    at = 1
    while not fakes(house).orders:
        with writes(at=at, fault=Fault.DIES_BEFORE):
            house.invoker.drive(run_id)
            house.drain()
        at += 1
        house.clock.at += timedelta(hours=1)
    [order] = fakes(house).orders.values()
    ticket = tickets.load(order.id)
    assert ticket is not None
    reported(house, ticket)
    assert house.settle(run_id).output == a_report().as_json()
    assert len(fakes(house).orders) == 1


@pytest.mark.store
@pytest.mark.parametrize("fault", [Fault.DIES_BEFORE, Fault.UNHEARD_AFTER])
def test_whatever_write_fails_there_is_one_sandbox_and_one_usage(house: House, fault: Fault) -> None:
    for at in range(1, 30):
        before = len(fakes(house).orders)
        run_id = house.start(a_line(an_agent()))
        with writes(at=at, fault=fault) as watched:
            house.settle(run_id, until=lambda run: run.status.ended or WaitKind.AGENT in run.waiting_for)
            ticket = ticket_of(house, run_id, "agent")
            insisting(partial(reported, house, ticket, a_report(7, input_tokens=3)))
            run = house.settle(run_id)
        assert (run.status, [one.input_tokens for one in run.usage]) == (RunStatus.COMPLETED, [3])
        assert len(fakes(house).orders) == before + 1
        if not watched.failed:
            break
    assert at > 6


def test_a_sandbox_that_does_not_start_leaves_no_ticket_open(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    start = fakes(house).start
    orders: list[Order] = []

    def full(access: AwsAccess, order: Order, *, again: bool) -> str:
        orders.append(order)
        if len(orders) == 1:
            raise CallFailed("agent_start_failed", "ECS started no task: RESOURCE:CPU", retryable=True)
        return start(access, order, again=again)

    monkeypatch.setattr(fakes(house), "start", full)
    run_id = waiting(house, a_line(an_agent(retries=1)))
    house.settle(run_id, until=lambda _: len(orders) == 2)
    first = tickets.load(orders[0].id)
    assert first is not None
    assert (first.status, first.id == orders[1].id) == (TicketStatus.CANCELED, False)
    reported(house, ticket_of(house, run_id, "agent"))
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_without_an_address_to_report_to_no_agent_starts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_PUBLIC_URL")
    settings.reset()
    run_id = waiting(house, a_line(an_agent()))
    assert house.settle(run_id).status is RunStatus.FAILED
    assert error_of(house, run_id) == (
        "agents_not_configured",
        "STEPWELL_PUBLIC_URL is not set, so no agent could report",
    )
    assert fakes(house).orders == {}


#: What a step's fields come to, and how it fails with them.
CANNOT_BE: tuple[tuple[dict[str, Json], str, str], ...] = (
    ({"prompt": "{{ payload.none }}"}, "invalid_field", "prompt must be text; it came out as null"),
    ({"repository": "{{ payload.repo }}"}, "invalid_field", "repository: a repository is an address"),
    ({"images": "{{ payload.repo }}"}, "invalid_field", "images: this must be a list"),
    ({"runConfig": {"cpuCount": 99}}, "invalid_field", "config.cpuCount: this must be a number from 0.25 to 16"),
    ({"runConfig": {"speed": 1}}, "invalid_field", 'config.speed: there is no field "speed"'),
    ({"runConfig": "fast"}, "invalid_field", "config: this must be an object"),
    ({"cliId": None}, "invalid_field", "cliId: nobody names one"),
    ({"personaId": "per_1"}, "persona_unavailable", "the persona per_1 is not there"),
)


def test_what_cannot_be_fails_the_step_by_name(house: House) -> None:
    payload: Json = {"repo": "http://x.example/r"}
    for config, code, message in CANNOT_BE:
        run_id = waiting(house, a_line(replace(an_agent(), config={**an_agent().config, **config})), payload=payload)
        assert house.run(run_id).status is RunStatus.FAILED
        found, said_of_it = error_of(house, run_id)
        assert (found, said_of_it[: len(message)]) == (code, message)
    assert fakes(house).orders == {}


def test_work_over_the_limit_fails_the_step(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_work, "LARGEST", 50_000)
    run_id = waiting(house, a_pipeline({"type": "designer"}, {"type": "designer"}), payload={"prompt": "p"})
    said(house, run_id, "designer_1", "x" * 50_000)
    assert house.settle(run_id).status is RunStatus.FAILED
    code, message = error_of(house, run_id, "designer_2")
    assert (code, "the limit is 50000" in message) == ("work_too_large", True)


def test_a_sandbox_on_aws_adds_its_time_to_what_the_run_has_used(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes(house), "start", lambda *_, **__: "arn:aws:ecs:eu-west-1:1:task/c/1")
    run_id, ticket = at_work(house, cpuCount=0.5, memoryMb=1024)
    house.clock.at += timedelta(seconds=100)
    reported(house, ticket)
    units = house.settle(run_id).units
    assert (units.fargate_cpu_ms, units.fargate_mb_seconds) == (50_000, 102_400)
