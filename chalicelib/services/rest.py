"""How a driver lets go of a run: parked, handed on, or finished."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib import logs, metering
from chalicelib.domain.engine import Finish
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import Run, RunCommand, RunStatus, move
from chalicelib.domain.step import Claim, WaitKind
from chalicelib.logs import Action
from chalicelib.services import abandoned, reports, telling
from chalicelib.services.outside import Outside
from chalicelib.services.telling import LetGo
from chalicelib.services.values import Values
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import charges, keys, runs

#: A run that waits for nothing that comes by itself is looked at after this long all the same.
LONGEST_REST = timedelta(days=364)

_COMMANDS = {
    RunStatus.COMPLETED: RunCommand.COMPLETE,
    RunStatus.FAILED: RunCommand.FAIL,
    RunStatus.TIMED_OUT: RunCommand.TIME_OUT,
}


def let_go(
    run: Run,
    progress: Progress,
    *,
    wake_at: datetime | None,
    unfinished: bool,
    now: datetime,
    outside: Outside,
) -> LetGo:
    """Release the lease, and say how; Superseded when a verb came meanwhile. A run that can only wait is then parked.

    The release comes first: it is what is conditional on the wake counter, so that nothing is parked which has been
    woken. Between it and the parked execution's own write nothing is lost: a verb that comes then finds no token and
    invokes drive itself, a crash leaves ``next_check_at``, and the execution's write is conditional on the same
    counter.
    """
    if progress.claimed:
        # Attempts that `work` makes, or that outlive this driver: their end invokes drive; their deadline is what the
        # sweep checks.
        _release(run, progress, next_check_at=(wake_at or now) + CHECK_AFTER, now=now)
        return LetGo.AT_WORK
    if unfinished and (progress.ready or progress.retrying) and run.status is not RunStatus.PAUSED:
        _release(run, progress, next_check_at=now + CHECK_AFTER, now=now)
        outside.invoker.drive(run.id)
        return LetGo.OUT_OF_TIME
    until = min(wake_at or now + LONGEST_REST, now + LONGEST_REST)
    kinds = _kinds(run, progress)
    released = runs.release(
        run,
        next_check_at=until + CHECK_AFTER,
        waiting_for=kinds,
        claims=_held(run, progress),
        now=now,
        used=metering.used(closing=charges.RELEASE + charges.PARKING),
    )
    outside.parking.park(
        run_id=run.id,
        pk=keys.run(run.id).pk,
        wake_seq=released.wake_seq,
        lease_seq=released.lease_seq,
        timeout_seconds=max(1, math.ceil((until - now).total_seconds())),
    )
    logs.tell(
        Action.RUN_PARKED,
        run_id=run.id,
        waiting_for=[kind.value for kind in kinds],
        until=until.isoformat(timespec="seconds"),
    )
    return LetGo.PARKED


def finish(run: Run, progress: Progress, finished: Finish, *, values: Values, now: datetime, outside: Outside) -> None:
    """End the run; Superseded when a verb came meanwhile.

    A parent that waits for it is told in the same transaction, and woken.
    """
    ended, _ = move(run, _COMMANDS[finished.status], actor="stepwell", at=now)
    output = values.kept(finished.output) if finished.status is RunStatus.COMPLETED else None
    ended = replace(ended, output=output, error=finished.error, lease=None)
    ended = replace(ended, units=run.units + metering.used(closing=charges.end(ended)))
    runs.finish(ended, owner=run.lease.owner if run.lease else "", parent_event=reports.report(ended, now=now))
    telling.ended(ended)
    abandoned.take_down(ended, progress.records.values(), now=now, outside=outside)
    reports.wake_parent(ended, now=now, outside=outside)


def _release(run: Run, progress: Progress, *, next_check_at: datetime, now: datetime) -> None:
    """Let go of a run that is to be looked at again, and not parked."""
    used = metering.used(closing=charges.RELEASE)
    claims = _held(run, progress)
    runs.release(run, next_check_at=next_check_at, waiting_for=(), claims=claims, now=now, used=used)


def _held(run: Run, progress: Progress) -> dict[str, Claim]:
    return {key: claim for key, claim in run.claims.items() if progress.is_needed(claim)}


def _kinds(run: Run, progress: Progress) -> tuple[WaitKind, ...]:
    kinds = {record.wait.kind for record in progress.waiting.values() if record.wait is not None}
    if progress.retrying:
        kinds.add(WaitKind.RETRY)
    if run.status is RunStatus.PAUSED:
        kinds.add(WaitKind.PAUSE)
    return tuple(sorted(kinds))
