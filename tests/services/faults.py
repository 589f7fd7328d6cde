"""Faults of the table, one at a time.

A write that does not happen, one that happens and is not heard of, a process that dies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ReadTimeoutError

from chalicelib.store.table import connection
from tests.services.house import Crash

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})


class Fault(StrEnum):
    """What goes wrong at a write."""

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    UNHEARD_BEFORE = "no effect, no answer"
    UNHEARD_AFTER = "effect, no answer"


@dataclass
class Writes:
    """Counts writes, and makes one go wrong."""

    #: The write that goes wrong, from 1; 0 for none.
    at: int = 0
    fault: Fault = Fault.DIES_BEFORE
    seen: int = 0
    failed: str = ""

    def before(self, model: Any, **_: object) -> None:
        if model.name not in WRITES:
            return
        self.seen += 1
        if self.seen == self.at:
            self.failed = model.name
            if self.fault is Fault.DIES_BEFORE:
                raise Crash
            if self.fault is Fault.UNHEARD_BEFORE:
                raise ReadTimeoutError(endpoint_url="table")

    def after(self, model: Any, **_: object) -> None:
        if model.name in WRITES and self.seen == self.at:
            if self.fault is Fault.DIES_AFTER:
                raise Crash
            if self.fault is Fault.UNHEARD_AFTER:
                # Heard of no more than once: the next write is another.
                self.at = 0
                raise ReadTimeoutError(endpoint_url="table")


@contextmanager
def writes(*, at: int = 0, fault: Fault = Fault.DIES_BEFORE) -> Iterator[Writes]:
    """Watch the store's writes for a while."""
    counted = Writes(at=at, fault=fault)
    events = connection().connection.client.meta.events
    events.register("before-call.dynamodb", counted.before)
    events.register("after-call.dynamodb", counted.after)
    try:
        yield counted
    finally:
        events.unregister("before-call.dynamodb", counted.before)
        events.unregister("after-call.dynamodb", counted.after)
