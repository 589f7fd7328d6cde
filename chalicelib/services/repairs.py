"""What people do to a step: approve, reject, skip, force-complete, retry, replay what comes after it.

Each is judged on the run as it is recorded, and written as one transaction on condition that it still is so: the step's
record, or a reset in the run, with a record of who did it. Then the run is woken.

**The hold.** A driver claims steps with the write of another step's record, which no condition on the run can see. So
where a run is being driven, a verb first has its driver claim nothing for a moment (``Run.hold_until``), waits until
the driver must have seen that, and judges then: what it finds unclaimed stays so until it is written. A verb that dies
behind its hold delays the run by two seconds.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain import repair
from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.outcome import Completed, Failed
from chalicelib.domain.recording import transformed
from chalicelib.domain.refusal import BadRequest, NotFound, Refusal, TooMany
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run, RunCommand, move
from chalicelib.domain.step import StepError, StepRecord, StepStatus
from chalicelib.domain.timeline import Entry
from chalicelib.domain.value import Json
from chalicelib.domain.waits import REJECTED
from chalicelib.services import abandoned, approvals, emissions, inspections, retries, telling, tickets, verbs, waking
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.inspections import Inspection
from chalicelib.services.outside import Outside, current
from chalicelib.services.verbs import MOST_ROUNDS, Ask
from chalicelib.store import runs
from chalicelib.store.errors import Busy, Full, Superseded

#: How long a driver claims nothing; many times what judging and writing take.
HOLD: Final = timedelta(seconds=2)
#: Tickets that are closed in the repair's own transaction; more waits than this are rare, and closed right after.
MOST_CLOSED: Final = 50
#: A hold that is nearer to its end than this is not relied on.
_MARGIN: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """A run and one of its steps after a verb."""

    run: Run
    step: Entry
    #: How many steps begin anew; 0 where the verb had none do so.
    reset: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A step of a run, and who asks something of it."""

    project_id: str
    run_id: str
    #: The step's key.
    key: str
    ask: Ask
    clock: Clock = field(default_factory=SystemClock)
    outside: Outside = field(default_factory=current)


#: Returns the record that a verb writes of a step.
Record = Callable[[Inspection, Entry, datetime], StepRecord]


def approve(asked: Asked, *, comment: str | None = None) -> Repaired:
    """Complete a step that waits for approval; only a key that the step names may, and perhaps not the run's own."""

    def record(inspection: Inspection, of: Entry, now: datetime) -> StepRecord:
        _check_approver(inspection.run, of, asked.ask)
        output: Json = {"approved": True, "by": asked.ask.actor.name, "at": now.isoformat(), "comment": comment}
        match transformed(inspection.progress, asked.key, Completed(output=output)):
            case Completed(output=made):
                return repair.decided(inspection.progress, asked.key, StepVerb.APPROVE, now=now, output=made)
            case Failed(error=error):
                raise BadRequest(f"step {asked.key} cannot be approved: {error.message}")
        raise AssertionError  # a completed outcome is transformed into nothing else

    return _do(asked, StepVerb.APPROVE, record)


def reject(asked: Asked) -> Repaired:
    """Fail a step that waits for approval, with the reason; its policy applies, and it is not tried again."""

    def record(inspection: Inspection, of: Entry, now: datetime) -> StepRecord:
        _check_approver(inspection.run, of, asked.ask)
        message = f"rejected by {asked.ask.actor.name}" + (f": {asked.ask.reason}" if asked.ask.reason else "")
        error = StepError(code=REJECTED, message=message, step=asked.key)
        return repair.decided(inspection.progress, asked.key, StepVerb.REJECT, now=now, error=error)

    return _do(asked, StepVerb.REJECT, record)


def skip(asked: Asked) -> Repaired:
    """Skip a step that has not started or only waits; what comes after it goes on as if it had completed."""

    def record(inspection: Inspection, _of: Entry, now: datetime) -> StepRecord:
        reason = asked.ask.reason or f"skipped by {asked.ask.actor.name}"
        error = StepError(code=repair.SKIPPED, message=reason, step=asked.key)
        return repair.decided(inspection.progress, asked.key, StepVerb.SKIP, now=now, error=error)

    return _do(asked, StepVerb.SKIP, record)


