"""The one table: the item that all kinds of items derive from, its indexes, its attributes, and its one connection."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar, Final, ParamSpec, TypeAlias, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import Attribute
from pynamodb.connection import TableConnection
from pynamodb.exceptions import QueryError
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from chalicelib import settings
from chalicelib.store import capacity, times
from chalicelib.store.errors import Unavailable, code_of, translated
from chalicelib.store.keys import ImpossibleId, Key

#: An item as DynamoDB's own API spells it.
Raw: TypeAlias = dict[str, dict[str, Any]]

_Kind = TypeVar("_Kind", bound="Item")
_Found = TypeVar("_Found")
_Params = ParamSpec("_Params")
_BATCH: Final = 100
#: How long to wait before asking again for what a batch left unread.
_BATCH_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)


class Text(Attribute[str]):
    """Text that is always there."""

    attr_type = "S"


class MaybeText(Attribute["str | None"]):
    """Text that may be absent."""

    attr_type = "S"
    null = True


class Whole(Attribute[int]):
    """A whole number that is always there."""

    attr_type = "N"

    def serialize(self, value: int) -> str:
        """Return it as DynamoDB's API wants numbers."""
        return str(value)

    def deserialize(self, value: str) -> int:
        """Return it as it was given."""
        return int(value)


class MaybeWhole(Attribute["int | None"]):
    """A whole number that may be absent."""

    attr_type = "N"
    null = True

    def serialize(self, value: int) -> str:
        """Return it as DynamoDB's API wants numbers."""
        return str(value)

    def deserialize(self, value: str) -> int:
        """Return it as it was given."""
        return int(value)


class Flag(Attribute["bool | None"]):
    """Yes, or absent."""

    attr_type = "BOOL"
    null = True


class Time(Attribute[datetime]):
    """A time that is always there, to the microsecond, as text that sorts."""

    attr_type = "S"

    def serialize(self, value: datetime) -> str:
        """Return it as text."""
        return times.text_of(value)

    def deserialize(self, value: str) -> datetime:
        """Return it as it was given."""
        return datetime.fromisoformat(value)


class MaybeTime(Attribute["datetime | None"]):
    """A time that may be absent, to the microsecond, as text that sorts."""

    attr_type = "S"
    null = True

    def serialize(self, value: datetime) -> str:
        """Return it as text."""
        return times.text_of(value)

    def deserialize(self, value: str) -> datetime:
        """Return it as it was given."""
        return datetime.fromisoformat(value)


class ByProject(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]
    """What a project has, list by list."""

    class Meta:
        index_name = "by-project"
        projection = KeysOnlyProjection()

    project_id = Text(hash_key=True)
    list_key = Text(range_key=True)


class ByWorkflow(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]
    """What a workflow has, list by list."""

    class Meta:
        index_name = "by-workflow"
        projection = KeysOnlyProjection()

    workflow_id = Text(hash_key=True)
    list_key = Text(range_key=True)


class Sweep(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]
    """The runs that have not ended, by when to look at them."""

    class Meta:
        index_name = "sweep"
        projection = KeysOnlyProjection()

    sweep_shard = Text(hash_key=True)
    next_check_at = Whole(range_key=True)


class Item(Model):
    """What all items have. An item lives for one call; what goes in and out of the store is the domain's own."""

    class Meta:
        table_name = ""  # set by connection()
        region = None  # botocore's own ways of finding it
        host = None  # the same, AWS_ENDPOINT_URL_DYNAMODB included
        connect_timeout_seconds = 2
        read_timeout_seconds = 5
        max_retry_attempts = 3  # besides the first: four attempts, botocore's standard mode
        max_pool_connections = 64

    pk = Text(hash_key=True)
    sk = Text(range_key=True)

    by_project: ClassVar = ByProject()
    by_workflow: ClassVar = ByWorkflow()
    sweep: ClassVar = Sweep()

    @property
    def key(self) -> Key:
        """Where it lies."""
        return Key(self.pk, self.sk)

    @classmethod
    def _get_connection(cls) -> TableConnection:
        return connection()

    @classmethod
    def connect(cls) -> TableConnection:
        """Return a new connection to the table that the settings name."""
        # Every kind of item asks for the connection of Item: left alone, each would build a client of its own.
        Item.Meta.table_name = settings.current().table
        Item._connection = None
        return super()._get_connection()


