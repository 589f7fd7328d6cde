"""Runs: their creation, reading and events. Each write says why its race is harmless.

Callers find here too what stands in modules of its own: the driver's writes (``leases``), what people do to a run
(``run_verbs``), and the lists (``run_lists``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Event, StepRecord
from chalicelib.domain.usage import NO_UNITS, Units
from chalicelib.store import counters, keys, transactions
from chalicelib.store import history as histories
from chalicelib.store import idempotency as idempotency_records
from chalicelib.store.charges import additions
from chalicelib.store.counters import LastRun
from chalicelib.store.errors import Exists, Superseded
from chalicelib.store.keys import Key
from chalicelib.store.leases import check_at, finish, put_step, release, take_lease, unpark, update_claims
from chalicelib.store.run_changes import LIVE, delivery
from chalicelib.store.run_items import RunItem, ValueItem, whole
from chalicelib.store.run_lists import any_active, overdue, page_of_project, page_of_workflow
from chalicelib.store.run_verbs import change, hold, note, repair
from chalicelib.store.step_items import EventItem, StepItem
from chalicelib.store.table import find, get, get_many, none_if_impossible, query
from chalicelib.store.transactions import Write

__all__ = [
    "Loaded",
    "Look",
    "any_active",
    "change",
    "check_at",
    "finish",
    "hold",
    "load",
    "load_collection",
    "load_steps",
    "look",
    "note",
    "overdue",
    "page_of_project",
    "page_of_workflow",
    "put",
    "put_event",
    "put_records",
    "put_step",
    "release",
    "repair",
    "take_lease",
    "unpark",
    "update_claims",
    "wake",
]


#: Stands for the write of a record that its run began with: no driver's.
_CARRIED: Final = "carried"
#: Records that are written in the transaction that creates their run, at most; and their length, about, in bytes.
_FEW: Final = 25
_SHORT: Final = 1_000_000


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


def put(
    run: Run,
    *,
    idempotency: IdempotencyRecord | None = None,
    most_concurrent: int = 0,
    records: Sequence[StepRecord] = (),
    history: HistoryRecord | None = None,
    excerpt: str | None = None,
) -> None:
    """Create a run, and with it the record of the idempotency key that asked for it; Exists if either is there.

    A run that counts is Full where ``most_concurrent`` of its workflow are counted already. With the run come a payload
    too large to lie in it, or the ``excerpt`` of one that is too large for the table; the ``records`` that it begins
    with, and what is to be known of its start; that is part of another run's ``history``, where it repeats one.
    """
    root = transactions.create(RunItem.of(run), part="run")
    # A run that has its number already is the newest; the others are named when they are first driven.
    newest = LastRun(run_id=run.id, at=run.created_at) if run.number is not None else None
    beside = (
        *([idempotency_records.creation(idempotency)] if idempotency is not None else ()),
        root,
        *([counters.addition(run.workflow_id, most_concurrent, newest=newest)] if run.counted else ()),
        *([histories.creation(history)] if history is not None else ()),
        *(transactions.put(item) for item in (*ValueItem.of(run), *ValueItem.of_excerpt(run.id, excerpt))),
        *_beginnings(run.id, records),
    )
    if len(beside) > 1:
        # Of two requests with one key, one creates both the record and the run, the other neither; and so of two that
        # want the last place.
        transactions.commit(*beside)
        return
    # Two runs are never created with one id at one microsecond by one caller but by one write made twice.
    transactions.make_once(
        root,
        RunItem,
        landed=lambda stored: (stored.created_at, stored.created_by) == (run.created_at, run.created_by),
    )


def _beginnings(run_id: str, records: Sequence[StepRecord]) -> tuple[Write, ...]:
    """Return the writes of the records that a run begins with, which are made here and now if they are many.

    Those are written over what lies there. So a run that is there already is found out first: what it has made of its
    records since stays.
    """
    items = [StepItem.of(run_id, record, _CARRIED) for record in records]
    if len(items) <= _FEW and sum(len(str(item.serialize())) for item in items) <= _SHORT:
        return tuple(transactions.put(item, part="record") for item in items)
    if look(run_id) is not None:
        raise Exists("the run is there already", part="run")
    transactions.put_many(items)
    return ()


def put_records(run_id: str, records: Iterable[StepRecord]) -> None:
    """Write the records that a run begins with, before the run itself is put.

    Nobody drives a run that is not there, and written twice they are there once: nothing is compared.
    """
    transactions.put_many(StepItem.of(run_id, record, _CARRIED) for record in records)


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


def load_steps(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], StepRecord]:
    """Return the records of steps, by run id and step key, as they stand now; those that are not there are left out."""
    wanted = {keys.step(run_id, step_key): (run_id, step_key) for run_id, step_key in pairs}
    return {wanted[key]: StepItem.from_raw_data(raw).record() for key, raw in get_many(wanted).items()}


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


def put_event(
    before: Run,
    event: Event,
    *,
    answer_token: bool,
    next_check_at: datetime | None = None,
    idempotency: IdempotencyRecord | None = None,
) -> None:
    """Keep an event for a run and wake it; Superseded if the run has ended or its token is not as in ``before``.

    Two at once are both kept, and both wake it; see ``delivery``.
    """
    transactions.commit(
        *delivery(before, event, answer_token=answer_token, next_check_at=next_check_at),
        *([idempotency_records.creation(idempotency)] if idempotency else ()),
    )


@none_if_impossible
def wake(run_id: str, *, used: Units = NO_UNITS) -> None:
    """Have the run's driver, if there is one, look again before it lets go; nothing if the run has ended.

    Counted twice, it makes it look again all the same. With it is added what whoever calls has used for the run.
    """
    counted = transactions.update(RunItem, keys.run(run_id), [RunItem.wake_seq.add(1), *additions(used)], LIVE)
    try:
        transactions.make(counted)
    except Superseded:
        return
