"""What DynamoDB says that its answers cost, given to the invocation's meter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib import metering
from chalicelib.domain.usage import Units

_TRANSACTION: Final = "TransactWriteItems"
_WRITING: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", _TRANSACTION})
#: Codes of refusals that are charged for, though they come without a figure.
_CHARGED: Final = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})


def count(operation: str, answer: Mapping[str, Any]) -> None:
    """Count what an answer has cost. Every call asks for the total, because PynamoDB does."""
    if not metering.is_on():
        return
    consumed = answer.get("ConsumedCapacity") or ()
    halves = sum(round(2 * one["CapacityUnits"]) for one in ([consumed] if isinstance(consumed, Mapping) else consumed))
    metering.add(Units(write_halves=halves) if operation in _WRITING else Units(read_halves=halves))


def count_refusal(operation: str, arguments: Mapping[str, Any], code: str) -> None:
    """Count what a refused write has cost, at least: a unit each, and in a transaction two."""
    if code in _CHARGED:
        items = len(arguments["TransactItems"]) if operation == _TRANSACTION else 1
        metering.add(Units(write_halves=items * (4 if operation == _TRANSACTION else 2)))
