from __future__ import annotations

import pytest

from chalicelib.domain.definition import StepType
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.step import StepStatus
from chalicelib.services import timelines
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_house

pytestmark = pytest.mark.store


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def a_waiting_run(house: House) -> str:
    wait = a_step("w", StepType.WAIT_FOR_EVENT, config={"eventType": "go", "timeout": "1 hour"})
    first = a_step("a", config={"value": 1})
    run_id = house.start(a_definition([first, wait, a_step("after")], ("a", "w"), ("w", "after")))
    house.drain()
    return run_id


def test_the_timeline_of_a_run_that_waits_is_told_from_its_records(house: House) -> None:
    run_id = a_waiting_run(house)

    entries = timelines.load("p", run_id, outside=house.outside)

    assert {entry.key: entry.status for entry in entries} == {
        "a": StepStatus.COMPLETED,
        "w": StepStatus.WAITING,
        "after": StepStatus.PENDING,
    }


@pytest.mark.parametrize(
    ("project_id", "workflow_id", "unknown"), [("other", None, None), ("p", "other", None), ("p", None, "nope")]
)
def test_a_run_that_is_unknown_or_anothers_has_no_timeline(
    house: House, project_id: str, workflow_id: str | None, unknown: str | None
) -> None:
    run_id = unknown or a_waiting_run(house)

    with pytest.raises(NotFound, match="Run not found"):
        timelines.load(project_id, run_id, workflow_id=workflow_id, outside=house.outside)
