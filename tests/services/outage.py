"""A part of AWS that does not answer for a while, by the house's clock: the table, or some of what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.store.table import connection
from tests.services.house import HandClock

READS = frozenset({"GetItem", "Query", "BatchGetItem"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"})
TRANSACTIONS = frozenset({"TransactWriteItems"})


@dataclass
class Outage:
    """Begins with the nth thing that is asked, and is over when its time is."""

    clock: HandClock
    #: What is asked for the ``first``-th time, from 1, begins it.
    first: int
    lasts: timedelta
    seen: int = 0
    declined: int = 0
    over_at: datetime | None = None
    #: Whether it is the test that asks, whom it does not touch.
    aside: bool = False

    @property
    def on(self) -> bool:
        """Whether it has begun and is not over."""
        return self.over_at is not None and self.clock.now() < self.over_at

    def declines(self) -> bool:
        """Say whether what is asked now is declined."""
        if self.aside:
            return False
        self.seen += 1
        if self.seen == self.first:
            self.over_at = self.clock.now() + self.lasts
        self.declined += self.on
        return self.on

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Let a test look, as if there were no outage."""
        self.aside = True
        yield
        self.aside = False


@contextmanager
def table_throttles(outage: Outage, operations: frozenset[str]) -> Iterator[None]:
    """Have the store's calls of these kinds declined while the outage lasts, after all of botocore's own tries."""

    def before(model: Any, **_: object) -> None:
        if model.name in operations and outage.declines():
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "rate exceeded"}}, model.name)

    events = connection().connection.client.meta.events
    events.register("before-call.dynamodb", before)
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb", before)


@dataclass
class FailingPayloads(FakePayloadStore):
    """A bucket that does not answer some of what it is asked."""

    #: Which, by number from 1.
    declined: range
    asked: int = 0

    def __post_init__(self) -> None:
        """Begin empty."""
        super().__init__()

    def put(self, project_id: str, text: str) -> str:
        """Keep a text, unless the bucket does not answer."""
        self._answer()
        return super().put(project_id, text)

    def get(self, project_id: str, digest: str) -> str:
        """Return a text, unless the bucket does not answer."""
        self._answer()
        return super().get(project_id, digest)

    def _answer(self) -> None:
        self.asked += 1
        if self.asked in self.declined:
            message = "bucket b: ServiceUnavailable"
            raise Unavailable(message)
