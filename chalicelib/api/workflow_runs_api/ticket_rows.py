"""Waits as the workflow-runs API shows them to those who can end them: jobs, events by key, approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field

from chalicelib.api.bodies import AnyJson
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import PageQuery, Shown, Time, own_project
from chalicelib.domain.ticket import Ticket
from chalicelib.domain.value import Offloaded, Value, size_of
from chalicelib.services import approvals, event_keys, jobs, tickets
from chalicelib.services.approvals import Approval, ApprovalStatus
from chalicelib.services.event_keys import EventStatus
from chalicelib.services.jobs import JobStatus

#: A list shows values up to this many bytes of JSON, so that a hundred rows stay below what Lambda answers with.
_LONGEST_LISTED: Final = 16 * 1024


class OwnPageQuery(PageQuery):
    """Which page of a list of the key's own project, which need not be named."""

    project_id: Annotated[str | None, Field(min_length=1)] = None

    def check(self, caller: Caller) -> None:
        """Refuse a project that is not the caller's own."""
        own_project(caller, self.project_id or caller.project_id)


class JobRunOut(Shown):
    """A job, as its worker sees it."""

    id: str
    #: The kind of work.
    job_id: str
    status: JobStatus
    #: What to work on; left out of lists where it is over 16 KB.
    payload: AnyJson = None
    workflow_id: str
    workflow_run_id: str
    step_ref: str
    #: Which try of the step it is: one more than have failed.
    attempt: int
    #: The name of the key that has it, or had it last.
    claimed_by: str | None = None
    #: What the worker calls itself.
    worker: str | None = None
    claimed_at: Time | None = None
    #: When it is there for others again, unless its holder is heard of before.
    lease_expires_at: Time | None = None
    #: When the step stops waiting.
    expires_at: Time | None = None
    #: What the worker reported; left out of lists where it is over 16 KB.
    output: AnyJson = None
    error: str | None = None
    created_at: Time
    finished_at: Time | None = None

    @classmethod
    def of(cls, job: Ticket, now: datetime) -> Self:
        """Return what is shown of one job, fetched where it is large."""
        return cls.listed(tickets.fetched(job), now, longest=None)

    @classmethod
    def listed(cls, job: Ticket, now: datetime, *, longest: int | None = _LONGEST_LISTED) -> Self:
        """Return what is shown of a job in a list, without what is large."""
        return cls(
            id=job.id,
            job_id=job.name or "",
            status=jobs.status_of(job, now),
            payload=_short(job.payload, longest),
            workflow_id=job.workflow_id,
            workflow_run_id=job.run_id,
            step_ref=job.step,
            attempt=job.failures + 1,
            claimed_by=job.holder,
            worker=job.worker,
            claimed_at=job.claimed_at,
            lease_expires_at=job.visible_at if job.holder is not None else None,
            expires_at=job.expires_at,
            output=_short(job.result, longest),
            error=job.error.message if job.error is not None else None,
            created_at=job.created_at,
            finished_at=job.closed_at,
        )


class EventOut(Shown):
    """A wait for an event by key."""

    id: str
    event_key: str
    status: EventStatus
    workflow_id: str
    workflow_run_id: str
    step_ref: str
    #: What was received; left out of lists where it is over 16 KB.
    payload: AnyJson = None
    #: The name of the key that sent it, or called it off.
    sent_by: str | None = None
    created_at: Time
    #: When the step stops waiting.
    expires_at: Time | None = None
    received_at: Time | None = None

    @classmethod
    def of(cls, event: Ticket) -> Self:
        """Return what is shown of one wait, fetched where it is large."""
        return cls.listed(tickets.fetched(event), longest=None)

    @classmethod
    def listed(cls, event: Ticket, *, longest: int | None = _LONGEST_LISTED) -> Self:
        """Return what is shown of a wait in a list, without what is large."""
        status = event_keys.SHOWN[event.status]
        return cls(
            id=event.id,
            event_key=event.name or "",
            status=status,
            workflow_id=event.workflow_id,
            workflow_run_id=event.run_id,
            step_ref=event.step,
            payload=_short(event.result, longest),
            sent_by=event.closed_by,
            created_at=event.created_at,
            expires_at=event.expires_at,
            received_at=event.closed_at if status is EventStatus.RECEIVED else None,
        )


class ApprovalOut(Shown):
    """An approval, as those see it who may decide."""

    id: str
    workflow_id: str
    workflow_run_id: str
    step_ref: str
    status: ApprovalStatus
    #: What people are asked.
    message: str | None = None
    #: Keys by id or name that may approve; empty or `*` is anyone with the scope.
    approvers: tuple[str, ...]
    requested_at: Time
    #: When the step stops waiting, and fails.
    expires_at: Time | None = None
    #: The name of the key that decided.
    decided_by: str | None = None
    decided_at: Time | None = None
    #: Whether it waits, and the key that asks may approve it.
    can_approve: bool

    @classmethod
    def of(cls, approval: Approval, *, may_approve: bool) -> Self:
        """Return what is shown of an approval to a caller whose key may, or may not, approve at all."""
        ticket = approval.ticket
        return cls(
            id=ticket.id,
            workflow_id=ticket.workflow_id,
            workflow_run_id=ticket.run_id,
            step_ref=ticket.step,
            status=approvals.SHOWN[ticket.status],
            message=ticket.note,
            approvers=ticket.approvers,
            requested_at=ticket.created_at,
            expires_at=ticket.expires_at,
            decided_by=ticket.closed_by,
            decided_at=ticket.closed_at,
            can_approve=may_approve and approval.can_approve,
        )


def _short(value: Value, longest: int | None) -> AnyJson:
    if isinstance(value, Offloaded) or (longest is not None and size_of(value) > longest):
        return None
    return value
