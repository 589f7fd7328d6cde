"""What happens next in a run. Pure: it takes what is recorded and the time, and returns what to record and what to do.

``decide`` answers from the records alone. A driver keeps the ``Progress`` of the run it drives and calls ``conclude``
with each result and ``advance`` after it, which is the same decision without folding the records anew.

Rules that hold whatever happens, and that the property tests hold it to:

* a step is claimed only when an edge that leads to it was taken, its block is open, and the run is running;
* a record that has ended never changes by itself; a run that has ended claims nothing;
* while a run has not ended it has something claimed, something that waits for a time or an event, or something to
  claim;
* the same records give the same decision, in whatever order they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain import containers, starting, waits
from chalicelib.domain.definition import Definition
from chalicelib.domain.outcome import Completed, Failed, Outcome, Waiting
from chalicelib.domain.progress import Progress
from chalicelib.domain.recording import carried, failed, recorded, revision, transformed
from chalicelib.domain.run import RunStatus
from chalicelib.domain.scope import RunFacts
from chalicelib.domain.starting import Driver, Limits, Started
from chalicelib.domain.step import AT_WORK, Claim, Event, StepError, StepRecord, StepStatus
from chalicelib.domain.value import Json, Resolve, resolved

#: A step whose attempts are lost this often in a row fails: it ends the Lambda that runs it.
MOST_LOSSES = 3


@dataclass(frozen=True, kw_only=True)
class Finish:
    """That the run ends."""

    status: RunStatus
    output: Json = None
    error: StepError | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to record, in this order, and what to do."""

    #: Records that follow from what is known: waits that are over, containers that concluded, attempts that are lost
    #: for good.
    records: tuple[StepRecord, ...] = ()
    #: Attempts to claim with the last of these writes, beside those that its record carries, and then to make.
    claims: tuple[Claim, ...] = ()
    finish: Finish | None = None
    #: When to look again, if nothing happens before.
    wake_at: datetime | None = None


def decide(  # noqa: PLR0913 - a run's record has these parts
    definition: Definition,
    run: RunFacts,
    *,
    status: RunStatus,
    records: Iterable[StepRecord],
    claims: Mapping[str, Claim],
    events: Iterable[Event],
    now: datetime,
    driver: Driver | None,
    resolve: Resolve,
    limits: Limits | None = None,
) -> Decision:
    """Return what happens next in a run of which this is recorded."""
    progress = Progress.rebuild(definition, run, records=records, claims=claims, events=events, resolve=resolve)
    return advance(progress, status=status, now=now, driver=driver, limits=limits)


def advance(
    progress: Progress,
    *,
    status: RunStatus,
    now: datetime,
    driver: Driver | None,
    limits: Limits | None = None,
) -> Decision:
    """Carry the progress on as far as it goes without outside help, and return what that means.

    Without a driver nothing is claimed. The progress has taken in the returned records and claims: when they cannot
    be written, it must be dropped and rebuilt.
    """
    limits = limits or Limits()
    if status.ended:
        return Decision()
    held = limits.hold_until is not None and now < limits.hold_until
    # Events go before times: one that came in time ends the wait that it would have ended had it been seen at once.
    records = _followed(progress, now)
    for key in progress.timers.due_by(now):
        record = _due(progress, key, now)
        if record is not None and progress.record(record):
            records.append(record)
    claims: dict[str, Claim] = {}
    while True:
        records.extend(_followed(progress, now))
        finish = _finish(progress, now, limits)
        if finish is not None:
            return Decision(records=tuple(records), finish=finish)
        started = Started()
        if driver and status is not RunStatus.PAUSED and not held:
            started = starting.start(progress, now, driver, limits)
        claims.update((claim.key, claim) for claim in started.claims)
        records.extend(started.records)
        # A container that is opened anew may find its end on record.
        over = progress.done or progress.failure is not None
        if not (progress.conclusions or started.records or over):
            break
    under_way = tuple(claim for claim in claims.values() if claim.key in progress.claimed or claim.key in progress.open)
    wake_at = _earliest(progress.timers.next_due(), limits.expires_at, limits.hold_until if held else None)
    return Decision(records=tuple(records), claims=under_way, wake_at=wake_at)


def recover(progress: Progress, *, owner: str, under_way: frozenset[str]) -> None:
    """Count as lost the attempts that ``owner`` claimed and is not making.

    It is Lambda's retry of an invocation that died.
    """
    for key, claim in list(progress.claimed.items()):
        if claim.owner == owner and key not in under_way:
            progress.lose(key)


