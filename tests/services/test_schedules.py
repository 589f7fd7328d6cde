"""Schedules, fired by the sweep: each time starts one run, however often it is looked at."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain import schedule
from chalicelib.domain.access import Actor
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Workflow, WorkflowSettings
from chalicelib.services import identifiers, publishing, schedules, verbs, workflows
from chalicelib.services.publishing import Changes, Draft
from chalicelib.services.verbs import Ask
from chalicelib.store import runs
from tests.conftest import Table
from tests.services.faults import Fault, writes
from tests.services.house import Crash, House, a_house

pytestmark = pytest.mark.store

ADA = Actor(key_id="k1", name="ada")
HOURLY = WorkflowSettings(cron="0 * * * *")
STEPS: list[Json] = [{"step_ref": "only", "step_type": "transform", "payload": 1}]


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    house.clock.at = at(9, 30)
    return house


def at(hour: int, minute: int = 0, *, day: int = 5) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def a_scheduled(house: House, settings: WorkflowSettings = HOURLY) -> Workflow:
    """A workflow that starts by itself."""
    workflow_id = identifiers.workflow_id()
    draft = Draft(name="w", slug=workflow_id.lower(), description="", steps=STEPS, settings=settings)
    return publishing.create("p", workflow_id, draft=draft, actor=ADA, now=house.clock.now()).workflow


def change(house: House, workflow: Workflow, **settings: Any) -> None:
    changes = Changes(settings=lambda before: replace(before, **settings))
    publishing.change("p", workflow.id, changes=changes, actor=ADA, now=house.clock.now())


def fire(house: House, now: datetime) -> int:
    house.clock.at = now
    return schedules.fire(now=now, outside=house.outside)


def started(workflow: Workflow) -> list[Run]:
    """A workflow's runs, the oldest first."""
    return list(reversed(runs.page_of_workflow(workflow.id, status=None, cursor=None, limit=50).items))


def due_at(workflow: Workflow) -> datetime | None:
    return workflows.load("p", workflow.id).due_at


def test_a_schedule_starts_a_run_when_it_is_due_and_not_before(house: House) -> None:
    workflow = a_scheduled(house)
    assert (fire(house, at(9, 59)), started(workflow)) == (0, [])
    assert fire(house, at(10, 0)) == 1
    (run,) = started(workflow)
    assert (run.triggered_by, run.created_by, run.created_by_key_id) == ("schedule", "schedule", None)
    assert (run.payload, run.status, run.version) == (None, RunStatus.PENDING, 1)
    assert [invocation.event for invocation in house.invoker.queue] == [{"run_id": run.id}]
    assert due_at(workflow) == at(11)


def test_each_time_starts_one_run_however_often_it_is_looked_at(house: House) -> None:
    workflow = a_scheduled(house)
    assert [fire(house, at(10, minute)) for minute in (0, 1, 2)] == [1, 0, 0]
    assert fire(house, at(11)) == 1
    assert len(started(workflow)) == 2


def test_what_was_missed_is_made_up_for_once(house: House) -> None:
    workflow = a_scheduled(house)
    assert fire(house, at(15, 20, day=8)) == 1
    assert due_at(workflow) == at(16, day=8)
    assert len(started(workflow)) == 1


def test_a_schedule_is_meant_in_its_own_time_zone(house: House) -> None:
    workflow = a_scheduled(house, WorkflowSettings(cron="0 12 * * *", cron_timezone="America/New_York"))
    assert due_at(workflow) == at(17)
    assert [fire(house, at(16, 59)), fire(house, at(17))] == [0, 1]


def test_a_scheduled_run_has_its_workflows_settings(house: House) -> None:
    workflow = a_scheduled(house, replace(HOURLY, timeout=timedelta(minutes=5), tags={"team": "a"}))
    fire(house, at(10))
    (run,) = started(workflow)
    assert (run.expires_at, run.tags) == (at(10, 5), {"team": "a"})


@pytest.mark.parametrize(
    "settings", [replace(HOURLY, skip_if_running=True), replace(HOURLY, max_concurrent_runs=1)], ids=["skips", "full"]
)
def test_a_time_is_left_out_while_another_run_stands_in_its_way(house: House, settings: WorkflowSettings) -> None:
    workflow = a_scheduled(house, settings)
    assert [fire(house, at(10)), fire(house, at(11))] == [1, 0]
    assert due_at(workflow) == at(12)
    ask = Ask(actor=ADA, request_id="r1")
    (run,) = started(workflow)
    verbs.terminate("p", run.id, ask=ask, now=at(11, 5), outside=house.outside, clock=house.clock)
    assert fire(house, at(12)) == 1


def test_runs_overlap_where_nothing_is_said_against_it(house: House) -> None:
    workflow = a_scheduled(house)
    assert [fire(house, at(10)), fire(house, at(11))] == [1, 1]
    assert len(started(workflow)) == 2


def test_a_schedule_that_is_switched_off_or_taken_away_is_not_due(house: House) -> None:
    off, without = a_scheduled(house), a_scheduled(house)
    change(house, off, enabled=False)
    change(house, without, cron=None)
    assert (due_at(off), due_at(without)) == (None, None)
    assert fire(house, at(10)) == 0
    change(house, off, enabled=True)
    assert due_at(off) == at(11)


def test_a_deleted_workflow_starts_nothing(house: House) -> None:
    workflow = a_scheduled(house)
    workflows.delete("p", workflow.id, now=house.clock.now())
    assert fire(house, at(10)) == 0


def test_the_trouble_of_one_workflow_does_not_stop_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = a_scheduled(house), a_scheduled(house)
    calendar = schedule.next_due

    def broken_once(cron: str, timezone: str, after: datetime) -> datetime:
        monkeypatch.setattr(schedule, "next_due", calendar)
        raise ValueError("no such day")

    monkeypatch.setattr(schedule, "next_due", broken_once)
    fire(house, at(10))
    assert [len(started(one)) for one in (first, second)] == [1, 1]
    # The one in trouble is looked at again, and is found to have started its run.
    assert fire(house, at(10, 1)) == 0
    assert [(len(started(one)), due_at(one)) for one in (first, second)] == [(1, at(11))] * 2


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("write", [1, 2])
def test_a_time_is_one_run_whatever_write_goes_wrong(house: House, write: int, fault: Fault) -> None:
    workflow = a_scheduled(house)
    with suppress(Crash), writes(at=write, fault=fault) as watched:
        fire(house, at(10))
    assert watched.failed
    fire(house, at(10, 1))
    assert (len(started(workflow)), due_at(workflow)) == (1, at(11))
