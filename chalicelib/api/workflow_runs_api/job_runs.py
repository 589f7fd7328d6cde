"""Jobs in the workflow-runs API: the worker's inbox, and what a worker says of a job that it has taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

from chalicelib.api.bodies import AnyJson
from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Body, api, listed
from chalicelib.api.workflow_runs_api.ticket_rows import JobRunOut, OwnPageQuery
from chalicelib.domain.access import Scope
from chalicelib.services import jobs
from chalicelib.services.jobs import JobStatus, Worker

_LEASE_SECONDS: Final = int(jobs.LEASE.total_seconds())


class JobRunsQuery(OwnPageQuery):
    """Which jobs."""

    status: JobStatus = JobStatus.QUEUED
    #: The kind of work.
    job_id: Annotated[str | None, Field(min_length=1, max_length=255)] = None


class ByWorker(Body):
    """Who speaks of a job."""

    #: What the worker calls itself, where several work with one key: then none takes or reports on another's job.
    worker: Annotated[str | None, Field(min_length=1, max_length=255)] = None


class Lease(ByWorker):
    """For how long a worker wants a job to itself."""

    lease_secs: Annotated[int, Field(ge=5, le=3600)] = _LEASE_SECONDS


class CompleteJob(ByWorker):
    """What came of a job."""

    #: Any JSON value, up to 1 MB; becomes the step's output.
    output: AnyJson = None


class FailJob(ByWorker):
    """Why nothing came of a job."""

    error: Annotated[str, Field(min_length=1, max_length=4000)]


@api.endpoint("GET", "/v1/job-runs", scope=Scope.RUNS_READ, query=JobRunsQuery)
def list_job_runs(caller: Caller, query: JobRunsQuery) -> Reply[Sequence[JobRunOut]]:
    """List a project's jobs: queued and running ones by when they are or were free, the oldest first, others newest.

    A page of one `job_id` may hold fewer rows than `limit`, or none; only a missing `X-Next-Cursor` is the end.
    """
    query.check(caller)
    found = jobs.page(
        caller.project_id,
        query.status,
        job_id=query.job_id,
        now=caller.now,
        cursor=query.cursor,
        limit=query.limit,
    )
    return listed([JobRunOut.listed(job, caller.now) for job in found.items], found.cursor)


@api.endpoint("GET", "/v1/job-runs/{job_run_id}", scope=Scope.RUNS_READ)
def get_job_run(caller: Caller, job_run_id: str) -> JobRunOut:
    """Show a job as it is now."""
    return JobRunOut.of(jobs.load(caller.project_id, job_run_id), caller.now)


@api.endpoint("POST", "/v1/job-runs/{job_run_id}/claim", scope=Scope.RUNS_CONTROL, body=Lease)
def claim_job_run(caller: Caller, job_run_id: str, body: Lease) -> JobRunOut:
    """Take a job for `lease_secs`: nobody else can take it meanwhile, nor report on it.

    409 while it is taken; the `worker` that has it, named as before, takes it anew.
    """
    lease = timedelta(seconds=body.lease_secs)
    job = jobs.claim(caller.project_id, job_run_id, worker=_worker(caller, body), lease=lease, now=caller.now)
    return JobRunOut.of(job, caller.now)


@api.endpoint("POST", "/v1/job-runs/{job_run_id}/heartbeat", scope=Scope.RUNS_CONTROL, body=Lease)
def keep_job_run(caller: Caller, job_run_id: str, body: Lease) -> JobRunOut:
    """Keep a job for another `lease_secs`; 409 says that it is not the caller's any more, or canceled."""
    lease = timedelta(seconds=body.lease_secs)
    job = jobs.heartbeat(caller.project_id, job_run_id, worker=_worker(caller, body), lease=lease, now=caller.now)
    return JobRunOut.of(job, caller.now)


@api.endpoint("POST", "/v1/job-runs/{job_run_id}/complete", scope=Scope.RUNS_CONTROL, body=CompleteJob)
def complete_job_run(caller: Caller, job_run_id: str, body: CompleteJob) -> JobRunOut:
    """Report a job's output, which becomes its step's.

    The same report again changes nothing; another is a 409, as is one on a job that another key has.
    """
    job = jobs.complete(caller.project_id, job_run_id, body.output, worker=_worker(caller, body), now=caller.now)
    return JobRunOut.of(job, caller.now)


@api.endpoint("POST", "/v1/job-runs/{job_run_id}/fail", scope=Scope.RUNS_CONTROL, body=FailJob)
def fail_job_run(caller: Caller, job_run_id: str, body: FailJob) -> JobRunOut:
    """Report that nothing came of a job: the step's retries come first, each a job of its own, then its policy."""
    job = jobs.fail(caller.project_id, job_run_id, body.error, worker=_worker(caller, body), now=caller.now)
    return JobRunOut.of(job, caller.now)


def _worker(caller: Caller, body: ByWorker) -> Worker:
    return Worker(actor=caller.actor, name=body.worker)
