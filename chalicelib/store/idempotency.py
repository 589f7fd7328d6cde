"""What idempotency keys were used for. An expired record counts as absent, even if DynamoDB has not removed it yet."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.store import keys, times, transactions
from chalicelib.store.errors import Superseded
from chalicelib.store.table import Item, MaybeText, Raw, Text, Time, Whole, get, none_if_impossible
from chalicelib.store.transactions import Write


class IdempotencyItem(Item):
    """One use of an idempotency key."""

    scope = Text()
    key_text = Text()
    project_id = Text()
    request_digest = Text()
    run_id = MaybeText()
    response = MaybeText()
    created_at = Time()
    expires_at = Time()
    #: In seconds: some time after it DynamoDB removes the item.
    ttl = Whole()

    @classmethod
    def of(cls, record: IdempotencyRecord) -> Self:
        """Return the item of a record."""
        return cls(
            *keys.idempotency(record.project_id, record.scope, record.key),
            scope=record.scope,
            key_text=record.key,
            project_id=record.project_id,
            request_digest=record.request_digest,
            run_id=record.run_id,
            response=record.response,
            created_at=record.created_at,
            expires_at=record.expires_at,
            ttl=times.seconds_of(record.expires_at) + 1,
        )

    def record(self) -> IdempotencyRecord:
        """Return the record."""
        return IdempotencyRecord(
            scope=self.scope,
            key=self.key_text,
            project_id=self.project_id,
            request_digest=self.request_digest,
            run_id=self.run_id,
            response=self.response,
            created_at=self.created_at,
            expires_at=self.expires_at,
        )


def put(record: IdempotencyRecord) -> None:
    """Take a key that is free; Exists if it is in use. Of two takers at once, one has it."""
    transactions.make(creation(record))


def answer(record: IdempotencyRecord) -> None:
    """Add to a record what was answered. Only the request that took the key does, so that nothing is compared."""
    transactions.make(transactions.put(IdempotencyItem.of(record)))


def take_over(record: IdempotencyRecord, *, before: IdempotencyRecord) -> None:
    """Take a key from a use that came to nothing; Superseded if it was answered, freed or taken over since it was read.

    Of two that take it over at once, one does: the other finds another time of creation, or meets the first. It is a
    transaction of one write because a lost answer would otherwise look like another's success.
    """
    as_read = IdempotencyItem.response.does_not_exist() & (IdempotencyItem.created_at == before.created_at)
    transactions.commit(transactions.put(IdempotencyItem.of(record), as_read, part="idempotency"))


def remove(record: IdempotencyRecord) -> None:
    """Free a key, unless it has been taken over meanwhile: then it is not this use's to free, and nothing is done."""
    key = keys.idempotency(record.project_id, record.scope, record.key)
    own = IdempotencyItem.created_at == record.created_at
    try:
        transactions.make(transactions.delete(IdempotencyItem, key, own, part="idempotency"))
    except Superseded:
        return


@none_if_impossible
def load(project_id: str, scope: str, key: str, *, now: datetime) -> IdempotencyRecord | None:
    """Return what a key was used for, if it still is in use."""
    raw = get(keys.idempotency(project_id, scope, key))
    return read(raw, now=now) if raw else None


def read(raw: Raw, *, now: datetime) -> IdempotencyRecord | None:
    """Return the record that has been read, unless its time is over."""
    record = IdempotencyItem.from_raw_data(raw).record()
    return record if now < record.expires_at else None


def creation(record: IdempotencyRecord) -> Write:
    """Return the write that takes a key, to be made together with what it was sent for."""
    expired = IdempotencyItem.expires_at <= record.created_at
    return transactions.create(IdempotencyItem.of(record), expired, part="idempotency")
