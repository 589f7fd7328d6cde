"""One client for all kinds of items, no question about the table's shape, and reads that read it all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.store import api_keys, keys, runs, table, transactions, workflows
from chalicelib.store.errors import Rejected, Unavailable
from chalicelib.store.keys import Key
from chalicelib.store.run_items import RunItem
from chalicelib.store.step_items import StepItem
from chalicelib.store.table import Item
from tests.conftest import Table
from tests.store.builders import a_record, a_stored_run, a_workflow
from tests.store.conftest import Calls


@pytest.fixture(autouse=True)
def _connected_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the next test no connection to elsewhere."""
    yield
    settings.reset()
    table.reset()


pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def test_all_kinds_of_items_share_one_client() -> None:
    first = StepItem._get_connection()
    assert first is RunItem._get_connection()
    assert first is Item._get_connection()
    assert first is table.connection()
    assert first.connection.client is table.connection().connection.client


def test_threads_that_start_together_share_one_client() -> None:
    table.reset()
    barrier = threading.Barrier(8)
    found = []

    def connect() -> None:
        barrier.wait()
        found.append(table.connection().connection.client)

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(client) for client in found}) == 1


def test_dynamodb_is_never_asked_what_the_table_is_like(calls: Calls) -> None:
    run = a_stored_run()
    runs.put_step(run.id, a_record(), write_id="1")
    assert runs.load_collection(run.id) is not None
    runs.page_of_project(run.project_id, status=run.status, cursor=None, limit=1)
    workflows.put(a_workflow())
    assert api_keys.load("none") is None
    assert calls.operations == ["PutItem", "PutItem", "Query", "Query", "BatchGetItem", "PutItem", "GetItem"]


def test_the_client_waits_little_and_tries_four_times() -> None:
    config: Any = table.connection().connection.client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.max_pool_connections == 64
    assert config.retries == {"total_max_attempts": 4, "mode": "standard"}


def test_the_models_describe_the_table_that_is_deployed(table: Table) -> None:
    deployed = table.client.describe_table(TableName=table.name)["Table"]
    model = Item._get_schema()
    assert sorted((one["AttributeName"], one["AttributeType"]) for one in deployed["AttributeDefinitions"]) == sorted(
        (one["AttributeName"], one["AttributeType"]) for one in model["attribute_definitions"]
    )
    assert {
        (index["IndexName"], key["AttributeName"], key["KeyType"])
        for index in deployed["GlobalSecondaryIndexes"]
        for key in index["KeySchema"]
    } == {
        (index["index_name"], key["AttributeName"], key["KeyType"])
        for index in model["global_secondary_indexes"]
        for key in index["key_schema"]
    }


def test_after_a_reset_the_settings_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table.connection()
    monkeypatch.setenv("STEPWELL_TABLE", "elsewhere")
    settings.reset()
    assert table.connection().table_name != "elsewhere"
    table.reset()
    assert table.connection().table_name == "elsewhere"
    assert RunItem.Meta.table_name == "elsewhere"


def test_a_table_that_is_not_there_is_told_from_one_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    table.check()
    monkeypatch.setenv("STEPWELL_TABLE", "elsewhere")
    settings.reset()
    table.reset()
    with pytest.raises(Rejected, match="ResourceNotFoundException"):
        table.check()
    with pytest.raises(Rejected, match="ResourceNotFoundException"):
        runs.load_collection("none")


def test_a_dynamodb_that_does_not_answer_is_unavailable(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{closed.getsockname()[1]}")
    table.reset()
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        runs.load("run-1")
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        runs.load_collection("run-1")
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        runs.wake("run-1")


def test_many_items_are_read_in_batches_of_a_hundred(calls: Calls) -> None:
    stored = [a_stored_run() for _ in range(103)]
    calls.sent.clear()
    wanted = [keys.run(run.id) for run in stored]
    found = table.get_many([*wanted, Key("RUN#none", "#RUN"), wanted[0]])
    assert set(found) == set(wanted)
    assert calls.operations == ["BatchGetItem", "BatchGetItem"]


def test_what_a_batch_leaves_unread_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [keys.run(a_stored_run().id) for _ in range(3)]
    asked = []

    def stingy(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer for one key only, however many are asked for."""
        (name, request), *_ = arguments["RequestItems"].items()
        first, *rest = request["Keys"]
        asked.append(len(request["Keys"]))
        unread = {name: {**request, "Keys": rest}} if rest else {}
        return {"Responses": {name: [first]}, "UnprocessedKeys": unread}

    monkeypatch.setattr(table, "call", stingy)
    monkeypatch.setattr("chalicelib.store.table.time.sleep", lambda _: None)
    assert set(table.get_many(stored)) == set(stored)
    assert asked == [3, 2, 1]


def test_a_batch_that_is_never_read_whole_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}

    monkeypatch.setattr(table, "call", silent)
    monkeypatch.setattr("chalicelib.store.table.time.sleep", lambda _: None)
    with pytest.raises(Unavailable, match="unread"):
        table.get_many([Key("a", "b")])


def test_what_a_batch_leaves_unwritten_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stingy(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Write one item only, however many are given."""
        ((name, requests),) = arguments["RequestItems"].items()
        asked.append((operation, len(requests)))
        table.call(operation, {"RequestItems": {name: requests[:1]}})
        return {"UnprocessedItems": {name: requests[1:]} if requests[1:] else {}}

    monkeypatch.setattr(transactions, "call", stingy)
    monkeypatch.setattr("chalicelib.store.transactions.time.sleep", lambda _: None)
    runs.put_records("run-stingy", [a_record(key) for key in "abc"])
    assert asked == [("BatchWriteItem", 3), ("BatchWriteItem", 2), ("BatchWriteItem", 1)]
    assert len(runs.load_steps([("run-stingy", key) for key in "abc"])) == 3


def test_a_batch_that_is_never_written_whole_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"UnprocessedItems": arguments["RequestItems"]}

    monkeypatch.setattr(transactions, "call", deaf)
    monkeypatch.setattr("chalicelib.store.transactions.time.sleep", lambda _: None)
    with pytest.raises(Unavailable, match="unwritten"):
        runs.put_records("run-deaf", [a_record()])
