"""What people do to a step: approve, reject, skip, force-complete, retry, replay what comes after it.

Each is judged on the run as it is recorded, and written as one transaction on condition that it still is so: the step's
record, or a reset in the run, with a record of who did it. Then the run is woken.

**The hold.** A driver claims steps with the write of another step's record, which no condition on the run can see. So
where a run is being driven, a verb first has its driver claim nothing for a moment (``Run.hold_until``), waits until
the driver must have seen that, and judges then: what it finds unclaimed stays so until it is written. A verb that dies
behind its hold delays the run by two seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from chalicelib.services import abandoned, approvals, emissions, inspections, retries, tickets, verbs, waking
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.inspections import Inspection
from chalicelib.services.outside import Outside, current
from chalicelib.services.verbs import MOST_ROUNDS, Ask
from chalicelib.store import runs
from chalicelib.store.errors import Busy, Full, Superseded

#: How long a driver claims nothing; many times what judging and writing take.
HOLD: Final = timedelta(seconds=2)
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
class _Case:
    """One verb, asked of one step."""

    verb: StepVerb
    project_id: str
    run_id: str
    key: str
    ask: Ask
    clock: Clock
    outside: Outside
    #: What the verb writes of the step; None where it is a reset that it writes.
    record: Callable[[Inspection, Entry, datetime], StepRecord] | None = None


def approve(
    project_id: str,
    run_id: str,
    key: str,
    *,
    comment: str | None = None,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Complete a step that waits for approval; only a key that the step names may, and perhaps not the run's own."""

    def record(inspection: Inspection, of: Entry, now: datetime) -> StepRecord:
        _check_approver(inspection.run, of, ask)
        output: Json = {"approved": True, "by": ask.actor.name, "at": now.isoformat(), "comment": comment}
        match transformed(inspection.progress, key, Completed(output=output)):
            case Completed(output=made):
                return repair.decided(inspection.progress, key, StepVerb.APPROVE, now=now, output=made)
            case Failed(error=error):
                raise BadRequest(f"step {key} cannot be approved: {error.message}")
        raise AssertionError  # a completed outcome is transformed into nothing else

    return _do(_case(StepVerb.APPROVE, project_id, run_id, key, ask, clock, outside, record))


