"""Runs: their creation, reading and verbs. Each write says why its race is harmless.

Callers find here too what stands in modules of its own: the driver's writes (``leases``) and the lists (``run_lists``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pynamodb.expressions.update import Action

from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Event, StepRecord
from chalicelib.store import history as histories
from chalicelib.store import idempotency as idempotency_records
from chalicelib.store import keys, times, transactions
from chalicelib.store.errors import Superseded
from chalicelib.store.keys import Key
from chalicelib.store.leases import finish, postpone, put_step, release, take_lease, unpark, update_claims
from chalicelib.store.run_changes import LIVE, differences, event_writes, token_as_in
from chalicelib.store.run_items import EventItem, RunItem, StepItem, ValueItem, whole
from chalicelib.store.run_lists import overdue, page_of_project, page_of_workflow
from chalicelib.store.table import find, get, none_if_impossible, query

__all__ = [
    "Loaded",
    "Look",
    "change",
    "finish",
    "load",
    "load_collection",
    "look",
    "overdue",
    "page_of_project",
    "page_of_workflow",
    "postpone",
    "put",
    "put_event",
    "put_step",
    "release",
    "take_lease",
    "unpark",
    "update_claims",
    "wake",
]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A run with all that its collection holds."""

    run: Run
    #: By step key.
    records: dict[str, StepRecord]
    #: In the order of arrival; taken ones too.
    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """As much of a run as tells a driver whether to go on."""

    status: RunStatus
    wake_seq: int
    lease_owner: str | None


def put(run: Run, *, idempotency: IdempotencyRecord | None = None) -> None:
    """Create a run, and with it the record of the idempotency key that asked for it; Exists if either is there.

    A large payload is written first. If the run's own write then fails, nothing points to it, and under its digest it
    is in nobody's way.
    """
    for item in ValueItem.of(run):
        transactions.make(transactions.put(item))
    root = transactions.create(RunItem.of(run), part="run")
    if idempotency is not None:
        # Of two requests with one key, one creates both the record and the run, the other neither.
        transactions.commit(idempotency_records.creation(idempotency), root)
        return
    # Two runs are never created with one id at one microsecond by one caller but by one write made twice.
    transactions.make_once(
        root,
        RunItem,
        landed=lambda stored: (stored.created_at, stored.created_by) == (run.created_at, run.created_by),
    )


@none_if_impossible
def load(run_id: str) -> Run | None:
    """Return the run as it stands now, without its steps and events."""
    item = find(RunItem, keys.run(run_id))
    return whole([item])[0] if item else None


@none_if_impossible
def load_collection(run_id: str) -> Loaded | None:
    """Return the run as it stands now, with all its steps and events.

    A query's pages are not one moment. That is harmless: whoever decides on it writes only on the condition that the
    lease and the wake counter are as in the run, which is read first.
    """
    root: RunItem | None = None
    records: dict[str, StepRecord] = {}
    events: list[Event] = []
    texts: dict[Key, str] = {}
    for raw in query(keys.run(run_id).pk):
        key = Key(raw["pk"]["S"], raw["sk"]["S"])
        if key.sk.startswith(keys.STEPS):
            record = StepItem.from_raw_data(raw).record()
            records[record.key] = record
        elif keys.is_run(key):
            root = RunItem.from_raw_data(raw)
        elif key.sk.startswith(keys.EVENTS):
            events.append(EventItem.from_raw_data(raw).event())
        else:
            texts[key] = raw["text"]["S"]
    if root is None:
        return None
    return Loaded(run=root.run(texts), records=records, events=tuple(events))


@none_if_impossible
def look(run_id: str) -> Look | None:
    """Return whether the run has changed hands or been woken, at the cost of one read and no mapping."""
    raw = get(keys.run(run_id), projection="#s,wake_seq,lease_owner", names={"#s": "status"})
    if not raw:
        return None
    owner = raw.get("lease_owner")
    return Look(
        status=RunStatus(raw["status"]["S"]),
        wake_seq=int(raw["wake_seq"]["N"]),
        lease_owner=owner["S"] if owner else None,
    )


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
    in the same transaction, unless it is over.
    """
    counted = replace(
        after,
        wake_seq=before.wake_seq + 1,
        park_token=None if answer_token else before.park_token,
    )
    condition = (RunItem.status == before.status.value) & (RunItem.wake_seq == before.wake_seq) & token_as_in(before)
    for item in ValueItem.of(replace(counted, payload=None)):
        transactions.make(transactions.put(item))
    writes = (
        transactions.update(RunItem, keys.run(before.id), differences(before, counted), condition, part="run"),
        histories.creation(history),
    )
    if before.parent_run_id is not None and parent_event is not None:
        try:
            transactions.commit(*writes, *event_writes(before.parent_run_id, parent_event, part="parent"))
        except Superseded as error:
            if error.part != "parent":
                raise
        else:
            return counted
    transactions.commit(*writes)
    return counted


def put_event(
    before: Run,
    event: Event,
    *,
    answer_token: bool,
    next_check_at: datetime | None = None,
    idempotency: IdempotencyRecord | None = None,
) -> None:
    """Keep an event for a run and wake it; Superseded if the run has ended or its token is not as in ``before``.

    Two events at once both count: the wake counter is added to, not compared. The token is compared, so that it is
    answered once. With ``next_check_at`` the sweep looks then, in case whoever is to answer it does not live to do so.
    """
    actions: list[Action] = [RunItem.wake_seq.add(1)]
    if answer_token:
        actions.append(RunItem.park_token.remove())
    if next_check_at is not None:
        actions.append(RunItem.next_check_at.set(times.milliseconds_of(next_check_at)))
    transactions.commit(
        transactions.update(RunItem, keys.run(before.id), actions, LIVE & token_as_in(before), part="run"),
        transactions.create(EventItem.of(before.id, event), part="event"),
        *([idempotency_records.creation(idempotency)] if idempotency else ()),
    )


@none_if_impossible
def wake(run_id: str) -> None:
    """Have the run's driver, if there is one, look again before it lets go; nothing if the run has ended.

    Counted twice, it makes it look again all the same.
    """
    counted = transactions.update(RunItem, keys.run(run_id), [RunItem.wake_seq.add(1)], LIVE)
    try:
        transactions.make(counted)
    except Superseded:
        return
