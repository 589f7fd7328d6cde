"""What every test may ask for: a running stack, a project of its own in it, a table of its own.

`--dynamodb local` runs the tests on DynamoDB Local in place of moto (`make test-dynamodb`, with `-m store`).
"""

from __future__ import annotations

import functools
import itertools
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import botocore.session
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from chalicelib.store.table import Item
from infra.local import LocalStack, permissions
from infra.local.aws import REGION, aws
from infra.local.dynamodb import CannotStart, dynamodb_local
from infra.local.resources import Clients, create_table
from infra.local.stack import forget_clients
from tests.agents import sample_agent

# Each of botocore's sessions reads the same models of AWS's services anew, a tenth of a second a client: here there are
# thousands of clients, and the models are read once.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

_numbers = itertools.count(1)

#: What runs as an agent on the session's stack: a program of rules.
AGENTS = dict.fromkeys(("claude", "codex", "opencode", "pi"), shlex.join([sys.executable, sample_agent.__file__]))


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project that nothing else uses."""

    #: Its id.
    id: str
    #: An API key with every scope.
    key: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that nothing else uses, and that the store is pointed at."""

    #: Its name.
    name: str
    #: A client for looking into it.
    client: DynamoDBClient


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--dynamodb", choices=["moto", "local"], default="moto", help="what stands in for DynamoDB")


@pytest.fixture(scope="session")
def dynamodb_endpoint(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of DynamoDB Local, or None on moto."""
    if request.config.getoption("--dynamodb") == "moto":
        yield None
        return
    with ExitStack() as exit_stack:
        try:
            endpoint = exit_stack.enter_context(dynamodb_local())
        except CannotStart as missing:
            pytest.exit(str(missing), returncode=1)
        yield endpoint


class _Shared:
    """The session's stack, made when first asked for, and again if somebody's mock has wiped moto meanwhile."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint
        self._exit = ExitStack()
        self._stack: LocalStack | None = None

    def stack(self) -> LocalStack:
        if self._stack is not None and not self._stack.intact:
            self.close()
        if self._stack is None:
            made = LocalStack(
                dynamodb_endpoint=self._endpoint, sweep_seconds=None, retry_delays=(0.05, 0.1), agent_commands=AGENTS
            )
            self._stack = self._exit.enter_context(made)
        return self._stack

    def deactivate(self) -> None:
        if self._stack is not None:
            self._stack.deactivate()

    def close(self) -> None:
        self._exit.close()
        self._stack = None


@pytest.fixture(scope="session")
def _shared_stack(dynamodb_endpoint: str | None) -> Iterator[_Shared]:
    shared = _Shared(dynamodb_endpoint)
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def _module_stack(_shared_stack: _Shared) -> Iterator[_Shared]:
    """The stack for one module's tests: the next module finds the process's environment as it was."""
    with pytest.MonkeyPatch.context() as patient:
        # On a busy machine an answer can be late. Asked for again, moto makes a transaction twice: it ignores the token
        # that tells DynamoDB that it is the same one.
        patient.setattr(Item.Meta, "read_timeout_seconds", 30)
        _shared_stack.stack().activate()
        yield _shared_stack
        _shared_stack.deactivate()


@pytest.fixture
def stack(_module_stack: _Shared) -> Iterator[LocalStack]:
    """The session's stack. Its retries come at once, and its sweep runs when a test says `stack.invoke("sweep")`."""
    running = _module_stack.stack()
    running.activate()
    yield running
    assert running.wait_idle(30), "the test left an invocation running"
    assert permissions.refusals() == []


@pytest.fixture
def project(stack: LocalStack) -> Project:
    """A new project of the stack, with its `conn_default`."""
    project_id = f"proj_{next(_numbers)}"
    return Project(id=project_id, key=stack.add_project(project_id))


@pytest.fixture
def table(dynamodb_endpoint: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """A new table out of `infra/resources.yaml`, which `chalicelib.store` uses meanwhile."""
    server = aws()
    client = Clients.at(server.url, dynamodb_endpoint=dynamodb_endpoint).dynamodb
    name = f"table-{os.getpid()}-{next(_numbers)}"
    create_table(name, client)
    for variable, value in {
        "STEPWELL_TABLE": name,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_endpoint or server.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }.items():
        monkeypatch.setenv(variable, value)
    forget_clients()
    yield Table(name=name, client=client)
    client.delete_table(TableName=name)
    monkeypatch.undo()
    forget_clients()
