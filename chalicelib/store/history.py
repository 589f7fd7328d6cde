"""What was done to a run, in a partition of its own: loading a run does not read it."""

from __future__ import annotations

from typing import Self

from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.store import keys, times, transactions
from chalicelib.store.paging import Page, decoded, page_of
from chalicelib.store.table import Item, MaybeText, Text, query
from chalicelib.store.transactions import Write


class HistoryItem(Item):
    """One command to a run."""

    actor_key_id = Text()
    actor_name = Text()
    command = Text()
    step = MaybeText()
    before = Text()
    after = Text()
    reason = MaybeText()
    refusal = MaybeText()
    request_id = Text()
    outcome = Text()

    @classmethod
    def of(cls, record: HistoryRecord) -> Self:
        """Return the item of a record."""
        return cls(
            *keys.history_record(record.run_id, record.at, record.id),
            actor_key_id=record.actor_key_id,
            actor_name=record.actor_name,
            command=record.command,
            step=record.step,
            before=record.before,
            after=record.after,
            reason=record.reason,
            refusal=record.refusal,
            request_id=record.request_id,
            outcome=record.outcome.value,
        )

    def record(self) -> HistoryRecord:
        """Return the record."""
        at, id_ = self.sk.split("#")
        return HistoryRecord(
            id=id_,
            run_id=keys.id_of(self.pk),
            at=times.time_of(at),
            actor_key_id=self.actor_key_id,
            actor_name=self.actor_name,
            command=self.command,
            step=self.step,
            before=self.before,
            after=self.after,
            reason=self.reason,
            refusal=self.refusal,
            request_id=self.request_id,
            outcome=Outcome(self.outcome),
        )


def put(record: HistoryRecord) -> None:
    """Keep a record by itself, such as that of a command that was refused. Written twice, it is there once."""
    transactions.make(creation(record))


def page(run_id: str, *, cursor: str | None, limit: int) -> Page[HistoryRecord]:
    """Return a run's history, the newest last; a cursor that is none of ours is Invalid."""
    after = HistoryItem.sk > decoded(cursor) if cursor is not None else None
    items = {
        raw["sk"]["S"]: HistoryItem.from_raw_data(raw) for raw in query(keys.history(run_id), after, limit=limit + 1)
    }
    return page_of(list(items), limit, lambda wanted: (items[sk].record() for sk in wanted))


def creation(record: HistoryRecord) -> Write:
    """Return the write that keeps a record, to be made together with the change that it tells of."""
    return transactions.put(HistoryItem.of(record), part="history")
