"""The local stack's transactions on moto: all or nothing, at the same cost in any table."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import Item
from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

from tests.conftest import Table


def key(sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": "p"}, "sk": {"S": sk}}


def put(table: Table, sk: str) -> TransactWriteItemTypeDef:
    return {"Put": {"TableName": table.name, "Item": {**key(sk), "n": {"N": "1"}}}}


def add(table: Table, sk: str) -> TransactWriteItemTypeDef:
    return {
        "Update": {
            "TableName": table.name,
            "Key": key(sk),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def remove(table: Table, sk: str) -> TransactWriteItemTypeDef:
    return {"Delete": {"TableName": table.name, "Key": key(sk)}}


def refused(table: Table, sk: str) -> TransactWriteItemTypeDef:
    return {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": key(sk),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def contents(table: Table) -> list[dict[str, Any]]:
    return table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]


def test_a_transaction_that_is_refused_leaves_everything_as_it_was(table: Table) -> None:
    for sk in ("changed", "overwritten", "removed", "held"):
        table.client.put_item(TableName=table.name, Item={**key(sk), "n": {"N": "5"}})
    before = contents(table)
    writes = [
        add(table, "changed"),
        put(table, "overwritten"),
        remove(table, "removed"),
        put(table, "new"),
        add(table, "made by adding"),
        refused(table, "held"),
    ]
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        table.client.transact_write_items(TransactItems=writes)
    assert contents(table) == before
    table.client.transact_write_items(TransactItems=writes[:-1])
    assert {item["sk"]["S"]: item["n"]["N"] for item in contents(table)} == {
        "changed": "6",
        "held": "5",
        "made by adding": "1",
        "new": "1",
        "overwritten": "1",
    }


def test_two_writes_of_one_item_are_refused_and_undone(table: Table) -> None:
    with pytest.raises(ClientError, match="cannot include multiple operations on one item"):
        table.client.transact_write_items(TransactItems=[add(table, "a"), put(table, "a")])
    assert contents(table) == []


def test_a_transaction_copies_what_it_writes_and_no_more(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        table.client.put_item(TableName=table.name, Item=key(f"other {number}"))
    copies: list[object] = []
    copied = Item.__deepcopy__

    def counted(item: Item, memo: dict[int, Any]) -> Item:
        copies.append(item)
        return copied(item, memo)

    monkeypatch.setattr(Item, "__deepcopy__", counted)
    table.client.transact_write_items(TransactItems=[put(table, "a"), add(table, "other 1"), remove(table, "other 2")])
    assert len(copies) < 10