def force_complete(asked: Asked, *, result: Json = None) -> Repaired:
    """Complete a step that does not run, with ``result`` as its output; what comes after it goes on."""

    def record(inspection: Inspection, _of: Entry, now: datetime) -> StepRecord:
        kept = inspection.values.kept(result)
        return repair.decided(inspection.progress, asked.key, StepVerb.FORCE_COMPLETE, now=now, output=kept)

    return _do(asked, StepVerb.FORCE_COMPLETE, record)


def retry(asked: Asked) -> Repaired:
    """Have a step that has ended begin anew, with what had not run because of it; a run that has ended is reopened."""
    return _do(asked, StepVerb.RETRY)


def replay(asked: Asked) -> Repaired:
    """Have a step and all that comes after it begin anew; the others keep their outputs."""
    return _do(asked, StepVerb.REPLAY)


def _do(asked: Asked, verb: StepVerb, record: Record | None = None) -> Repaired:
    """Judge and write, and judge anew where the run changed in between; a verb that is declined is recorded too."""
    held: Run | None = None
    for _ in range(MOST_ROUNDS):
        inspection, now = inspections.load(asked.project_id, asked.run_id, outside=asked.outside), asked.clock.now()
        if _needs_hold(inspection.run, now):
            held = _hold(inspection.run, now, asked.clock)
            continue
        try:
            if record is None:
                return _begin_anew(asked, verb, inspection, now)
            return _write(asked, verb, record, inspection, now)
        except (Superseded, Busy):
            continue
        except NotFound:
            raise
        except Refusal as refused:
            _note(asked, verb, inspection, refused, held, now)
            raise
    raise verbs.contended()


def _needs_hold(run: Run, now: datetime) -> bool:
    """Whether somebody might claim steps while the run is being judged."""
    driven = run.lease is not None and now < run.lease.expires_at and not run.status.ended
    if not driven:
        return False
    return run.hold_until is None or not run.hold_until - HOLD + waking.OUTLAST_SIGHT <= now < run.hold_until - _MARGIN


def _hold(run: Run, now: datetime, clock: Clock) -> Run | None:
    """Hold the run, or wait until another verb's hold must have been seen; return it if it is this verb's own."""
    if run.hold_until is not None and now < run.hold_until - _MARGIN:
        clock.sleep((run.hold_until - HOLD + waking.OUTLAST_SIGHT - now).total_seconds())
        return None
    try:
        held = runs.hold(run, now + HOLD)
    except (Superseded, Busy):
        return None
    clock.sleep(waking.OUTLAST_SIGHT.total_seconds())
    return held


def _write(asked: Asked, verb: StepVerb, record_of: Record, inspection: Inspection, now: datetime) -> Repaired:
    before, progress = inspection.run, inspection.progress
    of = _judged(asked, verb, inspection, now)
    record = record_of(inspection, of, now)
    after = replace(before, hold_until=None, updated_at=now, next_check_at=_soon(before, now))
    changed = runs.repair(
        before,
        after,
        record=inspection.values.stored(record),
        write_id=secrets.token_hex(4),
        closes=tickets.closing(before.project_id, [record], now=now, by=asked.ask.actor.name),
        history=_history(asked, verb, of, record.status, now),
        answer_token=before.park_token is not None,
    )
    asked.ask.done(asked.run_id, str(verb), step=asked.key)
    telling.failed_steps([record])
    waking.wake(before, now=now, outside=asked.outside)
    # After the write, unlike a driver's: a verb that is declined must tell nobody, and nobody makes it again.
    emissions.emit(before, progress, [record], now=now, outside=asked.outside)
    if abandoned.leaves_work(record):
        abandoned.take_down(changed, [record], now=now, outside=asked.outside)
    return Repaired(run=changed, step=inspection.with_record(record, changed).step(asked.key))


