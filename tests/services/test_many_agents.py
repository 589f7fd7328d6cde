"""Agents of one run that say something at the same moment: nothing of it is lost, and nothing refused counts."""

from __future__ import annotations

from functools import partial

import pytest

from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import TryLater
from chalicelib.domain.related import Issue
from chalicelib.domain.run import RunStatus
from chalicelib.services import agents, related, tickets
from chalicelib.store.errors import Superseded
from tests.conftest import Table
from tests.domain.building import a_definition
from tests.services.agent_runs import a_house_with_agents, a_report, an_agent, at_work, reported
from tests.services.house import House
from tests.services.test_bulk_races import at_once
from tests.services.waiting import ticket_of, waiting

pytestmark = pytest.mark.store

MANY = 12


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def many() -> Definition:
    return a_definition([an_agent(f"a{place}") for place in range(MANY)])


def test_many_agents_that_report_at_once_are_all_taken(house: House) -> None:
    run_id = waiting(house, many())
    theirs = [ticket_of(house, run_id, f"a{place}") for place in range(MANY)]
    report = a_report(input_tokens=1, cost_nano_usd=10)
    assert at_once(*(partial(reported, house, ticket, report) for ticket in theirs)) == [None] * MANY
    run = house.settle(run_id)
    assert run.status is RunStatus.COMPLETED
    assert [(one.input_tokens, one.cost_nano_usd) for one in run.usage] == [(MANY, 10 * MANY)]


def test_an_agent_that_meets_others_too_often_is_told_to_try_again_and_nothing_of_it_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, ticket = at_work(house)
    report = a_report(issues=(Issue(title="seen", severity="low"),))

    def contended(*_: object, **__: object) -> None:
        raise Superseded("met another")

    with monkeypatch.context() as patched:
        patched.setattr(tickets, "hand_over", contended)
        patched.setattr(agents, "_PAUSE", 0.0)
        with pytest.raises(TryLater):
            reported(house, ticket, report)
    workflow_id = house.run(run_id).workflow_id
    assert related.counts(workflow_id).issues == 0
    reported(house, ticket, report)
    assert related.counts(workflow_id).issues == 1
