"""What people do to a run as a whole: pause, resume, terminate, send an event.

Each is one transaction: the change, on condition that the run still is as it was judged, and a record of who did it.
Then the run is woken.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib import logs
from chalicelib.domain import waits
from chalicelib.domain.access import Actor
from chalicelib.domain.definition import StepSpec, StepType
from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.domain.idempotency import Once
from chalicelib.domain.manners import TRIGGER_API, Manners
from chalicelib.domain.refusal import Conflict, Detail, Invalid, NotFound, ScopeMissing
from chalicelib.domain.run import Run, RunCommand, RunStatus, move
from chalicelib.domain.step import Event, StepError
from chalicelib.domain.value import Json
from chalicelib.logs import Action
from chalicelib.services import definitions, reports, telling, waking
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.services.starts import Triggered, event_id, first_use, use_of
from chalicelib.services.values import Values
from chalicelib.store import runs
from chalicelib.store.errors import Busy, Exists, Superseded

#: How often a verb is judged anew because the run changed under it.
MOST_ROUNDS = 8


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Who asks for a verb, and why."""

    actor: Actor
    #: The id that the caller's response carries.
    request_id: str
    reason: str | None = None

    def record(
        self,
        run_id: str,
        command: str,
        *,
        before: str,
        after: str,
        at: datetime,
        step: str | None = None,
        refusal: str | None = None,
    ) -> HistoryRecord:
        """Return what is kept of a command, for whoever asks later who did it."""
        return HistoryRecord(
            # Of two records of one microsecond the one made later in this process comes later.
            id=f"{time.monotonic_ns():016x}-{uuid.uuid4().hex[:12]}",
            run_id=run_id,
            at=at,
            actor_key_id=self.actor.key_id,
            actor_name=self.actor.name,
            command=command,
            step=step,
            before=before,
            after=after,
            reason=self.reason,
            refusal=refusal,
            request_id=self.request_id,
            outcome=Outcome.DONE if refusal is None else Outcome.REFUSED,
        )

    def done(self, run_id: str, command: str, *, step: str | None = None) -> None:
        """Tell that a command has been done, once it is written."""
        about: logs.About = {"run_id": run_id, "command": command, "key_id": self.actor.key_id}
        if step is not None:
            about["step"] = step
        logs.tell(Action.VERB_DONE, **about)


def load(project_id: str, run_id: str, workflow_id: str | None = None) -> Run:
    """Return a run of the project, and of the workflow if one is given; another's is refused as unknown."""
    run = runs.load(run_id)
    if run is None or run.project_id != project_id or workflow_id not in {None, run.workflow_id}:
        message = "Run not found"
        raise NotFound(message)
    return run


def pause(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    ask: Ask,
    manners: Manners = TRIGGER_API,
    now: datetime,
    clock: Clock | None = None,
) -> Run:
    """Pause a run; paused already, it stays as it is. Once this returns, no step starts."""
    run, before = _change(
        RunCommand.PAUSE, project_id, run_id, workflow_id=workflow_id, ask=ask, manners=manners, now=now
    )
    if before is not None:
        outlast_sight(before, now, clock or SystemClock())
    return run


def resume(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    ask: Ask,
    manners: Manners = TRIGGER_API,
    now: datetime,
    outside: Outside | None = None,
) -> Run:
    """Let a paused run go on."""
    run, before = _change(
        RunCommand.RESUME, project_id, run_id, workflow_id=workflow_id, ask=ask, manners=manners, now=now
    )
    if before is not None:
        waking.wake(before, now=now, outside=outside or current())
    return run


def terminate(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    ask: Ask,
    manners: Manners = TRIGGER_API,
    now: datetime,
    outside: Outside | None = None,
    clock: Clock | None = None,
) -> Run:
    """End a run; ended so already, it stays as it is.

    Once this returns, no step starts; its children are canceled soon after.
    """
    outside = outside or current()
    run, before = _change(
        RunCommand.CANCEL, project_id, run_id, workflow_id=workflow_id, ask=ask, manners=manners, now=now
    )
    if before is None:
        # Asked again, perhaps because the first answer was lost, and with it the wake-up that cancels the children.
        outside.invoker.drive(run.id)
        return run
    if before.park_token is not None or before.waiting_for:
        waking.wake(before, now=now, outside=outside)
    reports.wake_parent(before, now=now, outside=outside)
    outlast_sight(before, now, clock or SystemClock())
    return run


