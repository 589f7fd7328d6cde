"""All writes, alone or together, and the one place that turns a failed condition into an error of the store."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.store.errors import (
    BY_CODE,
    Busy,
    Exists,
    StoreError,
    Superseded,
    Unavailable,
    code_of,
    reason_codes,
    translated,
)
from chalicelib.store.keys import Key
from chalicelib.store.table import Item, Raw, call, connection, dispatch

_Kind = TypeVar("_Kind", bound=Item)

#: How long to wait, at most, before a write that met another transaction is tried again, in seconds.
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
#: As many writes as one call takes that are neither conditional nor made together.
_BATCH: Final = 25
_CANCELED: Final = "TransactionCanceledException"
_FAILED: Final = "ConditionalCheckFailedException"


@dataclass(frozen=True, kw_only=True)
class Write:
    """One write, not yet made; it can be made alone or as part of a transaction."""

    #: ``Put``, ``Update``, ``Delete`` or ``ConditionCheck``.
    operation: str
    #: What DynamoDB's API is given.
    arguments: dict[str, Any]
    #: What a failed condition means.
    otherwise: type[StoreError] = Superseded
    #: What the error says was declined.
    part: str = ""


def put(item: Item, condition: Condition | None = None, *, part: str = "") -> Write:
    """Write the whole item, over whatever lies there."""
    return Write(operation="Put", arguments=item.get_save_kwargs_from_instance(condition), part=part)


def create(item: Item, condition: Condition | None = None, *, part: str = "") -> Write:
    """Write an item that does not exist yet, else Exists; ``condition`` widens what counts as not existing."""
    absent = Item.pk.does_not_exist()
    write = put(item, absent if condition is None else absent | condition, part=part)
    return replace(write, otherwise=Exists)


def update(
    kind: type[Item],
    key: Key,
    actions: Sequence[Action],
    condition: Condition | None,
    *,
    part: str = "",
) -> Write:
    """Change an item in place."""
    arguments = kind(key.pk, key.sk).get_update_kwargs_from_instance(list(actions), condition)
    return Write(operation="Update", arguments=arguments, part=part)


def delete(kind: type[Item], key: Key, condition: Condition | None = None, *, part: str = "") -> Write:
    """Remove an item."""
    arguments = kind(key.pk, key.sk).get_delete_kwargs_from_instance(condition)
    return Write(operation="Delete", arguments=arguments, part=part)


def check(kind: type[Item], key: Key, condition: Condition, *, part: str = "") -> Write:
    """Hold a transaction to the state of an item that it does not change."""
    arguments = kind.get_operation_kwargs_from_class(key.pk, key.sk, condition)
    return Write(operation="ConditionCheck", arguments=arguments, part=part)


def make(write: Write) -> None:
    """Make one write."""
    _patiently(lambda: _judged(lambda: dispatch(f"{write.operation}Item", write.arguments), (write,)))


def make_and_see(write: Write) -> Raw:
    """Make one update, and return what the attributes that it changed are by it."""
    seen: list[Raw] = []
    arguments = {**write.arguments, "ReturnValues": "UPDATED_NEW"}
    _patiently(lambda: _judged(lambda: seen.append(dispatch("UpdateItem", arguments)["Attributes"]), (write,)))
    return seen[-1]


def make_once(write: Write, kind: type[_Kind], *, landed: Callable[[_Kind], bool]) -> None:
    """Make one write, and take a failed condition for success when what lies there is this very write.

    botocore tries again when an answer is lost; the second try then fails on what the first one wrote. ``landed`` is
    asked about the item as it is, which DynamoDB returns with the refusal.
    """
    write.arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    try:
        make(write)
    except (Superseded, Exists) as error:
        stored = _stored(error)
        if stored is None or not landed(kind.from_raw_data(stored)):
            raise


def put_many(items: Iterable[Item]) -> None:
    """Write whole items over whatever lies there, each by itself. After an error some may be written and some not."""
    _in_batches([{"PutRequest": {"Item": put(item).arguments["Item"]}} for item in items])


def delete_many(keys: Iterable[Key]) -> None:
    """Remove items, each by itself, whatever lies there. After an error some may be gone and some not."""
    _in_batches([{"DeleteRequest": {"Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}} for key in keys])


def commit(*writes: Write) -> None:
    """Make all writes or none. A lost answer is no trouble: botocore's token makes the second try the first one."""
    _patiently(lambda: _transact(writes))


def commit_or(writes: Sequence[Write], elsewhere: Callable[[], Sequence[Write]]) -> None:
    """Make all writes or none; where these meet another transaction, others in their place, drawn anew each time."""
    try:
        _transact(writes)
    except Busy:
        _patiently(lambda: _transact(elsewhere()))


def _in_batches(requests: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(requests), _BATCH):
        _write_batch(requests[start : start + _BATCH])


def _write_batch(requests: Sequence[dict[str, Any]]) -> None:
    """Write one call's worth, and again what DynamoDB left unwritten: it does so when it is asked too much at once."""
    rest = {connection().table_name: list(requests)}
    for pause in (*_PAUSES, None):
        rest = call("BatchWriteItem", {"RequestItems": rest}).get("UnprocessedItems") or {}
        if not rest:
            return
        if pause is not None:
            time.sleep(pause)
    message = "DynamoDB left items of a batch unwritten"
    raise Unavailable(message)


def _transact(writes: Sequence[Write]) -> None:
    items = [{write.operation: write.arguments} for write in writes]
    _judged(lambda: dispatch("TransactWriteItems", {"TransactItems": items}), writes)


def _patiently(attempt: Callable[[], None]) -> None:
    """Try again, a few times, what met another transaction: nothing was written, and that one is over in a moment."""
    for pause in _PAUSES:
        try:
            return attempt()
        except Busy:
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - it spreads the next tries, it keeps no secret
    return attempt()


def _judged(ask: Callable[[], object], writes: Sequence[Write]) -> None:
    try:
        ask()
    except ClientError as error:
        raise _error(error, writes) from error
    except BotoCoreError as error:
        raise translated(error) from error


def _error(error: ClientError, writes: Sequence[Write]) -> StoreError:
    """Return what went wrong; the first failed condition says more than another transaction in the way."""
    code = code_of(error)
    if code == _FAILED:
        return writes[0].otherwise("the condition does not hold", part=writes[0].part)
    if code != _CANCELED:
        return translated(error)
    reasons = [(BY_CODE.get(reason), write) for reason, write in zip(reason_codes(error), writes, strict=False)]
    for meaning, write in reasons:
        if meaning is Superseded:
            return write.otherwise("a condition does not hold", part=write.part)
    for meaning, write in reasons:
        if meaning is not None:
            return meaning("the transaction was canceled", part=write.part)
    return translated(error)


def _stored(error: StoreError) -> Raw | None:
    """Return the item that DynamoDB sent with its refusal; PynamoDB keeps it in the error beneath its own."""
    refusal = error.__cause__.__cause__ if error.__cause__ else None
    if not isinstance(refusal, ClientError):
        return None
    return cast("Raw | None", cast("dict[str, Any]", refusal.response).get("Item"))