def conclude(progress: Progress, key: str, outcome: Outcome, *, now: datetime) -> StepRecord:
    """Return the record of what the attempt under way came to. It is not taken in yet."""
    claim = progress.claimed[key]
    match outcome:
        case Completed():
            return recorded(progress, claim, StepStatus.COMPLETED, now, output=outcome.output, branch=outcome.branch)
        case Waiting():
            # Work that is handed to a worker or an agent outside counts as running.
            status = StepStatus.RUNNING if outcome.wait.kind in AT_WORK else StepStatus.WAITING
            waiting = recorded(progress, claim, status, now, wait=outcome.wait)
            return _ended_wait(progress, waiting, now) or waiting
        case Failed():
            return failed(progress, claim, outcome, now)


def _due(progress: Progress, key: str, now: datetime) -> StepRecord | None:
    """Return the record of a step whose time is over, or make it ready again."""
    if key in progress.retrying:
        progress.due(key)
        return None
    if key in progress.waiting:
        return _ended_wait(progress, progress.waiting[key], now)
    claim = progress.claimed[key]
    if claim.losses + 1 < MOST_LOSSES:
        progress.lose(key)
        return None
    why = f"the step's Lambda ended, or Stepwell's own table or bucket failed it, {MOST_LOSSES} times in a row"
    error = StepError(code="lost", message=why, step=key)
    return recorded(progress, claim, StepStatus.FAILED, now, error=error)


def _followed(progress: Progress, now: datetime) -> list[StepRecord]:
    """Take in what follows from what is known.

    Events for those who wait, races that are decided, containers that concluded.
    """
    followed: list[StepRecord] = []
    again = True
    while again:
        again = False
        for waiting in waits.matched(progress):
            record = _ended_wait(progress, waiting, now)
            if record is not None and progress.record(record):
                followed.append(record)
                again = True
        for key, container in list(progress.open.items()):
            conclusion = progress.conclusions.get(key) or containers.first_arm(progress, container)
            if conclusion is None or key not in progress.open:
                continue
            claim = progress.claims[key]
            status = StepStatus.FAILED if conclusion.failure else StepStatus.COMPLETED
            record = recorded(
                progress,
                claim,
                status,
                now,
                output=conclusion.output,
                error=conclusion.failure,
                branch=conclusion.branch,
            )
            progress.record(record)
            followed.append(record)
            again = True
    return followed


def _finish(progress: Progress, now: datetime, limits: Limits) -> Finish | None:
    if progress.failure is not None:
        error = progress.failure.error
        return Finish(status=RunStatus.FAILED, error=error)
    if progress.done:
        return Finish(status=RunStatus.COMPLETED, output=_answer(progress))
    if limits.expires_at is not None and limits.expires_at <= now:
        return Finish(status=RunStatus.TIMED_OUT, error=StepError(code="timeout", message="workflow timed out"))
    return None


def _answer(progress: Progress) -> Json:
    """Return what the run answers; a sub-workflow made of steps answers with the output of each."""
    if not progress.definition.answers_by_step or progress.run.triggered_by != "workflow":
        return progress.answer_of(progress.root, by_name=True)
    return {
        ref: resolved(record.output, progress.resolve)
        for ref in progress.definition.steps
        if (record := progress.records.get(ref)) is not None and record.status is StepStatus.COMPLETED
    }


def _ended_wait(progress: Progress, waiting: StepRecord, now: datetime) -> StepRecord | None:
    """Return the record of a wait that is over, or None; a wait that failed may be begun again by the step's policy."""
    ended = waits.over(progress, waiting, now=now)
    if ended is None:
        return None
    if ended.status is StepStatus.COMPLETED:
        match transformed(progress, ended.key, Completed(output=ended.output)):
            case Completed(output=output):
                ended = replace(ended, output=output)
            case Failed(error=error):
                ended = replace(ended, status=StepStatus.FAILED, output=None, error=error)
    if ended.status is not StepStatus.FAILED or ended.error is None:
        return replace(ended, revision=revision(progress, ended.key), claims=carried(progress, ended.key))
    claim = Claim(
        key=ended.key,
        attempt=ended.attempt,
        at=ended.started_at or now,
        generation=ended.generation,
        failures=ended.failures,
    )
    record = failed(progress, claim, Failed(error=ended.error, retryable=waits.retryable(ended)), now)
    return replace(record, event_id=ended.event_id, wait=ended.wait)


def _earliest(*times: datetime | None) -> datetime | None:
    return min((at for at in times if at is not None), default=None)