def deliver(  # noqa: PLR0913 - an event has these parts
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    event_type: str,
    payload: Json,
    actor: Actor,
    now: datetime,
    outside: Outside | None = None,
    once: Once | None = None,
) -> Triggered:
    """Send an event to a run, which keeps it until a wait of that type takes it; a run that has ended refuses it.

    An idempotency key and the event are recorded in one transaction: however often it is sent, the event is there once.
    """
    outside = outside or current()
    for _ in range(MOST_ROUNDS):
        if once is not None:
            first = first_use(project_id, once, now)
            if first is not None:
                return Triggered(run=first, replayed=True)
        run = load(project_id, run_id, workflow_id)
        if run.status.ended:
            message = f"the run has ended ({run.status}); it takes no events"
            raise Conflict(message)
        values = Values(project_id=project_id, payloads=outside.payloads)
        _check_decision(run, values, event_type, payload, actor)
        event = Event(
            id=event_id(now, uuid.uuid4().hex[:8]),
            type=event_type,
            payload=values.kept(payload),
            sent_by=actor.name,
            received_at=now,
        )
        try:
            runs.put_event(
                run,
                event,
                answer_token=run.park_token is not None,
                next_check_at=now + waking.CHECK_AFTER,
                idempotency=use_of(once, run, now) if once else None,
            )
        except (Superseded, Exists, Busy):
            continue
        logs.tell(
            Action.EVENT_DELIVERED,
            project_id=project_id,
            workflow_id=run.workflow_id,
            run_id=run_id,
            key_id=actor.key_id,
            kind="event",
        )
        waking.wake(run, now=now, outside=outside)
        return Triggered(run=run, replayed=False)
    raise contended()


def _change(
    command: RunCommand,
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None,
    ask: Ask,
    manners: Manners,
    now: datetime,
) -> tuple[Run, Run | None]:
    """Record a verb; return the run after it, and before it, or None where it already was as asked.

    One that is declined is recorded too.
    """
    for _ in range(MOST_ROUNDS):
        before = load(project_id, run_id, workflow_id)
        if manners.is_done(command, before.status):
            return before, None
        refused = manners.refusal(command, before.status)
        if refused is not None:
            status = str(before.status)
            runs.note(ask.record(run_id, str(command), before=status, after=status, at=now, refusal=refused.message))
            raise refused
        after, fact = move(before, command, actor=ask.actor.name, at=now, reason=ask.reason)
        if after.status is RunStatus.CANCELED:
            after = replace(after, error=StepError(code="canceled", message="canceled by user"))
        elif command is RunCommand.RESUME:
            # Should the wake-up be lost, the sweep finds the run soon, not at the time that it was parked until.
            after = replace(after, next_check_at=now + waking.CHECK_AFTER)
        answers = command is not RunCommand.PAUSE and before.park_token is not None
        try:
            changed = runs.change(
                before,
                after,
                history=ask.record(run_id, str(command), before=str(fact.before), after=str(fact.after), at=now),
                answer_token=answers,
                parent_event=reports.report(after, now=now) if after.status.ended else None,
            )
        except (Superseded, Busy):
            continue
        ask.done(run_id, str(command))
        if changed.status.ended:
            telling.ended(changed)
        return changed, before
    raise contended()


def outlast_sight(before: Run, now: datetime, clock: Clock) -> None:
    """Wait until whoever drives the run must have seen the change; see ``drive``."""
    if before.lease is not None and now < before.lease.expires_at:
        clock.sleep(waking.OUTLAST_SIGHT.total_seconds())


def _check_decision(run: Run, values: Values, event_type: str, payload: Json, actor: Actor) -> None:
    """Refuse an event that is meant to decide an approval but cannot, or is not this actor's to send."""
    for spec in definitions.of(run, values).steps.values():
        if spec.type is not StepType.APPROVAL or event_type != waits.approval_event(spec.ref):
            continue
        if not waits.valid_decision(payload):
            rule = "an approval is decided by {approved: true|false, comment?: text}"
            raise Invalid(rule, details=(Detail(path="params.payload", message=rule),))
        _check_approver(run, spec, actor)


def _check_approver(run: Run, spec: StepSpec, actor: Actor) -> None:
    """Refuse an actor who is not to decide an approval, by what it waits for, else by what is written of it.

    Before it waits nobody knows whom a template will name: until then nobody decides such a one.
    """
    record = runs.load_steps([(run.id, spec.ref)]).get((run.id, spec.ref))
    if record is not None and record.wait is not None and not record.status.ended:
        approvers: Json = record.wait.approvers
    else:
        approvers = spec.config.get("approvers")
    if isinstance(approvers, str):
        message = f"step {spec.ref} does not wait yet, and who may approve it is not known before"
        raise Conflict(message)
    if isinstance(approvers, list | tuple) and approvers and not {"*", actor.key_id, actor.name} & set(approvers):
        message = f"approver {actor.name} is not allowed for step {spec.ref}"
        raise ScopeMissing(message)
    if spec.config.get("forbidSelfApproval") is True and run.created_by_key_id == actor.key_id:
        message = f"approver {actor.name} started the run and may not approve step {spec.ref}"
        raise ScopeMissing(message)


def contended() -> Conflict:
    """Return what is said when a run changed under a verb too often."""
    return Conflict("the run is being changed by others at this moment; try again")
