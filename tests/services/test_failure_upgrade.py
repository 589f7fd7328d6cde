"""A new release in the middle of runs: what other code has written is read, kept and gone on with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from chalicelib.domain.run import RunStatus
from chalicelib.services import verbs
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import House, a_call, a_house, a_line, a_wait
from tests.services.waiting import ADA

WORK = a_line(a_call("ask"), a_wait("wait"), a_call("act"), a_step("end", config={"value": "{{ wait }}"}))
#: What a run and its steps have had from the first release on; whatever else they have came later, or may be absent.
FROM_THE_FIRST: Final = {
    *("pk", "sk", "project_id", "workflow_id", "list_key", "version_id", "version", "connection_id", "status"),
    *("triggered_by", "created_by", "created_at", "updated_at", "wake_seq", "lease_seq", "sweep_shard"),
    *("next_check_at", "park_token", "attempt", "output", "wait", "revision", "write_id"),
}


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def waiting(house: House) -> str:
    run_id = house.start(WORK)
    house.drain()
    assert house.run(run_id).park_token is not None
    return run_id


def items(house: House) -> list[dict[str, Any]]:
    """Everything that the table holds."""
    return house.client.scan(TableName=house.table)["Items"]


def go_on(house: House, run_id: str) -> None:
    """Send what the run waits for, and see that it ends as if nothing had been."""
    verbs.deliver("p", run_id, event_type="go", payload=7, actor=ADA, now=house.clock.now(), outside=house.outside)
    house.drain()
    run = house.run(run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, 7)
    assert house.sent == {"ask": 1, "act": 1}


def test_what_newer_code_has_added_to_items_is_passed_over_and_kept_with_the_run(house: House) -> None:
    run_id = waiting(house)
    for item in items(house):
        house.client.put_item(TableName=house.table, Item={**item, "from_the_future": {"M": {"a": {"S": "b"}}}})
    go_on(house, run_id)
    [root] = [item for item in items(house) if item["sk"]["S"] == "#RUN"]
    assert root["from_the_future"] == {"M": {"a": {"S": "b"}}}


def test_a_run_that_an_older_release_has_parked_goes_on(house: House) -> None:
    run_id = waiting(house)
    dropped = set()
    for item in items(house):
        if item["pk"]["S"] == f"RUN#{run_id}":
            dropped |= item.keys() - FROM_THE_FIRST
            older = {name: value for name, value in item.items() if name in FROM_THE_FIRST}
            house.client.put_item(TableName=house.table, Item=older)
    assert "number" in dropped
    go_on(house, run_id)


def test_a_run_in_a_state_that_only_newer_code_knows_is_left_alone_and_holds_no_other_up(house: House) -> None:
    strange, known = waiting(house), house.start(a_line(a_call("ask")), invoked=False)
    house.client.update_item(
        TableName=house.table,
        Key={"pk": {"S": f"RUN#{strange}"}, "sk": {"S": "#RUN"}},
        UpdateExpression="SET #s = :s, next_check_at = :at",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":s": {"S": "hibernating"},
            ":at": {"N": str(int(house.clock.now().timestamp() * 1000))},
        },
    )
    before = [item for item in items(house) if item["pk"]["S"] == f"RUN#{strange}"]
    house.clock.at += timedelta(minutes=1)
    assert house.sweep().overdue == 2
    house.drain()
    assert house.run(known).status is RunStatus.COMPLETED
    assert [item for item in items(house) if item["pk"]["S"] == f"RUN#{strange}"] == before
