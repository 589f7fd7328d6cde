"""How a run comes to be: recorded first, then driven. If the driving is lost, the sweep finds the record."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.access import Actor
from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.idempotency import IdempotencyRecord, Once
from chalicelib.domain.refusal import BadRequest, Conflict, Detail, IdempotencyMismatch, Invalid, TooMany
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepRecord
from chalicelib.domain.usage import NO_UNITS, Units
from chalicelib.domain.value import Json, Offloaded
from chalicelib.domain.workflow import MOST_TAGS, Deployment, WorkflowKind, WorkflowSettings
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import connections, telling, versions, workflows
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.services.waking import CHECK_AFTER, wake
from chalicelib.store import charges, deployments, idempotency, runs
from chalicelib.store.errors import Busy, Exists, Full, StoreError

#: How long an idempotency key is remembered.
REMEMBERED = timedelta(hours=24)
#: The kind of request that a trigger's idempotency key is unique for.
TRIGGER = "trigger"
#: What it takes to ask the API for a run, about: the request, the invocation that answers it and 50 ms of its time, and
#: two reads, of what is deployed and of an idempotency key. It is not measured, because the run is put before the end.
_REQUEST = Units(api_requests=1, invocations=1, lambda_mb_ms=1024 * 50, read_halves=4)


@dataclass(frozen=True, kw_only=True)
class Triggered:
    """What a trigger came to."""

    run: Run
    #: Whether the same request had been made before, and this is its run.
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Start:
    """What whoever starts a run says of it; everything else follows from what is deployed."""

    #: The run's id. The same start asked for again has the same, so that it makes no second run.
    run_id: str
    #: ``api``, ``schedule``, ``workflow``.
    triggered_by: str
    #: The name or id of the key or run that starts it.
    created_by: str
    created_by_key_id: str | None = None
    payload: Json = None
    #: Added to the workflow's own, and put in place of those of the same name.
    tags: Mapping[str, str] = field(default_factory=dict)
    #: By ref, whether a step is to run.
    overrides: Mapping[str, bool] = field(default_factory=dict)
    #: Its place among its workflow's runs, if it has been given one.
    number: int | None = None
    #: What lists show of a payload that is too large for them to read.
    excerpt: str | None = None
    #: The run that starts it, if it is a sub-workflow, and the step that waits for it, if one does.
    parent: Run | None = None
    parent_step: str | None = None


def trigger(  # noqa: PLR0913 - what a caller may say of a run
    project_id: str,
    workflow_id: str,
    *,
    connection_id: str,
    payload: Json,
    actor: Actor,
    once: Once | None,
    now: datetime,
    outside: Outside | None = None,
    tags: Mapping[str, str] | None = None,
    overrides: Mapping[str, bool] | None = None,
    run_id: str | None = None,
) -> Triggered:
    """Start a run of the version that is deployed on the connection.

    With an idempotency key the key's record and the run are written in one transaction, so that a key has one run
    however often it is sent. A ``run_id`` that the caller has derived from its own key does the same.
    """
    outside = outside or current()
    if once is not None:
        first = first_use(project_id, once, now)
        if first is not None:
            return replayed(first, now=now, outside=outside)
    start = Start(
        run_id=run_id or str(uuid.uuid4()),
        triggered_by="api",
        created_by=actor.name,
        created_by_key_id=actor.key_id,
        payload=payload,
        tags=tags or {},
        overrides=overrides or {},
    )
    return begin(deployed(project_id, workflow_id, connection_id), start, once=once, now=now, outside=outside)


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
    """Start a sub-workflow's run on the parent's connection; one that is there already is left alone.

    Where the workflow has as many runs as it may, the step's attempt fails, and its retries try again.
    """
    start = Start(
        run_id=child_id,
        triggered_by="workflow",
        created_by=parent.id,
        payload=payload,
        parent=parent,
        parent_step=parent_step,
    )
    deployment = deployed(parent.project_id, workflow_id, parent.connection_id)
    try:
        begin(deployment, start, now=now, outside=outside)
    except TooMany as refused:
        raise CallFailed(refused.code, refused.message, retryable=True) from refused


def begin(
    deployment: Deployment, start: Start, *, now: datetime, outside: Outside, once: Once | None = None
) -> Triggered:
    """Start a run of what is deployed; see ``launch``."""
    run = _run(deployment, start, now=now, outside=outside)
    excerpt = start.excerpt if isinstance(run.payload, Offloaded) else None
    return launch(run, settings=deployment.settings, now=now, outside=outside, once=once, excerpt=excerpt)


def launch(
    run: Run,
    *,
    settings: WorkflowSettings,
    now: datetime,
    outside: Outside,
    once: Once | None = None,
    records: Sequence[StepRecord] = (),
    history: HistoryRecord | None = None,
    excerpt: str | None = None,
) -> Triggered:
    """Record a new run and have it driven; one that was started under this id or key before is returned instead.

    ``records`` are steps that it need not make any more, ``history`` what is to be known of its start. TooMany where
    the workflow has as many runs that have not ended as its settings allow: a run and its place among them are one
    transaction, so that of two that want the last place one has it.
    """
    beside = (once is not None) + run.counted + (history is not None) + (excerpt is not None) + len(records)
    run = replace(run, units=_used(run, beside=beside))
    try:
        runs.put(
            run,
            idempotency=use_of(once, run, now) if once is not None else None,
            most_concurrent=settings.max_concurrent_runs,
            records=records,
            history=history,
            excerpt=excerpt,
        )
    except (Exists, Busy, Full) as error:
        # The same start was faster, perhaps this very one with its answer lost: its run is the answer, once it can be
        # seen. It may have taken the last place that the workflow had.
        first = first_use(run.project_id, once, now) if once is not None else runs.load(run.id)
        if first is None:
            raise _not_started(error, settings, once) from error
        return replayed(first, now=now, outside=outside)
    telling.started(run)
    wake(run, now=now, outside=outside)
    return Triggered(run=run, replayed=False)


def replayed(first: Run, *, now: datetime, outside: Outside) -> Triggered:
    """Return the answer to a start that was made before; whoever made it may have died before its run was driven."""
    if first.status is RunStatus.PENDING:
        wake(first, now=now, outside=outside)
    return Triggered(run=first, replayed=True)


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
    refuse_disabled(deployment.settings)
    return deployment


def refuse_disabled(settings: WorkflowSettings) -> None:
    """Refuse to start a run of a workflow that is switched off."""
    if not settings.enabled:
        raise BadRequest("workflow is disabled")


def event_id(at: datetime, unique: str) -> str:
    """Return an id that sorts by arrival."""
    return f"{int(at.timestamp() * 1_000_000):016d}-{unique}"


def _run(deployment: Deployment, start: Start, *, now: datetime, outside: Outside) -> Run:
    values = Values(project_id=deployment.project_id, payloads=outside.payloads)
    settings, parent = deployment.settings, start.parent
    return Run(
        id=start.run_id,
        project_id=deployment.project_id,
        workflow_id=deployment.workflow_id,
        version_id=deployment.version_id,
        version=deployment.version,
        connection_id=deployment.connection_id,
        status=RunStatus.PENDING,
        triggered_by=start.triggered_by,
        created_by=start.created_by,
        created_by_key_id=start.created_by_key_id,
        number=start.number,
        created_at=now,
        updated_at=now,
        expires_at=now + settings.timeout if settings.timeout is not None else None,
        tags=_tags(settings, start.tags),
        disabled=_disabled(deployment, start.overrides, values),
        payload=values.kept(start.payload),
        max_parallel_steps=settings.max_parallel_steps,
        counted=settings.max_concurrent_runs > 0,
        parent_run_id=parent.id if parent and start.parent_step else None,
        parent_step=start.parent_step,
        depth=parent.depth + 1 if parent else 0,
        next_check_at=now + CHECK_AFTER,
    )


def _used(run: Run, *, beside: int) -> Units:
    """Return what a start has used: its write, and what has been asked of the API.

    What starts a sub-workflow is the parent's driver, which is metered itself.
    """
    if run.triggered_by == "workflow":
        return NO_UNITS
    return charges.creation(run, beside=beside) + (_REQUEST if run.created_by_key_id is not None else NO_UNITS)


def _not_started(error: StoreError, settings: WorkflowSettings, once: Once | None) -> Exception:
    if isinstance(error, Full):
        return no_place(settings)
    return error if once is None else Conflict("a request with this Idempotency-Key is still in flight")


def no_place(settings: WorkflowSettings) -> TooMany:
    """Return what is said to whom a workflow has as many runs as it may."""
    limit = settings.max_concurrent_runs
    return TooMany(f"workflow has {limit} active runs, its max_concurrent_runs; try again once one has ended")


def _tags(settings: WorkflowSettings, tags: Mapping[str, str]) -> Mapping[str, str]:
    together = {**settings.tags, **tags}
    if len(together) > MOST_TAGS:
        message = f"a run carries at most {MOST_TAGS} tags, with its workflow's own it would be {len(together)}"
        raise Invalid(message, field="tags", details=(Detail(path="tags", message=message),))
    return together


def _disabled(deployment: Deployment, overrides: Mapping[str, bool], values: Values) -> tuple[str, ...]:
    """Return the steps that are not to run; what names no step of the version is refused. Mostly nothing is read."""
    if not overrides:
        return ()
    steps = versions.definition(deployment.workflow_id, deployment.version, deployment.version_id, values).steps
    details = tuple(
        Detail(path=f"step_overrides.{index}.step_ref", message=f"the workflow has no step {ref}")
        for index, ref in enumerate(overrides)
        if ref not in steps
    )
    if details:
        raise Invalid(details[0].message, field=details[0].path, details=details)
    return tuple(ref for ref, enabled in overrides.items() if not enabled)


def use_of(once: Once, run: Run, now: datetime) -> IdempotencyRecord:
    """Return the record that an idempotency key has been used, for this run."""
    return IdempotencyRecord(
        scope=once.scope,
        key=once.key,
        project_id=run.project_id,
        request_digest=once.request_digest,
        run_id=run.id,
        created_at=now,
        expires_at=now + REMEMBERED,
    )


def first_use(project_id: str, once: Once, now: datetime) -> Run | None:
    """Return the run that the key was first used for; None if the key is free."""
    return of_use(idempotency.load(project_id, once.scope, once.key, now=now), once)


def of_use(record: IdempotencyRecord | None, once: Once) -> Run | None:
    """Return the run that a key has been used for, by its record; None if the key is free."""
    if record is None or record.run_id is None:
        return None
    if record.request_digest != once.request_digest:
        message = "the Idempotency-Key was used before with another request"
        raise IdempotencyMismatch(message, field="Idempotency-Key")
    return runs.load(record.run_id)