def _judged(asked: Asked, verb: StepVerb, inspection: Inspection, now: datetime) -> Entry:
    """Return the step as it stands, with what the record and the time say already taken in; raises the refusal."""
    inspections.carried_on(inspection, now)
    of = repair.judged(inspection.run, inspection.progress, asked.key, verb)
    if of is None:
        message = "Step not found"
        raise NotFound(message)
    return of


def _begin_anew(asked: Asked, verb: StepVerb, inspection: Inspection, now: datetime) -> Repaired:
    before, progress = inspection.run, inspection.progress
    of = _judged(asked, verb, inspection, now)
    reset = repair.reset(before, progress, of, verb)
    after, most = _reopened(before, asked, now) if before.status.ended else (before, 0)
    after = replace(
        after,
        resets=(*before.resets, reset),
        hold_until=None,
        updated_at=now,
        next_check_at=_soon(before, now),
    )
    begun = repair.subtree(progress, asked.key)
    given_up = [
        replace(one, status=StepStatus.CANCELED)
        for key, one in progress.waiting.items()
        if verb is StepVerb.REPLAY and ref_of(key) in begun
    ]
    closing = tickets.closing(before.project_id, given_up, now=now, by=asked.ask.actor.name)
    try:
        changed = runs.repair(
            before,
            after,
            closes=closing[:MOST_CLOSED],
            history=_history(asked, verb, of, StepStatus.PENDING, now),
            answer_token=before.park_token is not None,
            most_concurrent=most,
        )
    except Full as error:
        message = f"the workflow has as many active runs as max_concurrent_runs allows ({most}); try again later"
        raise TooMany(message) from error
    asked.ask.done(asked.run_id, str(verb), step=asked.key)
    waking.wake(before, now=now, outside=asked.outside)
    if closing[MOST_CLOSED:] or any(abandoned.leaves_work(one) for one in given_up):
        abandoned.take_down(changed, given_up, now=now, outside=asked.outside)
    return Repaired(run=changed, step=inspection.with_run(changed).step(asked.key), reset=len(begun))


def _reopened(run: Run, asked: Asked, now: datetime) -> tuple[Run, int]:
    """Return the run as it goes on, and how many runs its workflow may have; it has its whole time once more."""
    settings = retries.settings_of(run.project_id, run.workflow_id, run.connection_id)
    reopened, _ = move(run, RunCommand.REOPEN, actor=asked.ask.actor.name, at=now)
    counted = settings.max_concurrent_runs > 0
    expires_at = now + settings.timeout if settings.timeout is not None else None
    return replace(reopened, counted=counted, expires_at=expires_at), settings.max_concurrent_runs


def _soon(run: Run, now: datetime) -> datetime:
    """Return when the sweep looks, should the wake-up be lost; a live driver's own time stays."""
    driven = run.lease is not None and now < run.lease.expires_at and run.next_check_at is not None
    return run.next_check_at if driven and run.next_check_at is not None else now + waking.CHECK_AFTER


def _check_approver(run: Run, of: Entry, ask: Ask) -> None:
    assert of.wait is not None  # noqa: S101 - a step that waits for approval
    objection = approvals.objection(of.key, of.wait, run, ask.actor)
    if objection is not None:
        raise BadRequest(objection)


def _history(asked: Asked, verb: StepVerb, of: Entry, after: StepStatus, now: datetime) -> HistoryRecord:
    return asked.ask.record(asked.run_id, str(verb), step=asked.key, before=str(of.status), after=str(after), at=now)


def _note(
    asked: Asked,
    verb: StepVerb,
    inspection: Inspection,
    refused: Refusal,
    held: Run | None,
    now: datetime,
) -> None:
    """Record a verb that was declined, and end its hold; should that fail, the answer stays the refusal."""
    status = str(inspection.step(asked.key).status)
    record = asked.ask.record(
        asked.run_id, str(verb), step=asked.key, before=status, after=status, at=now, refusal=refused.message
    )
    with contextlib.suppress(*PASSING):
        runs.note(record, release_hold_of=held)
