"""Jobs: what workers outside look for, take, keep and report on.

A claim is a lease: past its time the job is there for others again, and its old holder may still report while nobody
else has taken it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Conflict, NotFound, TooLarge
from chalicelib.domain.step import StepError
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.domain.value import Json, size_of
from chalicelib.services import tickets
from chalicelib.services.judging import judged_anew
from chalicelib.services.outside import Outside, current
from chalicelib.services.tickets import Report, Sight
from chalicelib.services.values import LARGEST_OUTPUT_BYTES
from chalicelib.store import tickets as store
from chalicelib.store.errors import Busy, Superseded
from chalicelib.store.paging import Page

#: How long a worker has a job to itself before it must be heard of again, unless it asks for something else.
LEASE: Final = timedelta(seconds=60)
#: A list that is narrowed to one kind of job is read on for as many pages, so that one of it may be short.
_MOST_PAGES: Final = 5


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"


_CLOSED: Final = {
    TicketStatus.DONE: JobStatus.COMPLETED,
    TicketStatus.FAILED: JobStatus.FAILED,
    TicketStatus.CANCELED: JobStatus.CANCELED,
    TicketStatus.TIMED_OUT: JobStatus.TIMED_OUT,
}
_BY_STATUS: Final = {shown: status for status, shown in _CLOSED.items()}


def status_of(job: Ticket, now: datetime) -> JobStatus:
    """Return where a job stands: an open one runs while somebody has it to himself."""
    if job.status is not TicketStatus.OPEN:
        return _CLOSED[job.status]
    return JobStatus.RUNNING if job.visible_at is not None and now < job.visible_at else JobStatus.QUEUED


def page(
    project_id: str,
    status: JobStatus,
    *,
    job_id: str | None,
    now: datetime,
    cursor: str | None,
    limit: int,
) -> Page[Ticket]:
    """Return jobs in a status: open ones by when they are or were free, the oldest first, others newest first.

    A page of one ``job_id`` may be short, or empty, and not the last.
    """

    def read(cursor: str | None) -> Page[Ticket]:
        if status is JobStatus.QUEUED:
            return store.visible_jobs(project_id, now, cursor=cursor, limit=limit)
        if status is JobStatus.RUNNING:
            return store.claimed_jobs(project_id, now, cursor=cursor, limit=limit)
        return store.page(project_id, TicketKind.JOB, _BY_STATUS[status], cursor=cursor, limit=limit)

    return read(cursor) if job_id is None else _narrowed(read, job_id, cursor)


def load(project_id: str, job_run_id: str) -> Ticket:
    """Return a job of the project; another's is refused as unknown."""
    job = store.load(job_run_id)
    if job is None or job.project_id != project_id or job.kind is not TicketKind.JOB:
        raise NotFound("job run not found")
    return job


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Who works on a job: a key, and the name by which a worker tells itself from others with the same key."""

    actor: Actor
    name: str | None = None

    def has(self, job: Ticket) -> bool:
        """Whether the job is claimed by this worker; one that gives no name speaks for its key."""
        return job.holder_key_id == self.actor.key_id and self.name in {None, job.worker}


def claim(project_id: str, job_run_id: str, *, worker: Worker, lease: timedelta, now: datetime) -> Ticket:
    """Take a job for a while; a worker that has it already, and gives its name again, takes it anew.

    Workers without names cannot be told apart, so that none of them takes what another may be at. The write is
    conditional on the job as it was judged: of two workers one has it, and the other is told.
    """

    def use_case() -> Ticket:
        job = _to_work_on(load(project_id, job_run_id), worker, now).ticket
        again = worker.name is not None and worker.has(job)
        if _is_claimed(job, now) and not again:
            raise _taken(job)
        taken = replace(
            job,
            holder=worker.actor.name,
            holder_key_id=worker.actor.key_id,
            worker=worker.name,
            claimed_at=job.claimed_at if again else now,
            visible_at=now + lease,
            revision=job.revision + 1,
        )
        store.save(taken)
        return taken

    return judged_anew(use_case)


def heartbeat(project_id: str, job_run_id: str, *, worker: Worker, lease: timedelta, now: datetime) -> Ticket:
    """Keep a job for another while; only its holder can, even one whose time was over if nobody else has taken it.

    The write is conditional on the job as it was judged: a heartbeat never takes back what has been reported or lost.
    """

    def use_case() -> Ticket:
        job = load(project_id, job_run_id)
        _check_open(job.status)
        if not worker.has(job):
            raise Conflict(f"job run is not claimed by {worker.name or worker.actor.name}; claim it first")
        kept = replace(job, visible_at=now + lease, revision=job.revision + 1)
        store.save(kept)
        return kept

    return judged_anew(use_case)


def complete(
    project_id: str,
    job_run_id: str,
    output: Json,
    *,
    worker: Worker,
    now: datetime,
    outside: Outside | None = None,
) -> Ticket:
    """Report a job's output, which becomes its step's; the same report again changes nothing."""
    size = size_of(output)
    if size > LARGEST_OUTPUT_BYTES:
        raise TooLarge(f"output is {size} bytes of JSON; the limit is {LARGEST_OUTPUT_BYTES}", field="output")
    report = Report(status=TicketStatus.DONE, payload=output, by=worker.actor.name)
    return _reported(project_id, job_run_id, report, worker=worker, now=now, outside=outside or current())


def fail(
    project_id: str,
    job_run_id: str,
    error: str,
    *,
    worker: Worker,
    now: datetime,
    outside: Outside | None = None,
) -> Ticket:
    """Report that a job came to nothing; its step's policy says whether it is begun again, as a job of its own."""
    failure = StepError(code="job_failed", message=error)
    report = Report(status=TicketStatus.FAILED, failure=failure, by=worker.actor.name)
    return _reported(project_id, job_run_id, report, worker=worker, now=now, outside=outside or current())


