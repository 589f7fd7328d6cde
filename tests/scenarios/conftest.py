"""What the scenarios share: a project's scene, and a server for its steps to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from moto.dynamodb.models import dynamodb_backends

from infra.local import LocalStack, interpreter, permissions
from infra.local.aws import ACCOUNT, REGION
from tests.conftest import Project
from tests.gateways.servers import Answer, Asked, Server, http_server
from tests.scenarios.scene import Scene


class SharedStack(Protocol):
    """What `tests.conftest` shares among the tests."""

    def stack(self) -> LocalStack:
        """Return the running stack."""


class Web:
    """A server on this machine; a test sets ``answer``."""

    def __init__(self) -> None:
        #: What it says to a request; by default it sends the body back.
        self.answer: Callable[[Asked], Answer] = echoed
        #: Lets go of requests that are held up, where ``answer`` holds any.
        self.release: Callable[[], None] = lambda: None
        self.server: Server

    def said(self, asked: Asked) -> Answer:
        """Answer a request, as the test says by now."""
        return self.answer(asked)

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    @property
    def asked(self) -> list[Asked]:
        """The requests that it was sent."""
        return self.server.asked


def echoed(asked: Asked) -> Answer:
    """Return the request's body."""
    return Answer(headers={"Content-Type": "application/json"}, body=asked.body or b"null")


@pytest.fixture
def stack(_module_stack: SharedStack) -> Iterator[LocalStack]:
    """Return the session's stack, its clients kept from one test of a module to the next: making them costs a lot."""
    running = _module_stack.stack()
    yield running
    assert running.wait_idle(30), "the test left an invocation running"
    assert permissions.refusals() == []


@pytest.fixture(scope="module", autouse=True)
def _left_behind(_module_stack: SharedStack, dynamodb_endpoint: str | None) -> Iterator[None]:
    """End what a module's tests have left waiting, and on moto take the runs and workflows out of the table.

    moto copies the whole table for every transaction: the last modules would take many times as long as the first.
    """
    yield
    interpreter.stop_executions()
    if dynamodb_endpoint is None:
        table = dynamodb_backends[ACCOUNT][REGION].tables[_module_stack.stack().resources.table]
        for key in [key for key in table.items if not key.value.startswith(("PROJECT#", "KEY#"))]:
            del table.items[key]


@pytest.fixture
def scene(stack: LocalStack, project: Project) -> Scene:
    """Return the scene of a new project."""
    return Scene.of(stack, project)


@pytest.fixture
def web() -> Iterator[Web]:
    """Have a server for steps to call."""
    made = Web()
    with http_server(made.said) as server:
        made.server = server
        yield made
        made.release()
