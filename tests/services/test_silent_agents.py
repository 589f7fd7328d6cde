"""Agents that nobody hears of, or waits for, any more: given up, their sandboxes ended, and told so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.refusal import Conflict
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus
from chalicelib.domain.ticket import TicketStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import inspections, repairs, retries
from chalicelib.services.repairs import Asked
from chalicelib.store import tickets
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.agent_runs import (
    a_house_that_cannot_stop,
    a_house_with_agents,
    an_agent,
    at_work,
    beat,
    fakes,
    now_of,
    reported,
)
from tests.services.house import House, a_line
from tests.services.waiting import ASK, calls, status_of, terminate, ticket_of, waiting


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def pass_time(house: House, **parts: float) -> None:
    """Let time pass, and Step Functions and the sweep do what they do then."""
    house.clock.at += timedelta(**parts)
    house.parking.time_out()
    house.sweep()
    house.drain()


def error_of(house: House, run_id: str) -> tuple[str, str]:
    error = house.records(run_id)["agent"].error
    assert error is not None
    return error.code, error.message


def test_an_agent_that_is_never_heard_of_is_lost_after_five_minutes(house: House) -> None:
    run_id, ticket = at_work(house)
    pass_time(house, minutes=4, seconds=59)
    assert status_of(house, run_id, "agent") is StepStatus.RUNNING
    pass_time(house, seconds=1)
    assert house.run(run_id).status is RunStatus.FAILED
    assert error_of(house, run_id) == ("agent_lost", "the agent was never heard of")
    assert now_of(ticket).status is TicketStatus.TIMED_OUT
    assert fakes(house).stopped == {f"fake/{ticket.id}": "agent_lost: the agent was never heard of"}


def test_an_agent_that_is_heard_of_goes_on_until_it_falls_silent(house: House) -> None:
    run_id, ticket = at_work(house)
    for _ in range(12):
        house.clock.at += timedelta(seconds=50)
        beat(house, ticket, "page 2 of 9\n")
        pass_time(house, seconds=10)
    assert status_of(house, run_id, "agent") is StepStatus.RUNNING
    assert house.parking.started < 10
    pass_time(house, seconds=110)
    code, message = error_of(house, run_id)
    assert code == "agent_lost"
    assert message == "the agent was not heard of since 2026-01-01T00:11:50+00:00; it last printed: page 2 of 9"
    assert list(fakes(house).stopped) == [f"fake/{ticket.id}"]
    with pytest.raises(Conflict, match="its time is over"):
        beat(house, ticket)


def test_an_agent_whose_time_is_over_is_stopped_and_its_error_tells_what_it_last_printed(house: House) -> None:
    run_id, ticket = at_work(house, timeoutMs=180_000)
    beat(house, ticket, "nearly there")
    pass_time(house, minutes=3)
    assert error_of(house, run_id) == ("timeout", "agent timed out; it last printed: nearly there")
    assert now_of(ticket).status is TicketStatus.TIMED_OUT
    assert list(fakes(house).stopped.values()) == ["timeout: agent timed out; it last printed: nearly there"]
    with pytest.raises(Conflict, match="its time is over"):
        reported(house, ticket)


def test_an_agent_that_reports_once_it_is_seen_as_lost_is_heard(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, ticket = at_work(house)
    load_many = tickets.load_many

    def then_it_reports(ids: object) -> object:
        monkeypatch.setattr(tickets, "load_many", load_many)
        found = load_many(ids)  # type: ignore[arg-type]
        reported(house, ticket)
        return found

    monkeypatch.setattr(tickets, "load_many", then_it_reports)
    pass_time(house, minutes=5)
    assert house.run(run_id).status is RunStatus.COMPLETED
    assert fakes(house).stopped == {}


def test_an_agent_that_is_heard_of_once_it_is_seen_as_lost_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, ticket = at_work(house)
    load_many = tickets.load_many

    def then_it_is_heard(ids: object) -> object:
        monkeypatch.setattr(tickets, "load_many", load_many)
        found = load_many(ids)  # type: ignore[arg-type]
        beat(house, ticket)
        return found

    monkeypatch.setattr(tickets, "load_many", then_it_is_heard)
    pass_time(house, minutes=5)
    assert status_of(house, run_id, "agent") is StepStatus.RUNNING
    reported(house, ticket)
    assert house.settle(run_id).status is RunStatus.COMPLETED


def test_whoever_looks_at_a_run_sees_an_agent_that_is_heard_of_at_work_and_closes_no_ticket(house: House) -> None:
    run_id, ticket = at_work(house)

    def seen() -> StepStatus:
        inspection = inspections.load("p", run_id, outside=house.outside)
        inspections.carried_on(inspection, house.clock.now())
        return inspection.step("agent").status

    house.clock.at += timedelta(minutes=4)
    with calls() as made:
        assert seen() is StepStatus.RUNNING
    assert made == ["Query"]
    beat(house, ticket)
    house.clock.at += timedelta(minutes=1, seconds=59)
    assert seen() is StepStatus.RUNNING
    house.clock.at += timedelta(seconds=1)
    assert seen() is StepStatus.FAILED
    assert now_of(ticket).status is TicketStatus.OPEN


@pytest.mark.store
def test_a_canceled_run_ends_its_agents_sandboxes_once(house: House) -> None:
    run_id = waiting(house, a_definition([an_agent("a"), an_agent("b"), an_agent("c")]))
    reported(house, ticket_of(house, run_id, "a"))
    house.drain()
    terminate(house, run_id)
    left = {f"fake/{ticket_of(house, run_id, key).id}": "the run is canceled" for key in "bc"}
    assert fakes(house).stopped == left
    assert {ticket_of(house, run_id, key).status for key in "bc"} == {TicketStatus.CANCELED}
    fakes(house).stopped.clear()
    terminate(house, run_id)
    assert fakes(house).stopped == {}


def test_a_sandbox_that_cannot_be_ended_is_tried_again_when_its_run_is_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, ticket = at_work(house)
    with monkeypatch.context() as patch:
        a_house_that_cannot_stop(house, patch, CallFailed("throttled", "ECS: Throttling", retryable=True))
        terminate(house, run_id)
    assert "a sandbox is not ended" in caplog.text
    assert house.run(run_id).status is RunStatus.CANCELED
    house.invoker.drive(run_id)
    house.drain()
    assert list(fakes(house).stopped) == [f"fake/{ticket.id}"]
    assert now_of(ticket).stopped_at == house.clock.now()


@pytest.mark.store
def test_a_step_that_begins_anew_has_another_sandbox_and_the_old_one_is_not_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "settings_of", lambda *_: WorkflowSettings())
    run_id = waiting(house, a_line(a_step("first"), an_agent()))
    ticket, first = ticket_of(house, run_id, "agent"), asked(house, run_id, "first")
    with pytest.raises(Conflict, match="agent, which comes after it, is running"):
        repairs.replay(first)
    terminate(house, run_id)
    repairs.replay(first)
    house.drain()
    again = ticket_of(house, run_id, "agent")
    assert (again.id != ticket.id, list(fakes(house).stopped)) == (True, [f"fake/{ticket.id}"])
    with pytest.raises(Conflict, match="nobody waits for it any more"):
        reported(house, ticket)
    reported(house, again)
    assert house.settle(run_id).status is RunStatus.COMPLETED
    assert list(fakes(house).stopped) == [f"fake/{ticket.id}"]


def test_a_step_that_is_skipped_ends_the_sandbox_that_its_last_attempt_could_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, ticket = at_work(house, retries=3)
    with monkeypatch.context() as patch:
        a_house_that_cannot_stop(house, patch, CallFailed("throttled", "ECS: Throttling", retryable=True))
        house.clock.at += timedelta(minutes=5)
        house.parking.time_out()
        house.invoke(house.invoker.queue.popleft())
    assert status_of(house, run_id, "agent") is StepStatus.PENDING
    repairs.skip(asked(house, run_id, "agent"))
    assert list(fakes(house).stopped) == [f"fake/{ticket.id}"]
    assert house.settle(run_id).status is RunStatus.COMPLETED


def asked(house: House, run_id: str, key: str) -> Asked:
    """Return a request about a step."""
    return Asked(project_id="p", run_id=run_id, key=key, ask=ASK, clock=house.clock, outside=house.outside)


def test_the_agent_of_an_attempt_that_no_record_tells_of_is_told_that_its_run_is_over(house: House) -> None:
    run_id, ticket = at_work(house)
    # As a driver leaves it that dies between the start of the sandbox and its record.
    house.client.delete_item(TableName=house.table, Key={"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "STEP#agent"}})
    terminate(house, run_id)
    assert now_of(ticket).status is TicketStatus.OPEN
    with pytest.raises(Conflict, match="nobody waits for it any more"):
        beat(house, ticket)
    assert now_of(ticket).status is TicketStatus.CANCELED