def _reported(
    project_id: str,
    job_run_id: str,
    report: Report,
    *,
    worker: Worker,
    now: datetime,
    outside: Outside,
) -> Ticket:
    for _ in range(tickets.MOST_ROUNDS):
        job = load(project_id, job_run_id)
        if (job.status, job.result_digest) == (report.status, report.digest):
            return job
        sight = _to_work_on(job, worker, now)
        try:
            return tickets.hand_over(sight, report, now=now, outside=outside)
        except (Superseded, Busy):
            continue
    raise tickets.contended()


def _to_work_on(job: Ticket, worker: Worker, now: datetime) -> Sight:
    """Return the job beside its run and step, or refuse it: it is over, or somebody else has it.

    One that is found to be over although its ticket is open is closed on the way.
    """
    [sight] = tickets.looked_at([job], now=now)
    tickets.settle(sight, now=now)
    _check_open(sight.status)
    if _is_claimed(job, now) and not worker.has(job):
        raise _taken(job)
    return sight


def _check_open(status: TicketStatus) -> None:
    if status is not TicketStatus.OPEN:
        raise Conflict(f"job run is {_CLOSED[status]}")


def _is_claimed(job: Ticket, now: datetime) -> bool:
    return job.visible_at is not None and now < job.visible_at


def _taken(job: Ticket) -> Conflict:
    until = job.visible_at.isoformat(timespec="seconds") if job.visible_at is not None else "its end"
    return Conflict(f"job run is claimed by {job.worker or job.holder} until {until}")


def _narrowed(read: Callable[[str | None], Page[Ticket]], job_id: str, cursor: str | None) -> Page[Ticket]:
    """Return the first page that has a job of the kind, or the last that was looked at."""
    for _ in range(_MOST_PAGES):
        found = read(cursor)
        mine = tuple(job for job in found.items if job.name == job_id)
        cursor = found.cursor
        if mine or cursor is None:
            break
    return Page(items=mine, cursor=cursor)