def reject(
    project_id: str,
    run_id: str,
    key: str,
    *,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Fail a step that waits for approval, with the reason; its policy applies, and it is not tried again."""

    def record(inspection: Inspection, of: Entry, now: datetime) -> StepRecord:
        _check_approver(inspection.run, of, ask)
        message = f"rejected by {ask.actor.name}" + (f": {ask.reason}" if ask.reason else "")
        error = StepError(code=REJECTED, message=message, step=key)
        return repair.decided(inspection.progress, key, StepVerb.REJECT, now=now, error=error)

    return _do(_case(StepVerb.REJECT, project_id, run_id, key, ask, clock, outside, record))


def skip(
    project_id: str,
    run_id: str,
    key: str,
    *,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Skip a step that has not started or only waits; what comes after it goes on as if it had completed."""

    def record(inspection: Inspection, _of: Entry, now: datetime) -> StepRecord:
        reason = ask.reason or f"skipped by {ask.actor.name}"
        error = StepError(code=repair.SKIPPED, message=reason, step=key)
        return repair.decided(inspection.progress, key, StepVerb.SKIP, now=now, error=error)

    return _do(_case(StepVerb.SKIP, project_id, run_id, key, ask, clock, outside, record))


def force_complete(
    project_id: str,
    run_id: str,
    key: str,
    *,
    result: Json = None,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Complete a step that does not run, with ``result`` as its output; what comes after it goes on."""

    def record(inspection: Inspection, _of: Entry, now: datetime) -> StepRecord:
        kept = inspection.values.kept(result)
        return repair.decided(inspection.progress, key, StepVerb.FORCE_COMPLETE, now=now, output=kept)

    return _do(_case(StepVerb.FORCE_COMPLETE, project_id, run_id, key, ask, clock, outside, record))


def retry(
    project_id: str,
    run_id: str,
    key: str,
    *,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Have a step that has ended begin anew, with what had not run because of it; a run that has ended is reopened."""
    return _do(_case(StepVerb.RETRY, project_id, run_id, key, ask, clock, outside))


def replay(
    project_id: str,
    run_id: str,
    key: str,
    *,
    ask: Ask,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Repaired:
    """Have a step and all that comes after it begin anew; the others keep their outputs."""
    return _do(_case(StepVerb.REPLAY, project_id, run_id, key, ask, clock, outside))


def _case(
    verb: StepVerb,
    project_id: str,
    run_id: str,
    key: str,
    ask: Ask,
    clock: Clock | None,
    outside: Outside | None,
    record: Callable[[Inspection, Entry, datetime], StepRecord] | None = None,
) -> _Case:
    return _Case(
        verb=verb,
        project_id=project_id,
        run_id=run_id,
        key=key,
        ask=ask,
        clock=clock or SystemClock(),
        outside=outside or current(),
        record=record,
    )


def _do(case: _Case) -> Repaired:
    """Judge and write, and judge anew where the run changed in between; a verb that is declined is recorded too."""
    held: Run | None = None
    for _ in range(MOST_ROUNDS):
        inspection, now = inspections.load(case.project_id, case.run_id, outside=case.outside), case.clock.now()
        if _needs_hold(inspection.run, now):
            held = _hold(inspection.run, now, case.clock)
            continue
        try:
            return _write(case, inspection, now)
        except (Superseded, Busy):
            continue
        except NotFound:
            raise
        except Refusal as refused:
            _note(case, inspection, refused, held, now)
            raise
    raise verbs.contended()


def _needs_hold(run: Run, now: datetime) -> bool:
    """Whether somebody might claim steps while the run is being judged."""
    driven = run.lease is not None and now < run.lease.expires_at and not run.status.ended
    return driven and (run.hold_until is None or run.hold_until - now < _MARGIN)


def _hold(run: Run, now: datetime, clock: Clock) -> Run | None:
    try:
        held = runs.hold(run, now + HOLD)
    except (Superseded, Busy):
        return None
    clock.sleep(waking.OUTLAST_SIGHT.total_seconds())
    return held


def _write(case: _Case, inspection: Inspection, now: datetime) -> Repaired:
    before, progress = inspection.run, inspection.progress
    inspections.carried_on(inspection, now)
    of = repair.judged(before, progress, case.key, case.verb)
    if of is None:
        message = "Step not found"
        raise NotFound(message)
    if case.record is None:
        return _begin_anew(case, inspection, of, now)
    record = case.record(inspection, of, now)
    after = replace(before, hold_until=None, updated_at=now, next_check_at=_soon(before, now))
    emissions.emit(before, progress, [record], now=now, outside=case.outside)
    changed = runs.repair(
        before,
        after,
        record=record,
        write_id=secrets.token_hex(4),
        ticket=tickets.closing(before.project_id, record, now=now, by=case.ask.actor.name),
        history=_history(case, of, record.status, now),
        answer_token=before.park_token is not None,
    )
    waking.wake(before, now=now, outside=case.outside)
    if record.wait is not None and record.wait.ticket is None:
        abandoned.take_down(changed, [record], now=now, outside=case.outside)
    return Repaired(run=changed, step=inspection.with_record(record, changed).step(case.key))


def _begin_anew(case: _Case, inspection: Inspection, of: Entry, now: datetime) -> Repaired:
    before, progress = inspection.run, inspection.progress
    reset = repair.reset(before, progress, of, case.verb)
    after, most = _reopened(before, case, now) if before.status.ended else (before, 0)
    after = replace(
        after,
        resets=(*before.resets, reset),
        hold_until=None,
        updated_at=now,
        next_check_at=_soon(before, now),
    )
    try:
        changed = runs.repair(
            before,
            after,
            history=_history(case, of, StepStatus.PENDING, now),
            answer_token=before.park_token is not None,
            most_concurrent=most,
        )
    except Full as error:
        message = f"the workflow has as many active runs as max_concurrent_runs allows ({most}); try again later"
        raise TooMany(message) from error
    waking.wake(before, now=now, outside=case.outside)
    begun = repair.subtree(progress, case.key)
    given_up = [
        replace(one, status=StepStatus.CANCELED)
        for key, one in progress.waiting.items()
        if case.verb is StepVerb.REPLAY and ref_of(key) in begun
    ]
    abandoned.take_down(changed, given_up, now=now, outside=case.outside)
    return Repaired(run=changed, step=inspection.with_run(changed).step(case.key), reset=len(begun))


def _reopened(run: Run, case: _Case, now: datetime) -> tuple[Run, int]:
    """Return the run as it goes on, and how many runs its workflow may have; it has its whole time once more."""
    settings = retries.settings_of(run.project_id, run.workflow_id, run.connection_id)
    reopened, _ = move(run, RunCommand.REOPEN, actor=case.ask.actor.name, at=now)
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


def _history(case: _Case, of: Entry, after: StepStatus, now: datetime) -> HistoryRecord:
    return case.ask.record(case.run_id, str(case.verb), step=case.key, before=str(of.status), after=str(after), at=now)


def _note(case: _Case, inspection: Inspection, refused: Refusal, held: Run | None, now: datetime) -> None:
    """Record a verb that was declined, and end its hold; should that fail, the answer stays the refusal."""
    status = str(inspection.step(case.key).status)
    record = case.ask.record(
        case.run_id, str(case.verb), step=case.key, before=status, after=status, at=now, refusal=refused.message
    )
    runs.note(record, release_hold_of=held)
