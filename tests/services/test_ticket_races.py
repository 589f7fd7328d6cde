"""Two at once on one ticket, with real threads on a real table: one wins, the other is told, one effect."""

from __future__ import annotations

from functools import partial

import pytest

from chalicelib.domain.refusal import Conflict
from chalicelib.domain.run import RunStatus
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.services import event_keys, jobs, verbs
from chalicelib.services.clock import SystemClock
from chalicelib.services.jobs import LEASE, Worker
from chalicelib.store import runs
from tests.conftest import Table
from tests.domain.building import a_definition
from tests.services.house import House, a_house, a_line
from tests.services.test_races import at_once
from tests.services.waiting import ADA, ASK, BOB, a_job, a_wait_by_key, listed, report, send, ticket_of, waiting

pytestmark = pytest.mark.store

ROUNDS = 8


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    house = a_house(table, monkeypatch)
    house.clock = SystemClock()  # type: ignore[assignment] # threads cannot share a clock held in hand
    house.parking.clock = house.clock
    return house


def a_waiting_job(house: House) -> tuple[str, Ticket]:
    run_id = waiting(house, a_line(a_job()))
    return run_id, ticket_of(house, run_id, "job")


def told(answers: list[object]) -> list[Ticket]:
    """Return the answers that are no refusal; a refusal must be of the state, none of trouble."""
    assert not [one for one in answers if isinstance(one, Conflict) and "try again" in one.message]
    return [one for one in answers if isinstance(one, Ticket)]


def events_of(run_id: str) -> int:
    loaded = runs.load_collection(run_id)
    assert loaded is not None
    return len(loaded.events)


def test_of_two_reports_at_once_one_is_the_jobs(house: House) -> None:
    for _ in range(ROUNDS):
        run_id, job = a_waiting_job(house)
        answers = at_once(*(partial(report, house, job, output) for output in (1, 2, 3)))
        [won] = told(answers)
        house.drain()
        run = house.run(run_id)
        assert (run.status, run.output) == (RunStatus.COMPLETED, won.result)
        assert events_of(run_id) == 1


def test_the_same_report_twice_at_once_is_one_report(house: House) -> None:
    for _ in range(ROUNDS):
        run_id, job = a_waiting_job(house)
        answers = at_once(*(partial(report, house, job, 5) for _ in range(3)))
        assert len(told(answers)) == 3
        house.drain()
        assert house.run(run_id).output == 5
        assert events_of(run_id) == 1


def test_of_two_workers_at_once_one_has_the_job(house: House) -> None:
    for _ in range(ROUNDS):
        _, job = a_waiting_job(house)
        now = house.clock.now()
        answers = at_once(
            *(partial(jobs.claim, "p", job.id, worker=Worker(actor=one), lease=LEASE, now=now) for one in (ADA, BOB))
        )
        [won] = told(answers)
        assert jobs.load("p", job.id).holder == won.holder


def test_of_a_report_and_a_failure_one_is_the_jobs(house: House) -> None:
    for _ in range(ROUNDS):
        run_id, job = a_waiting_job(house)
        now = house.clock.now()
        answers = at_once(
            partial(report, house, job),
            partial(jobs.fail, "p", job.id, "no", worker=Worker(actor=ADA), now=now, outside=house.outside),
        )
        [won] = told(answers)
        house.drain()
        ended = {TicketStatus.DONE: RunStatus.COMPLETED, TicketStatus.FAILED: RunStatus.FAILED}
        assert house.run(run_id).status is ended[won.status]


def test_of_a_report_and_a_cancel_no_job_stays_open_and_none_is_both(house: House) -> None:
    for _ in range(ROUNDS):
        run_id, job = a_waiting_job(house)
        cancel = partial(verbs.terminate, "p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
        answers = at_once(partial(report, house, job), cancel)
        house.drain()
        reported = bool(told(answers))
        status = jobs.load("p", job.id).status
        assert status is (TicketStatus.DONE if reported else TicketStatus.CANCELED)
        assert events_of(run_id) == reported
        assert house.run(run_id).status in {RunStatus.CANCELED, RunStatus.COMPLETED if reported else None}


def test_of_a_heartbeat_and_a_report_the_report_stands(house: House) -> None:
    for _ in range(ROUNDS):
        run_id, job = a_waiting_job(house)
        jobs.claim("p", job.id, worker=Worker(actor=ADA), lease=LEASE, now=house.clock.now())
        beat = partial(jobs.heartbeat, "p", job.id, worker=Worker(actor=ADA), lease=LEASE, now=house.clock.now())
        at_once(partial(report, house, job), beat)
        house.drain()
        assert jobs.load("p", job.id).status is TicketStatus.DONE
        assert house.run(run_id).status is RunStatus.COMPLETED


def test_of_two_events_at_once_each_wait_takes_one(house: House) -> None:
    for round_ in range(ROUNDS):
        key = f"k{round_}"
        ids = [waiting(house, a_definition([a_wait_by_key("a", key=key), a_wait_by_key("b", key=key)])) for _ in "123"]
        answers = at_once(*(partial(send, house, payload, key=key) for payload in (1, 2)))
        assert told(answers)
        house.drain()
        for run_id in ids:
            run = house.run(run_id)
            assert run.status is RunStatus.COMPLETED
            assert isinstance(run.output, dict)
            assert set(run.output.values()) <= {1, 2}
            assert events_of(run_id) == 2
    assert {one.status for one in listed(TicketKind.EVENT)} == {TicketStatus.DONE}


def test_of_an_event_and_its_calling_off_each_wait_takes_one(house: House) -> None:
    for round_ in range(ROUNDS):
        key = f"k{round_}"
        run_id = waiting(house, a_line(a_wait_by_key(key=key)))
        call_off = partial(event_keys.cancel, "p", key, actor_name="bob", now=house.clock.now(), outside=house.outside)
        sent = bool(told(at_once(partial(send, house, 1, key=key), call_off)))
        house.drain()
        assert house.run(run_id).status is (RunStatus.COMPLETED if sent else RunStatus.FAILED)
        assert events_of(run_id) == 1
