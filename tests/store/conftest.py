"""The store's tests have a table for each module, and a way to lose DynamoDB's answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError

from chalicelib.store import table as store_table
from infra.local.aws import REGION, aws
from infra.local.resources import Clients, create_table
from infra.local.stack import forget_clients
from tests.conftest import Table


class Calls:
    """What is sent to DynamoDB, and which answers never arrive."""

    def __init__(self) -> None:
        #: Each request that was sent: its operation and its body.
        self.sent: list[tuple[str, dict[str, Any]]] = []
        #: How many of the next answers are lost after DynamoDB has done what it was asked.
        self.lose = 0

    def __call__(self, request: AWSPreparedRequest, **_: object) -> None:
        """Stand between botocore and the wire: to answer nothing has it send the request as always."""
        target = request.headers["X-Amz-Target"]
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        assert isinstance(request.body, bytes)
        self.sent.append((operation, json.loads(request.body)))
        if self.lose == 0:
            return
        self.lose -= 1
        endpoint = store_table.connection().connection.client._endpoint
        endpoint.http_session.send(request)
        raise ReadTimeoutError(endpoint_url=request.url)

    @property
    def operations(self) -> list[str]:
        """The names of what was sent."""
        return [operation for operation, _ in self.sent]


@pytest.fixture(scope="module")
def table(dynamodb_endpoint: str | None) -> Iterator[Table]:
    """One table for a module's tests: they keep apart by ids, and a table with its clients takes half a second each."""
    server = aws()
    client = Clients.at(server.url, dynamodb_endpoint=dynamodb_endpoint).dynamodb
    name = f"store-{uuid.uuid4()}"
    create_table(name, client)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STEPWELL_TABLE", name)
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_endpoint or server.url)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", "local")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "local")
        forget_clients()
        yield Table(name=name, client=client)
    client.delete_table(TableName=name)
    forget_clients()


@pytest.fixture
def calls(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """The store's calls to its table, with no pauses between botocore's tries."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    found = Calls()
    events = store_table.connection().connection.client.meta.events
    events.register("before-send.dynamodb", found)
    yield found
    events.unregister("before-send.dynamodb", found)


@pytest.fixture
def on_local(request: pytest.FixtureRequest) -> None:
    """Skip on moto what moto cannot show."""
    if request.config.getoption("--dynamodb") == "moto":
        pytest.skip("moto ignores request tokens")
