"""Whatever write fails, and however: what is reported reaches its step once, and nothing is left open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import WaitKind
from chalicelib.domain.ticket import TicketKind, TicketStatus
from chalicelib.services import event_keys, jobs
from chalicelib.services.jobs import LEASE, Worker
from chalicelib.store import runs
from chalicelib.store.errors import StoreError
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.agent_runs import a_house_with_agents, an_agent, fakes
from tests.services.faults import Fault, writes
from tests.services.house import Crash, House, a_line
from tests.services.waiting import ADA, a_job, a_wait_by_key, an_approval, listed, report, send, terminate

pytestmark = pytest.mark.store

#: More writes than any of these takes.
MOST = 40


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house_with_agents(table, monkeypatch)


def insisting(ask: Callable[[], object]) -> object:
    """Ask again, as a client does that got no answer."""
    for _ in range(5):
        try:
            return ask()
        except (Crash, StoreError):
            continue
    raise AssertionError("no answer, however often it is asked")


def waits_for(kind: WaitKind) -> Callable[[Run], bool]:
    return lambda run: run.status.ended or kind in run.waiting_for


def events_of(run_id: str) -> int:
    loaded = runs.load_collection(run_id)
    assert loaded is not None
    return len(loaded.events)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_jobs_report_reaches_its_step_once_whatever_write_fails(house: House, fault: Fault) -> None:
    done = set()
    for at in range(1, MOST):
        with writes(at=at, fault=fault) as watched:
            run_id = insisting(lambda: house.start(a_line(a_job(), a_step("after", config={"value": "{{ job }}"}))))
            assert isinstance(run_id, str)
            house.settle(run_id, until=waits_for(WaitKind.JOB))
            [job] = [one for one in listed(TicketKind.JOB) if one.run_id == run_id]
            worker = Worker(actor=ADA, name="w1")
            insisting(partial(jobs.claim, "p", job.id, worker=worker, lease=LEASE, now=house.clock.now()))
            insisting(partial(report, house, job, 7))
            run = house.settle(run_id)
        assert (run.status, run.output) == (RunStatus.COMPLETED, 7)
        assert events_of(run_id) == 1
        done.add(run_id)
        if not watched.failed:
            break
    assert at > 8
    assert {one.status for one in listed(TicketKind.JOB) if one.run_id in done} == {TicketStatus.DONE}


@pytest.mark.parametrize("fault", list(Fault))
def test_an_event_by_key_reaches_every_wait_once_whatever_write_fails(house: House, fault: Fault) -> None:
    for at in range(1, 9):
        key = f"{fault}-{at}"
        ids = [house.start(a_line(a_wait_by_key(key=key))) for _ in range(2)]
        for run_id in ids:
            house.settle(run_id, until=waits_for(WaitKind.EVENT))
        with writes(at=at, fault=fault):
            insisting(lambda key=key: send(house, 7, key=key))  # type: ignore[misc] # mypy cannot infer a default's type
            ended = [house.settle(run_id) for run_id in ids]
        assert [(run.status, run.output) for run in ended] == [(RunStatus.COMPLETED, 7)] * 2
        assert [events_of(run_id) for run_id in ids] == [1, 1]
    assert {one.status for one in listed(TicketKind.EVENT)} == {TicketStatus.DONE}


@pytest.mark.parametrize("fault", list(Fault))
def test_a_canceled_run_leaves_nothing_that_counts_as_open_whatever_write_fails(house: House, fault: Fault) -> None:
    definition = a_definition([a_job(), an_approval(), a_wait_by_key(), an_agent()])
    for at in range(1, MOST):
        run_id = house.start(definition)
        house.settle(run_id, until=waits_for(WaitKind.JOB))
        with writes(at=at, fault=fault) as watched:
            insisting(lambda run_id=run_id: terminate(house, run_id))  # type: ignore[misc] # mypy cannot infer a default's type
            # Asked again, perhaps because it was not heard: what was left open is taken down then.
            terminate(house, run_id)
        assert house.run(run_id).status is RunStatus.CANCELED
        for kind in TicketKind:
            assert [one.status for one in listed(kind) if one.run_id == run_id] == [TicketStatus.CANCELED]
        assert fakes(house).stopped.keys() == fakes(house).orders.keys()
        if not watched.failed:
            break
    assert at > 3


def test_an_event_called_off_reaches_the_waits_that_a_crash_left(house: House) -> None:
    ids = [house.start(a_line(a_wait_by_key())) for _ in range(3)]
    house.drain()

    def call_off() -> None:
        event_keys.cancel("p", "paid", actor_name="ada", now=house.clock.now(), outside=house.outside)

    with writes(at=2, fault=Fault.DIES_BEFORE), pytest.raises(Crash):
        call_off()
    call_off()
    assert {house.settle(run_id).status for run_id in ids} == {RunStatus.FAILED}
    with pytest.raises(Refusal, match="event is canceled"):
        call_off()
