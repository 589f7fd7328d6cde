"""What moto's transactions need beside them: they copy the whole table once for each write, to be able to go back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_transact = DynamoDBBackend.transact_write_items


def mend() -> None:
    """Have a transaction keep the items that it writes, and no others: it then costs the same in any table."""
    DynamoDBBackend.transact_write_items = _transact_write_items  # type: ignore[method-assign]


def _transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    asked = [next(iter(item.values())) for item in transact_items]
    tables = {name: self.tables[name] for one in asked if (name := one.get("TableName")) in self.tables}
    before = [(tables[one["TableName"]], one) for one in asked if one.get("TableName") in tables]
    kept = [
        (table, *place, copy.deepcopy(table.get_item(*place))) for table, one in before for place in _place(table, one)
    ]
    with _standing_for_themselves(list(tables.values())):
        try:
            _transact(self, transact_items)
        except Exception:
            for table, partition, sort, item in kept:
                if item is None:
                    table.delete_item(partition, sort)
                else:
                    table.items[partition][sort] = item
            raise


def _place(table: Table, asked: dict[str, Any]) -> Iterator[tuple[DynamoType, DynamoType]]:
    """Yield where a write of a transaction writes; nothing of one that moto will refuse because it does not say."""
    key = asked.get("Key") or asked.get("Item") or {}
    if table.hash_key_attr in key and table.range_key_attr in key:
        yield DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])


@contextmanager
def _standing_for_themselves(tables: Sequence[Table]) -> Iterator[None]:
    """Have the tables be their own copies for a while; nothing else asks moto's tables for anything meanwhile."""
    for table in tables:
        vars(table)["__deepcopy__"] = lambda _memo, table=table: table
    try:
        yield
    finally:
        for table in tables:
            del vars(table)["__deepcopy__"]
