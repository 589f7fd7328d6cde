"""Jobs: found by workers, taken by one, kept, reported on, and begun again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import StepType
from chalicelib.domain.refusal import Conflict, NotFound, TooLarge
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.value import Json, Offloaded
from chalicelib.services import jobs, tickets, verbs
from chalicelib.services.jobs import JobStatus, Worker
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.faults import Fault, writes
from tests.services.house import House, a_house, a_line
from tests.services.waiting import (
    ADA,
    ASK,
    BOB,
    a_job,
    calls,
    listed,
    report,
    status_of,
    terminate,
    terminate_unheard,
    ticket_of,
    waiting,
)

pytestmark = pytest.mark.store


@pytest.fixture
def house(table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
    return a_house(table, monkeypatch)


def inbox(house: House, status: JobStatus = JobStatus.QUEUED, *, job_id: str | None = None) -> list[str]:
    found = jobs.page("p", status, job_id=job_id, now=house.clock.now(), cursor=None, limit=50)
    return [job.id for job in found.items]


def claim(house: House, job: Ticket, *, actor: Actor = ADA, seconds: float = 60, name: str | None = None) -> Ticket:
    worker, lease = Worker(actor=actor, name=name), timedelta(seconds=seconds)
    return jobs.claim("p", job.id, worker=worker, lease=lease, now=house.clock.now())


def fail(house: House, job: Ticket, error: str = "no such image", *, actor: Actor = ADA) -> Ticket:
    return jobs.fail("p", job.id, error, worker=Worker(actor=actor), now=house.clock.now(), outside=house.outside)


def a_waiting_job(house: House, **parts: object) -> tuple[str, Ticket]:
    run_id = waiting(house, a_line(a_job(**parts)))  # type: ignore[arg-type] # a test names the parts
    return run_id, ticket_of(house, run_id, "job")


def test_a_job_step_runs_and_its_run_only_waits(house: House) -> None:
    run_id, job = a_waiting_job(house, payload={"of": "{{ run.id }}"})
    assert status_of(house, run_id, "job") is StepStatus.RUNNING
    assert house.run(run_id).waiting_for == (WaitKind.JOB,)
    assert (job.kind, job.name, job.payload) == (TicketKind.JOB, "resize", {"of": run_id})
    assert inbox(house) == [job.id]


def test_what_the_worker_reports_is_the_steps_output(house: House) -> None:
    run_id = waiting(house, a_line(a_job(), a_step("after", config={"value": "{{ job.width }}"})))
    job = ticket_of(house, run_id, "job")
    done = report(house, job, {"width": 7})
    assert (done.status, done.closed_by, done.result) == (TicketStatus.DONE, "ada", {"width": 7})
    assert house.settle(run_id).output == 7
    assert inbox(house) == []
    assert inbox(house, JobStatus.COMPLETED) == [job.id]


def test_a_claimed_job_is_nobody_elses_until_its_time_is_over(house: House) -> None:
    _, job = a_waiting_job(house)
    claimed = claim(house, job)
    assert (claimed.holder, claimed.claimed_at) == ("ada", house.clock.now())
    assert (inbox(house), inbox(house, JobStatus.RUNNING)) == ([], [job.id])
    for refused in (claim, report):
        with pytest.raises(Conflict, match=r"job run is claimed by ada until 2026-01-01T00:01:00"):
            refused(house, job, actor=BOB)
    house.clock.at += timedelta(seconds=61)
    assert inbox(house) == [job.id]
    assert claim(house, job, actor=BOB).holder == "bob"
    with pytest.raises(Conflict, match="claimed by bob"):
        report(house, job)


def test_who_has_a_job_takes_it_anew_and_keeps_it_by_being_heard_of(house: House) -> None:
    _, job = a_waiting_job(house)
    began = claim(house, job, name="w1").claimed_at
    house.clock.at += timedelta(seconds=50)
    assert claim(house, job, name="w1").claimed_at == began
    house.clock.at += timedelta(seconds=50)
    kept = jobs.heartbeat("p", job.id, worker=Worker(actor=ADA), lease=timedelta(seconds=30), now=house.clock.now())
    assert kept.visible_at == house.clock.now() + timedelta(seconds=30)
    assert inbox(house, JobStatus.RUNNING) == [job.id]


def test_workers_with_one_key_take_no_job_from_one_another(house: House) -> None:
    _, job = a_waiting_job(house)
    claim(house, job, name="w1")
    for other in (None, "w2"):
        with pytest.raises(Conflict, match="job run is claimed by w1"):
            claim(house, job, name=other)
    worker = Worker(actor=ADA, name="w2")
    with pytest.raises(Conflict, match="job run is claimed by w1"):
        jobs.complete("p", job.id, 1, worker=worker, now=house.clock.now(), outside=house.outside)
    assert report(house, job, 1).status is TicketStatus.DONE


def test_a_heartbeat_is_its_holders_alone(house: House) -> None:
    _, job = a_waiting_job(house)

    def beat(actor: Actor) -> Ticket:
        return jobs.heartbeat(
            "p", job.id, worker=Worker(actor=actor), lease=timedelta(seconds=30), now=house.clock.now()
        )

    with pytest.raises(Conflict, match="not claimed by ada"):
        beat(ADA)
    claim(house, job)
    with pytest.raises(Conflict, match="not claimed by bob"):
        beat(BOB)
    house.clock.at += timedelta(minutes=5)
    assert beat(ADA).holder == "ada"
    report(house, job)
    with pytest.raises(Conflict, match="job run is completed"):
        beat(ADA)


def test_the_same_report_again_changes_nothing_and_another_is_refused(house: House) -> None:
    run_id, job = a_waiting_job(house)
    done = report(house, job, {"a": 1, "b": [2]})
    house.settle(run_id)
    assert report(house, job, {"b": [2], "a": 1}) == done
    with pytest.raises(Conflict, match="job run is completed"):
        report(house, job, "other")
    for refused in (fail, claim):
        with pytest.raises(Conflict, match="job run is completed"):
            refused(house, job)


def test_a_job_that_failed_fails_its_step_with_the_workers_words(house: House) -> None:
    run_id, job = a_waiting_job(house)
    assert fail(house, job).status is TicketStatus.FAILED
    run = house.settle(run_id)
    assert run.error is not None
    assert (run.status, run.error.code, run.error.message) == (RunStatus.FAILED, "job_failed", "no such image")
    assert fail(house, job).status is TicketStatus.FAILED
    with pytest.raises(Conflict, match="job run is failed"):
        report(house, job)


def test_a_job_that_failed_is_begun_again_as_a_job_of_its_own(house: House) -> None:
    run_id, job = a_waiting_job(house, retries=1)
    fail(house, job)
    house.settle(run_id, until=lambda run: WaitKind.JOB in run.waiting_for)
    again = ticket_of(house, run_id, "job")
    assert again.id != job.id
    assert again.failures == 1
    report(house, again, 2)
    assert house.settle(run_id).output == 2
    assert {one.id: one.status for one in listed(TicketKind.JOB)} == {
        job.id: TicketStatus.FAILED,
        again.id: TicketStatus.DONE,
    }


def test_a_job_whose_time_is_over_is_timed_out_and_takes_no_report(house: House) -> None:
    run_id, job = a_waiting_job(house, timeout=timedelta(minutes=10))
    house.clock.at += timedelta(minutes=11)
    with pytest.raises(Conflict, match="job run is timed_out"):
        report(house, job)
    run = house.settle(run_id)
    assert (run.status, run.error and run.error.message) == (RunStatus.FAILED, "job timed out")
    assert inbox(house, JobStatus.TIMED_OUT) == [job.id]


def test_a_report_that_came_in_time_counts_though_it_is_seen_late(house: House) -> None:
    run_id, job = a_waiting_job(house, timeout=timedelta(minutes=10))
    house.parking.waiting.clear()
    report(house, job)
    house.invoker.queue.clear()
    house.clock.at += timedelta(hours=1)
    assert house.settle(run_id).output == "done"


def test_canceling_a_run_cancels_its_jobs(house: House) -> None:
    run_id, job = a_waiting_job(house)
    terminate(house, run_id)
    assert inbox(house, JobStatus.CANCELED) == [job.id]
    for refused in (report, claim, fail):
        with pytest.raises(Conflict, match="job run is canceled"):
            refused(house, job)


def test_a_job_that_a_crash_left_open_is_closed_by_who_meets_it(house: House) -> None:
    run_id, job = a_waiting_job(house)
    terminate_unheard(house, run_id)
    assert inbox(house) == [job.id]
    with pytest.raises(Conflict, match="job run is canceled"):
        claim(house, job)
    assert inbox(house) == []
    assert inbox(house, JobStatus.CANCELED) == [job.id]


def test_a_paused_runs_job_is_reported_and_counts_at_resume(house: House) -> None:
    run_id = waiting(house, a_line(a_job(), a_step("after", config={"value": "{{ job }}"})))
    verbs.pause("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock)
    report(house, ticket_of(house, run_id, "job"), 5)
    house.drain()
    assert house.run(run_id).status is RunStatus.PAUSED
    verbs.resume("p", run_id, ask=ASK, now=house.clock.now(), outside=house.outside)
    assert house.settle(run_id).output == 5


def test_a_job_reported_before_its_step_is_recorded_is_not_lost(house: House) -> None:
    run_id = house.start(a_line(a_job()), invoked=False)
    _driver_dies_after_the_ticket(house, run_id)
    [job] = listed(TicketKind.JOB)
    assert house.records(run_id) == {}
    report(house, job, "early")
    assert house.settle(run_id).output == "early"
    assert [one.id for one in listed(TicketKind.JOB)] == [job.id]


def test_an_attempt_made_twice_makes_one_job(house: House) -> None:
    run_id = house.start(a_line(a_job(timeout=timedelta(hours=1))), invoked=False)
    _driver_dies_after_the_ticket(house, run_id)
    house.clock.at += timedelta(minutes=20)
    house.settle(run_id, until=lambda run: WaitKind.JOB in run.waiting_for)
    [job] = listed(TicketKind.JOB)
    house.clock.at += timedelta(minutes=50)
    report(house, job, "in the second attempt's time")
    assert house.settle(run_id).output == "in the second attempt's time"


def test_a_workers_inbox_is_oldest_first_and_by_kind_of_job(house: House) -> None:
    found = []
    for job_id in ("resize", "mail", "resize"):
        spec = a_step("job", StepType.JOB, config={"jobId": job_id})
        run_id = waiting(house, a_definition([spec]))
        found.append(ticket_of(house, run_id, "job").id)
        house.clock.at += timedelta(seconds=1)
    assert inbox(house) == found
    assert inbox(house, job_id="resize") == [found[0], found[2]]
    assert inbox(house, job_id="none") == []
    first = jobs.page("p", JobStatus.QUEUED, job_id="mail", now=house.clock.now(), cursor=None, limit=1)
    assert [job.id for job in first.items] == [found[1]]
    assert first.cursor is not None


def test_a_large_payload_and_output_lie_elsewhere(house: House) -> None:
    large: Json = "x" * 40_000
    run_id = waiting(house, a_line(a_job(payload=large), a_step("after", config={"value": "{{ length(job) }}"})))
    job = ticket_of(house, run_id, "job")
    assert isinstance(job.payload, Offloaded)
    done = report(house, job, large)
    assert isinstance(done.result, Offloaded)
    whole = tickets.fetched(done, outside=house.outside)
    assert (whole.payload, whole.result) == (large, large)
    assert house.settle(run_id).output == 40_000


def test_an_output_over_the_limit_is_refused_by_name(house: House) -> None:
    _, job = a_waiting_job(house)
    with pytest.raises(TooLarge, match="output is 1048579 bytes of JSON; the limit is 1048576"):
        report(house, job, "x" * (1024 * 1024 + 1))


def test_anothers_job_and_what_is_no_job_are_unknown(house: House) -> None:
    _, job = a_waiting_job(house)
    for project_id, id_ in (("q", job.id), ("p", "none"), ("p", "a#b")):
        with pytest.raises(NotFound, match=r"^job run not found$"):
            jobs.load(project_id, id_)


@pytest.mark.parametrize("job_id", ["", 7, "x" * 256, "a\nb"])
def test_a_job_that_is_of_no_kind_fails_its_step(house: House, job_id: Json) -> None:
    spec = a_step("job", StepType.JOB, config={"jobId": job_id})
    run = house.settle(house.start(a_definition([spec])))
    assert run.error is not None
    assert run.error.code == "invalid_field"
    assert run.error.message.startswith("jobId must be")
    assert listed(TicketKind.JOB) == []


def test_a_report_takes_two_reads_and_one_write(house: House) -> None:
    _, job = a_waiting_job(house)
    with calls() as made:
        report(house, job)
    assert made == ["GetItem", "BatchGetItem", "TransactWriteItems"]


def _driver_dies_after_the_ticket(house: House, run_id: str) -> None:
    """Have the first driver lost, for good, between the ticket's write and the step's."""
    house.lambda_retries = False
    house.invoker.drive(run_id)
    with writes(at=3, fault=Fault.DIES_AFTER):
        house.drain()
    house.lambda_retries = True
    assert house.deaths == 1
