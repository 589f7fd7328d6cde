"""How a run comes to be: recorded first, then driven. If the driving is lost, the sweep finds the record."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.access import Actor
from chalicelib.domain.idempotency import IdempotencyRecord, Once
from chalicelib.domain.refusal import BadRequest, Conflict, IdempotencyMismatch
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, WorkflowKind
from chalicelib.services import connections, workflows
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.services.waking import CHECK_AFTER, wake
from chalicelib.store import deployments, idempotency, runs
from chalicelib.store.errors import Busy, Exists

log = logging.getLogger("stepwell.starts")

#: How long an idempotency key is remembered.
REMEMBERED = timedelta(hours=24)
#: The kind of request that a trigger's idempotency key is unique for.
TRIGGER = "trigger"


@dataclass(frozen=True, kw_only=True)
class Triggered:
    """What a trigger came to."""

    run: Run
    #: Whether the same request had been made before, and this is its run.
    replayed: bool


def trigger(
    project_id: str,
    workflow_id: str,
    *,
    connection_id: str,
    payload: Json,
    actor: Actor,
    once: Once | None,
    now: datetime,
    outside: Outside | None = None,
) -> Triggered:
    """Start a run of the version that is deployed on the connection.

    With an idempotency key the key's record and the run are written in one transaction, so that a key has one run
    however often it is sent.
    """
    outside = outside or current()
    if once is not None:
        first = first_use(project_id, once, now)
        if first is not None:
            return Triggered(run=first, replayed=True)
    deployment = deployed(project_id, workflow_id, connection_id)
    run = _run(
        deployment,
        run_id=str(uuid.uuid4()),
        payload=payload,
        triggered_by="api",
        created_by=actor.name,
        now=now,
        outside=outside,
    )
    if once is None:
        runs.put(run)
    else:
        record = use_of(once, run, now)
        try:
            runs.put(run, idempotency=record)
        except (Exists, Busy) as error:
            # Another request with this key was faster: its run is the answer, once it can be seen.
            first = first_use(project_id, once, now)
            if first is None:
                message = "a request with this Idempotency-Key is still in flight"
                raise Conflict(message) from error
            return Triggered(run=first, replayed=True)
    wake(run, now=now, outside=outside)
    return Triggered(run=run, replayed=False)


def start_child(
    parent: Run,
    child_id: str,
    *,
    workflow_id: str,
    payload: Json,
    parent_step: str | None,
    now: datetime,
    outside: Outside,
) -> None:
    """Start a sub-workflow's run on the parent's connection; one that is there already is left alone, but driven."""
    child = _run(
        deployed(parent.project_id, workflow_id, parent.connection_id),
        run_id=child_id,
        payload=payload,
        triggered_by="workflow",
        created_by=parent.id,
        now=now,
        outside=outside,
        parent=parent,
        parent_step=parent_step,
    )
    try:
        runs.put(child)
    except Exists:
        log.info("the child had been started", extra={"action": "child_known", "run_id": child_id})
    wake(child, now=now, outside=outside)


def deployed(project_id: str, workflow_id: str, connection_id: str) -> Deployment:
    """Return what a trigger starts; a refusal that says why where it can start nothing."""
    deployment = deployments.load(workflow_id, connection_id)
    if deployment is None or deployment.project_id != project_id:
        kind = workflows.load(project_id, workflow_id).kind
        connections.load(project_id, connection_id)
    else:
        kind = deployment.kind
    if kind is WorkflowKind.SCRIPT:
        message = "Scripts have no instance lifecycle: call the function's own URL instead"
        raise BadRequest(message)
    if deployment is None:
        message = "No version deployed"
        raise BadRequest(message)
    return deployment


def event_id(at: datetime, unique: str) -> str:
    """Return an id that sorts by arrival."""
    return f"{int(at.timestamp() * 1_000_000):016d}-{unique}"


def _run(  # noqa: PLR0913 - a run has these parts
    deployment: Deployment,
    *,
    run_id: str,
    payload: Json,
    triggered_by: str,
    created_by: str,
    now: datetime,
    outside: Outside,
    parent: Run | None = None,
    parent_step: str | None = None,
) -> Run:
    values = Values(project_id=deployment.project_id, payloads=outside.payloads)
    return Run(
        id=run_id,
        project_id=deployment.project_id,
        workflow_id=deployment.workflow_id,
        version_id=deployment.version_id,
        version=deployment.version,
        connection_id=deployment.connection_id,
        status=RunStatus.PENDING,
        triggered_by=triggered_by,
        created_by=created_by,
        created_at=now,
        updated_at=now,
        payload=values.kept(payload),
        parent_run_id=parent.id if parent and parent_step else None,
        parent_step=parent_step,
        depth=parent.depth + 1 if parent else 0,
        next_check_at=now + CHECK_AFTER,
    )


def use_of(once: Once, run: Run, now: datetime) -> IdempotencyRecord:
    """Return the record that an idempotency key has been used, for this run."""
    return IdempotencyRecord(
        scope=TRIGGER,
        key=once.key,
        project_id=run.project_id,
        request_digest=once.request_digest,
        run_id=run.id,
        created_at=now,
        expires_at=now + REMEMBERED,
    )


def first_use(project_id: str, once: Once, now: datetime) -> Run | None:
    """Return the run that the key was first used for; None if the key is free."""
    record = idempotency.load(project_id, TRIGGER, once.key, now=now)
    if record is None or record.run_id is None:
        return None
    if record.request_digest != once.request_digest:
        message = "the Idempotency-Key was used before with another request"
        raise IdempotencyMismatch(message, field="Idempotency-Key")
    return runs.load(record.run_id)
