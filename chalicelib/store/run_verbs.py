"""What people do to a run: verbs, and repairs behind a hold. Each write says why its race is harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.run import Run
from chalicelib.domain.step import Event, StepRecord
from chalicelib.domain.ticket import Ticket
from chalicelib.store import counters, keys, statistics, tickets, transactions
from chalicelib.store import history as histories
from chalicelib.store.errors import Superseded
from chalicelib.store.run_changes import LIVE, differences, event_writes, step_write, token_as_in, update_once
from chalicelib.store.run_items import RunItem, ValueItem
from chalicelib.store.transactions import Write


def change(
    before: Run,
    after: Run,
    *,
    history: HistoryRecord,
    answer_token: bool,
    parent_event: Event | None = None,
) -> Run:
    """Record a verb and its history together, and return the run as it then stands.

    Superseded if status, wake counter or token are not as in ``before``: of two verbs judged on one state, one is
    recorded. What the verb leaves as it was is not written, so that it undoes nothing that the driver writes meanwhile
    (its claims); the driver in turn cannot let go before it has seen the raised wake counter. With ``answer_token`` the
    token is the caller's to answer, and nobody else's. With ``parent_event`` the parent that waits for the run is told
    in the same transaction, unless it is over. A run that this ends counts no longer, but in its workflow's statistics.
    """
    stands = _woken(before, after, answer_token=answer_token)
    condition = (RunItem.status == before.status.value) & (RunItem.wake_seq == before.wake_seq) & token_as_in(before)
    if before.status.ended != stands.status.ended:
        condition &= statistics.as_counted(before)
    _put_apart(before, stands)
    writes = (
        transactions.update(RunItem, keys.run(before.id), differences(before, stands), condition, part="run"),
        histories.creation(history),
        *_counting(before, stands, 0),
    )
    if before.parent_run_id is not None and parent_event is not None:
        try:
            told = event_writes(before.parent_run_id, parent_event, part="parent")
            statistics.commit(*writes, *told, before=before, after=stands)
        except Superseded as error:
            if error.part != "parent":
                raise
        else:
            return stands
    statistics.commit(*writes, before=before, after=stands)
    return stands


def hold(before: Run, until: datetime) -> Run:
    """Have the run's driver claim nothing before a time, and return the run as it then stands.

    Superseded if status or wake counter are not as in ``before``. The token stays whose it is. Of two that hold a run
    at once, one does. Another's very same hold may be taken for one's own, which does no harm: what is judged behind it
    is written on condition of the wake counter again.
    """
    after = replace(before, hold_until=until, wake_seq=before.wake_seq + 1)
    update_once(
        before.id,
        differences(before, after),
        (RunItem.status == before.status.value) & (RunItem.wake_seq == before.wake_seq),
        landed=lambda stored: (
            (stored.status, stored.wake_seq, stored.hold_until) == (after.status.value, after.wake_seq, until)
        ),
    )
    return after


def repair(
    before: Run,
    after: Run,
    *,
    history: HistoryRecord,
    record: StepRecord | None = None,
    write_id: str = "",
    closes: Sequence[Ticket] = (),
    answer_token: bool,
    most_concurrent: int = 0,
) -> Run:
    """Record a repair: the run, its history, a step's record and the tickets that it closes; return the run after it.

    Superseded if status, wake counter, lease counter or token of the run are not as in ``before``, or if the record or
    a ticket is not of the revision before: of two repairs judged on one state, one is recorded, and a driver's result
    that came in between is judged first. A run that counts from now on is Full where ``most_concurrent`` are counted
    already; one that this ends counts no longer. A run that this reopens is taken out of its workflow's statistics, and
    one that this ends is added to them.
    """
    stands = _woken(before, after, answer_token=answer_token)
    condition = (
        (RunItem.status == before.status.value)
        & (RunItem.wake_seq == before.wake_seq)
        & (RunItem.lease_seq == before.lease_seq)
        & token_as_in(before)
    )
    if before.status.ended != stands.status.ended:
        condition &= statistics.as_counted(before)
    _put_apart(before, stands)
    statistics.commit(
        transactions.update(RunItem, keys.run(before.id), differences(before, stands), condition, part="run"),
        histories.creation(history),
        *([step_write(before.id, record, write_id)] if record is not None else ()),
        *(tickets.change_write(ticket) for ticket in closes),
        *_counting(before, stands, most_concurrent),
        before=before,
        after=stands,
    )
    return stands


def note(history: HistoryRecord, *, release_hold_of: Run | None = None) -> None:
    """Keep the record of a command that was refused, and end the hold that it was judged behind.

    The hold that is ended is the run's own as given: another's, or one that is over, is left as it is, and so is a run
    that has ended.
    """
    if release_hold_of is None or release_hold_of.hold_until is None:
        histories.put(history)
        return
    free = transactions.update(
        RunItem,
        keys.run(release_hold_of.id),
        [RunItem.hold_until.remove(), RunItem.wake_seq.add(1)],
        LIVE & (RunItem.hold_until == release_hold_of.hold_until),
        part="run",
    )
    try:
        transactions.commit(histories.creation(history), free)
    except Superseded:
        histories.put(history)


def _woken(before: Run, after: Run, *, answer_token: bool) -> Run:
    """Return the run as a verb leaves it: woken, without a token that is to be answered, and if over not counted."""
    return replace(
        after,
        wake_seq=before.wake_seq + 1,
        park_token=None if answer_token else before.park_token,
        counted=after.counted and not after.status.ended,
    )


def _put_apart(before: Run, after: Run) -> None:
    """Write a new large output before the run that points to it; under its digest it is in nobody's way."""
    if after.output is before.output:
        return
    for item in ValueItem.of(replace(after, payload=None)):
        transactions.make(transactions.put(item))


def _counting(before: Run, after: Run, most: int) -> Sequence[Write]:
    """Return what a change of the run's mark makes of its workflow's counter."""
    if after.counted and not before.counted:
        return (counters.addition(after.workflow_id, most),)
    if before.counted and not after.counted:
        return (counters.removal(before.workflow_id),)
    return ()
