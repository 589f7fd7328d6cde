"""Records for the store's tests: whole ones, with only what matters said at the call."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.run import Lease, Run, RunStatus
from chalicelib.domain.step import Claim, Event, StepRecord, StepStatus
from chalicelib.domain.ticket import Ticket, TicketKind
from chalicelib.domain.workflow import Connection, Deployment, Workflow, WorkflowKind, WorkflowVersion
from chalicelib.store import runs

NOW = datetime(2026, 11, 22, 7, 30, 0, 123456, tzinfo=UTC)
#: The sweep's time is kept in milliseconds.
CHECK_AT = NOW.replace(microsecond=0) + timedelta(minutes=2)

_ids = itertools.count(1)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_run(**changes: object) -> Run:
    run = Run(
        id=f"run-{next(_ids)}",
        project_id="proj_1",
        workflow_id="wf_1",
        version_id="wfv_1",
        version=1,
        connection_id="conn_default",
        status=RunStatus.PENDING,
        triggered_by="api",
        created_by="a key",
        created_at=NOW,
        updated_at=NOW,
        payload={"order": 1},
        next_check_at=CHECK_AT,
    )
    return replace(run, **changes)  # type: ignore[arg-type]


def a_stored_run(**changes: object) -> Run:
    run = a_run(**changes)
    runs.put(run)
    return run


def a_lease(owner: str = "request-1") -> Lease:
    return Lease(owner=owner, expires_at=later(900))


def a_claim(key: str = "charge", **changes: object) -> Claim:
    claim = Claim(key=key, attempt=1, at=NOW, owner="request-1", deadline=later(900))
    return replace(claim, **changes)  # type: ignore[arg-type]


def taken(run: Run, owner: str = "request-1", *claims: Claim) -> Run:
    """Return the run with its lease taken by the owner."""
    return runs.take_lease(
        run,
        lease=a_lease(owner),
        claims={claim.key: claim for claim in claims},
        status=RunStatus.RUNNING,
        started_at=later(1),
        now=later(1),
    )


def a_driven_run(owner: str = "request-1", **changes: object) -> Run:
    return taken(a_stored_run(**changes), owner)


def ended(run: Run, status: RunStatus = RunStatus.COMPLETED, **changes: object) -> Run:
    """Return the run as its driver would end it."""
    moved = replace(run, status=status, finished_at=later(9), updated_at=later(9), next_check_at=None, lease=None)
    return replace(moved, **changes)  # type: ignore[arg-type]


def a_record(key: str = "charge", **changes: object) -> StepRecord:
    record = StepRecord(
        key=key,
        status=StepStatus.COMPLETED,
        attempt=1,
        started_at=NOW,
        finished_at=later(1),
        output={"total": 42},
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def an_event(event_id: str = "0001", **changes: object) -> Event:
    event = Event(id=event_id, type="paid", payload={"by": "card"}, sent_by="a key", received_at=later(5))
    return replace(event, **changes)  # type: ignore[arg-type]


def a_history_record(run: Run, **changes: object) -> HistoryRecord:
    record = HistoryRecord(
        id=f"history-{next(_ids)}",
        run_id=run.id,
        at=later(3),
        actor_key_id="key1",
        actor_name="a key",
        command="pause",
        before=run.status.value,
        after=RunStatus.PAUSED.value,
        request_id="request-9",
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def a_connection(**changes: object) -> Connection:
    connection = Connection(id="conn_default", project_id="proj_1", name="Default", region="us-east-1", created_at=NOW)
    return replace(connection, **changes)  # type: ignore[arg-type]


def a_workflow(**changes: object) -> Workflow:
    workflow = Workflow(
        id=f"wf_{next(_ids)}",
        project_id="proj_1",
        name="Orders",
        description="",
        kind=WorkflowKind.WORKFLOW,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(workflow, **changes)  # type: ignore[arg-type]


def a_version(workflow: Workflow, number: int = 1, **changes: object) -> WorkflowVersion:
    version = WorkflowVersion(
        id=f"wfv_{next(_ids)}",
        workflow_id=workflow.id,
        number=number,
        source={"ir": {"nodes": []}},
        created_by="a key",
        created_at=later(number),
        updated_at=later(number),
    )
    return replace(version, **changes)  # type: ignore[arg-type]


def a_deployment(version: WorkflowVersion, **changes: object) -> Deployment:
    deployment = Deployment(
        id=f"dep_{next(_ids)}",
        project_id="proj_1",
        workflow_id=version.workflow_id,
        connection_id="conn_default",
        version_id=version.id,
        version=version.number,
        kind=WorkflowKind.WORKFLOW,
        created_by="a key",
        created_at=later(60),
    )
    return replace(deployment, **changes)  # type: ignore[arg-type]


def a_ticket(kind: TicketKind = TicketKind.APPROVAL, **changes: object) -> Ticket:
    ticket = Ticket(
        id=f"ticket-{next(_ids)}",
        kind=kind,
        project_id="proj_1",
        workflow_id="wf_1",
        run_id="run-1",
        step="ask",
        generation=1,
        failures=0,
        name=None if kind is TicketKind.APPROVAL else "orders/7 paid",
        created_at=NOW,
        visible_at=NOW if kind is TicketKind.JOB else None,
    )
    return replace(ticket, **changes)  # type: ignore[arg-type]
