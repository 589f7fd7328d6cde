"""What the driver of a run writes: its lease, claims, steps and end. Each write says why its race is harmless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from pynamodb.expressions.condition import And, Condition

from chalicelib.domain.run import Lease, Run, RunStatus
from chalicelib.domain.step import Claim, Event, StepRecord, WaitKind
from chalicelib.domain.usage import NO_UNITS, Units
from chalicelib.store import counters, keys, statistics, times, transactions, usages
from chalicelib.store.errors import Superseded
from chalicelib.store.run_changes import LIVE, differences, event_writes, set_or_remove, step_write, update_once
from chalicelib.store.run_items import RunItem, ValueItem
from chalicelib.store.step_items import StepItem

#: What a driver sets when a run ends; whatever the run does not have is removed.
_SET_BY_THE_END: Final = (
    "status",
    "list_key",
    "updated_at",
    "started_at",
    "finished_at",
    "output",
    "output_handle",
    "output_apart",
    "error",
    "claims",
    "waiting_for",
    *usages.USED.values(),
)
_REMOVED_BY_THE_END: Final = (
    "lease_owner",
    "lease_expires_at",
    "park_token",
    "next_check_at",
    "sweep_shard",
    "hold_until",
    "counted",
)


def take_lease(
    run: Run,
    *,
    lease: Lease,
    claims: Mapping[str, Claim],
    status: RunStatus,
    started_at: datetime | None,
    now: datetime,
    number: int | None = None,
    next_check_at: datetime | None = None,
) -> Run:
    """Make the lease's owner the run's driver, with its first claims, and return the run as it then stands.

    Of two drivers that loaded the same run, one adds to ``lease_seq`` and the other is Superseded. Status and claims
    are overwritten uncompared: they change with ``lease_seq`` or ``wake_seq`` only. Its number, and the time to look at
    it again, stay unless one is given: the sweep index is written with the latter.
    """
    after = replace(
        run,
        lease=lease,
        lease_seq=run.lease_seq + 1,
        claims=claims,
        status=status,
        started_at=started_at,
        number=number or run.number,
        updated_at=now,
        park_token=None,
        waiting_for=(),
        next_check_at=next_check_at or run.next_check_at,
    )
    condition = LIVE & (RunItem.lease_seq == run.lease_seq) & (RunItem.wake_seq == run.wake_seq)
    # A parking execution may have stored its token since the run was loaded: it is removed even so.
    actions = [*differences(replace(run, park_token=None), after), RunItem.park_token.remove()]
    update_once(
        run.id,
        actions,
        condition,
        landed=lambda stored: (
            (stored.lease_seq, stored.lease_owner, stored.lease_expires_at)
            == (after.lease_seq, lease.owner, lease.expires_at)
        ),
    )
    return after


def update_claims(run: Run, claims: Mapping[str, Claim], now: datetime) -> Run:
    """Replace the claims that the run itself holds; only its driver can, and not after a verb it has not seen.

    Made twice, it writes the same twice.
    """
    after = replace(run, claims=claims, updated_at=now)
    write = transactions.update(RunItem, keys.run(run.id), differences(run, after), _held(run))
    transactions.make(write)
    return after


def put_step(run_id: str, record: StepRecord, *, write_id: str) -> None:
    """Write a step's record over the revision before it; Superseded if that is not what lies there.

    Two writers of one revision have two ``write_id``s: the first is kept, and a result that comes too late is dropped.
    """
    transactions.make_once(
        step_write(run_id, record, write_id),
        StepItem,
        landed=lambda stored: (stored.revision, stored.write_id) == (record.revision, write_id),
    )


def release(
    run: Run,
    *,
    next_check_at: datetime,
    waiting_for: Iterable[WaitKind],
    claims: Mapping[str, Claim],
    now: datetime,
    used: Units = NO_UNITS,
) -> Run:
    """Give the lease back, add what its holder has used, and return the run as it then stands.

    Superseded if a verb came since the run was loaded: its driver has to see that first, so that no wake-up is lost
    between the decision to wait and the waiting.
    """
    after = replace(
        run,
        lease=None,
        next_check_at=next_check_at,
        waiting_for=tuple(waiting_for),
        claims=claims,
        updated_at=now,
        # Nobody else adds to them but `work`, which raises the wake counter: they are as loaded, or this write fails.
        units=run.units + used,
    )
    update_once(
        run.id,
        differences(run, after),
        _held(run),
        # Only this driver's own release leaves its lease_seq without an owner and the run alive.
        landed=lambda stored: (
            (stored.lease_owner, stored.lease_seq, stored.wake_seq, stored.status)
            == (None, run.lease_seq, run.wake_seq, run.status.value)
        ),
    )
    return after


def finish(run: Run, *, owner: str, parent_event: Event | None) -> None:
    """Record the end of a run, which is moved to its ended status already, and tell the parent that waits for it.

    The same transaction adds it to its workflow's statistics. A run that counted towards a limit counts no longer: its
    mark goes with the counter's one.

    Superseded if the driver is no longer ``owner``, or a verb came since the run was loaded, a cancel for one.
    A large output is written first, under its digest: a driver that comes too late leaves it beside another's, not over
    it.
    """
    for item in ValueItem.of(replace(run, payload=None)):
        transactions.make(transactions.put(item))
    ended = RunItem.of(replace(run, payload=None))
    actions = [
        *(set_or_remove(name, getattr(ended, name)) for name in _SET_BY_THE_END),
        *(RunItem.get_attributes()[name].remove() for name in _REMOVED_BY_THE_END),
    ]
    end = transactions.update(RunItem, keys.run(run.id), actions, _driven_by(owner, run.wake_seq), part="run")
    own = (end, counters.removal(run.workflow_id)) if run.counted else (end,)
    if run.parent_run_id is not None and parent_event is not None:
        try:
            # One transaction, so that no child is over without its parent having been told.
            statistics.commit(*own, *event_writes(run.parent_run_id, parent_event, part="parent"), after=run)
        except Superseded as error:
            if error.part != "parent":
                raise
        else:
            return
    # No parent, or one that is over: nobody waits for this run.
    statistics.commit(*own, after=run)


def check_at(run: Run, next_check_at: datetime) -> None:
    """Look at a run at another time, unless somebody has set one since it was loaded: theirs counts then."""
    if run.next_check_at is None:
        return
    anew = RunItem.next_check_at.set(times.milliseconds_of(next_check_at))
    as_loaded = RunItem.next_check_at == times.milliseconds_of(run.next_check_at)
    try:
        transactions.make(transactions.update(RunItem, keys.run(run.id), [anew], as_loaded))
    except Superseded:
        return


def unpark(run: Run, next_check_at: datetime) -> None:
    """Take away the token of a run that should have been woken by now; Superseded if it moved on since it was loaded.

    It is looked at again at the time given. An execution that still waits with the token is not harmed: when it ends it
    invokes drive, which finds the run as it then is.
    """
    due = run.next_check_at or next_check_at
    actions = [RunItem.park_token.remove(), RunItem.next_check_at.set(times.milliseconds_of(next_check_at))]
    as_loaded = (RunItem.next_check_at == times.milliseconds_of(due)) & (RunItem.lease_seq == run.lease_seq)
    transactions.make(transactions.update(RunItem, keys.run(run.id), actions, as_loaded))


def _held(run: Run) -> Condition:
    """Hold a write to the lease and the wake counter that its driver has seen."""
    if run.lease is None:
        message = "only a run's driver writes this"
        raise ValueError(message)
    return _driven_by(run.lease.owner, run.wake_seq)


def _driven_by(owner: str, wake_seq: int) -> Condition:
    return And(And(LIVE, RunItem.lease_owner == owner), RunItem.wake_seq == wake_seq)
