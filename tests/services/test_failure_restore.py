"""The table as it was at an earlier moment, restored: its runs go on from there, whatever has become of them since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.definition import StepType
from chalicelib.domain.refusal import Unauthenticated
from chalicelib.domain.run import Run, RunStatus
from chalicelib.gateways.http_requests import HttpRequest, HttpResponse
from chalicelib.services import authentication, keys, verbs
from chalicelib.store import runs
from infra.local.resources import create_table
from infra.local.stack import forget_clients
from tests.conftest import Table
from tests.domain.building import a_step
from tests.services.house import HandParking, House, a_call, a_house, a_line, a_wait
from tests.services.waiting import ADA

pytestmark = pytest.mark.store

MINUTE = timedelta(minutes=1)
TWO_WAITS = a_line(
    a_wait("first", "2 hours"),
    a_call("act"),
    a_step("next", StepType.WAIT_FOR_EVENT, config={"eventType": "next", "timeout": "10 minutes"}),
    a_call("end"),
)


@dataclass
class NamedParking(HandParking):
    """Executions whose names are taken for good, as Step Functions takes them for 90 days."""

    taken: set[str] = field(default_factory=set)

    def park(self, *, run_id: str, pk: str, wake_seq: int, lease_seq: int, timeout_seconds: float) -> str:
        name = f"{run_id}-{wake_seq}-{lease_seq}"
        if name in self.taken:
            return name
        self.taken.add(name)
        return super().park(
            run_id=run_id, pk=pk, wake_seq=wake_seq, lease_seq=lease_seq, timeout_seconds=timeout_seconds
        )


@dataclass
class Backup:
    """What the table held at a moment, and the table that it is restored to."""

    house: House
    monkeypatch: pytest.MonkeyPatch
    items: list[dict[str, Any]] = field(default_factory=list)

    def take(self) -> None:
        self.items = self.house.client.scan(TableName=self.house.table)["Items"]

    def restore(self) -> None:
        house = self.house
        house.table = house.parking.table = f"{house.table}-restored"
        create_table(house.table, house.client)
        for item in self.items:
            house.client.put_item(TableName=house.table, Item=item)
        self.monkeypatch.setenv("STEPWELL_TABLE", house.table)
        forget_clients()


@pytest.fixture
def backup(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backup]:
    house = a_house(table, monkeypatch)
    house.parking = NamedParking(house.client, house.table, house.clock, house.invoker)
    house.outside = replace(house.outside, parking=house.parking)
    made = Backup(house, monkeypatch)
    yield made
    if house.table != table.name:
        house.client.delete_table(TableName=house.table)


def send(house: House, run_id: str, event: str) -> None:
    verbs.deliver("p", run_id, event_type=event, payload=1, actor=ADA, now=house.clock.now(), outside=house.outside)
    house.drain()


def gone(house: House) -> None:
    """Have every execution of before the restore aborted."""
    house.parking.waiting.clear()


def there(_house: House) -> None:
    """Leave them waiting, with tokens that the table does not know."""


@pytest.mark.parametrize("executions", [gone, there])
def test_a_run_goes_on_from_where_the_restored_table_has_it(
    backup: Backup, executions: Callable[[House], None]
) -> None:
    house = backup.house
    run_id = house.start(TWO_WAITS)
    house.drain()
    backup.take()
    send(house, run_id, "go")
    assert house.sent == {"act": 1}
    backup.restore()
    executions(house)
    # The event came after the moment: nobody knows of it, and its sender sends it again.
    assert not house.run(run_id).status.ended
    send(house, run_id, "go")
    send(house, run_id, "next")
    assert house.settle(run_id).status is RunStatus.COMPLETED
    # What was made after the moment is made again, under the key by which the far end can tell.
    assert house.sent == {"act": 2, "end": 1}
    keys = [request.headers["Idempotency-Key"] for request in house.http.sent]
    assert keys[0] == keys[1]
    # Whatever still waits from before ends without effect.
    run = house.run(run_id)
    house.clock.at += timedelta(days=1)
    house.parking.time_out()
    house.drain()
    assert house.run(run_id) == run


def test_a_wait_whose_executions_name_was_taken_before_the_restore_ends_two_minutes_late_at_the_most(
    backup: Backup,
) -> None:
    house = backup.house
    run_id = house.start(TWO_WAITS)
    house.drain()
    backup.take()
    send(house, run_id, "go")
    backup.restore()
    gone(house)
    send(house, run_id, "go")
    # Its counters are those of before, and so is the name: Step Functions takes it for the execution that is over.
    assert house.parking.waiting == {}
    began = house.clock.now()
    for _ in range(12):
        house.clock.at += MINUTE
        house.sweep()
        house.drain()
        if house.run(run_id).status.ended:
            break
    error = house.run(run_id).error
    assert error is not None
    assert error.message == "event trigger timed out"
    assert house.clock.now() - began <= 12 * MINUTE


def test_a_run_that_was_driven_at_the_moment_goes_on_once_that_drivers_time_is_over(backup: Backup) -> None:
    house = backup.house
    run_id = house.start(a_line(a_call("ask"), a_call("act")))
    answer = house.http.answer

    def in_the_midst(request: HttpRequest) -> HttpResponse:
        house.http.answer = answer
        backup.take()
        return answer(request)

    house.http.answer = in_the_midst
    house.drain()
    assert house.run(run_id).status is RunStatus.COMPLETED
    began = house.clock.now()
    backup.restore()
    assert house.run(run_id).lease is not None
    assert house.settle(run_id).status is RunStatus.COMPLETED
    assert house.clock.now() - began <= 16 * MINUTE
    assert house.sent == {"ask": 2, "act": 2}


def test_a_run_that_was_started_after_the_moment_is_unknown_and_what_wakes_it_does_nothing(backup: Backup) -> None:
    house = backup.house
    backup.take()
    run_id = house.start(TWO_WAITS)
    house.drain()
    backup.restore()
    [token] = house.parking.waiting
    assert house.parking.answer(token)
    house.drain()
    assert house.deaths == 0
    assert runs.load(run_id) is None


def test_a_run_that_had_ended_stays_as_it_was(backup: Backup) -> None:
    house = backup.house
    run_id = house.start(a_line(a_call("ask")))
    house.drain()
    before: Run = house.run(run_id)
    backup.take()
    backup.restore()
    house.clock.at += timedelta(days=1)
    assert house.sweep().overdue == 0
    house.drain()
    assert house.run(run_id) == before
    assert house.sent == {"ask": 1}


def test_a_value_in_the_bucket_that_a_restored_record_names_is_there(backup: Backup) -> None:
    house = backup.house
    answer = house.http.answer
    house.http.answer = lambda request: replace(answer(request), body="x" * 40_000)
    length = a_step("length", config={"value": "{{ length(ask.body) }}"})
    run_id = house.start(a_line(a_call("ask"), a_wait("wait", "2 hours"), length))
    house.drain()
    backup.take()
    send(house, run_id, "go")
    assert house.run(run_id).output == 40_000
    backup.restore()
    send(house, run_id, "go")
    run = house.settle(run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, 40_000)
    assert house.sent == {"ask": 1}


def test_a_key_that_was_revoked_after_the_moment_is_good_again_until_it_is_revoked_anew(backup: Backup) -> None:
    now = backup.house.clock.now()
    made = keys.create("p", name="k", scopes=["read"], now=now)
    backup.take()
    for restored in (False, True):
        if restored:
            backup.restore()
            assert authentication.authenticate(f"Bearer {made.text}", now=now).id == made.key.id
        keys.revoke("p", made.key.id, now=now)
        with pytest.raises(Unauthenticated):
            authentication.authenticate(f"Bearer {made.text}", now=now)