_connecting = threading.Lock()
_connected: TableConnection | None = None


def connection() -> TableConnection:
    """Return this process's connection. It knows the table's keys, so that it never has to ask DynamoDB for them."""
    global _connected  # noqa: PLW0603 - one connection a process; functools.cache would let two threads make two
    if _connected is None:
        with _connecting:
            if _connected is None:
                fresh = Item.connect()
                _ = fresh.connection.client  # made here, because botocore's making of clients is not safe in threads
                _connected = fresh
    return _connected


def reset() -> None:
    """Forget the connection, so that the next call reads settings and environment again (tests, the local stack)."""
    global _connected  # noqa: PLW0603 - as above
    with _connecting:
        _connected = None


def dispatch(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask DynamoDB, and count what it charges."""
    try:
        answer = connection().connection.dispatch(operation, arguments)
    except ClientError as error:
        capacity.count_refusal(operation, arguments, code_of(error))
        raise
    capacity.count(operation, answer)
    return answer


def call(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask DynamoDB, and raise the store's own errors."""
    try:
        return dispatch(operation, arguments)
    except (ClientError, BotoCoreError) as error:
        raise translated(error) from error


def check() -> None:
    """Raise a store error unless the table can be read."""
    get(Key("#", "#"))


def get(key: Key, *, projection: str | None = None, names: dict[str, str] | None = None) -> Raw | None:
    """Return what lies at the key now (strongly consistent), if anything does."""
    arguments: dict[str, Any] = {
        "TableName": connection().table_name,
        "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
        "ConsistentRead": True,
    }
    if projection:
        arguments["ProjectionExpression"] = projection
    if names:
        arguments["ExpressionAttributeNames"] = names
    return call("GetItem", arguments).get("Item")


def find(kind: type[_Kind], key: Key) -> _Kind | None:
    """Return the item at the key now (strongly consistent), if there is one."""
    raw = get(key)
    return kind.from_raw_data(raw) if raw else None


def get_many(keys: Iterable[Key]) -> dict[Key, Raw]:
    """Return what lies at the keys now (strongly consistent); those where nothing does are left out."""
    wanted = list(dict.fromkeys(keys))
    found: dict[Key, Raw] = {}
    for start in range(0, len(wanted), _BATCH):
        for raw in _batch(wanted[start : start + _BATCH]):
            found[Key(raw["pk"]["S"], raw["sk"]["S"])] = raw
    return found


def _batch(keys: list[Key]) -> Iterator[Raw]:
    table = connection().table_name
    rest = {table: {"Keys": [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys], "ConsistentRead": True}}
    for pause in (*_BATCH_PAUSES, None):
        answer = call("BatchGetItem", {"RequestItems": rest})
        yield from answer["Responses"].get(table, ())
        rest = answer.get("UnprocessedKeys") or {}
        if not rest:
            return
        if pause is not None:
            time.sleep(pause)
    message = "DynamoDB left items of a batch unread"
    raise Unavailable(message)


def query(
    pk: str,
    sort: Condition | None = None,
    *,
    index: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> Iterator[Raw]:
    """Yield a partition's items in order: strongly consistent, or by an index, and then only their keys.

    Without a limit every page is read; with one, at most that many items, in as few pages as DynamoDB needs.
    """
    start: Raw | None = None
    left = limit
    while True:
        try:
            page = connection().query(
                pk,
                sort,
                consistent_read=index is None,
                exclusive_start_key=start,
                index_name=index,
                limit=left,
                scan_index_forward=not descending,
            )
        except QueryError as error:
            raise translated(cast("ClientError | BotoCoreError", error.cause)) from error
        capacity.count("Query", page)
        yield from page["Items"]
        start = page.get("LastEvaluatedKey")
        left = left - len(page["Items"]) if left is not None else None
        if start is None or left == 0:
            return


def none_if_impossible(load: Callable[_Params, _Found | None]) -> Callable[_Params, _Found | None]:
    """Answer None for an id that nothing can have: to whoever asks, it is one more id that does not exist."""

    @functools.wraps(load)
    def found(*args: _Params.args, **kwargs: _Params.kwargs) -> _Found | None:
        try:
            return load(*args, **kwargs)
        except ImpossibleId:
            return None

    return found
