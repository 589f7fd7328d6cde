"""Every endpoint of the workflow-runs API, asked in a state in which it succeeds: by whom, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.access import Scope
from chalicelib.services import keys
from tests.api.http import Client
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import ENDPOINTS, SCOPED, api_of, named, said_properly, writes
from tests.scenarios.ready import READY, Ready
from tests.scenarios.scene import Scene

pytestmark = pytest.mark.store

V1 = tuple(endpoint for endpoint in ENDPOINTS if api_of(endpoint) == "v1")
POSTS = tuple(endpoint for endpoint in V1 if endpoint.method == "POST")
#: Whoever keeps a job must have claimed it: no key with nothing but a scope has.
_OF_ITS_HOLDER = "keep_job_run"


class House:
    """A project in whatever state an endpoint asks for; those that only read share one."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._shared: dict[Callable[[Scene], Ready], Ready] = {}

    def ready(self, endpoint: Endpoint) -> Ready:
        """Be in the state."""
        state = READY[endpoint.view.__name__]
        if endpoint.method != "GET":
            return state(self.scene)
        if state not in self._shared:
            self._shared[state] = state(self.scene)
        return self._shared[state]


@pytest.fixture(scope="module")
def house(_module_stack: SharedStack) -> Iterator[House]:
    stack = _module_stack.stack()
    yield House(Scene.of(stack, Project(id="proj_open", key=stack.add_project("proj_open"))))
    assert stack.wait_idle(30)


def another(ready: Ready, endpoint: Endpoint) -> Ready:
    """Return another request to the same endpoint."""
    if endpoint.parameters:
        return replace(ready, ids=dict.fromkeys(endpoint.parameters, "nowhere"))
    return READY[endpoint.view.__name__](ready.scene)


def test_every_endpoint_can_be_made_ready() -> None:
    assert {endpoint.view.__name__ for endpoint in V1} == READY.keys()


@pytest.mark.parametrize("endpoint", [one for one in V1 if one in SCOPED], ids=named)
def test_a_key_with_nothing_but_the_scope_is_let_in(house: House, endpoint: Endpoint) -> None:
    if endpoint.view.__name__ == _OF_ITS_HOLDER:
        return
    assert isinstance(endpoint.scope, Scope)
    made = keys.create("proj_open", name="k", scopes=[endpoint.scope], now=datetime.now(UTC))
    answered = house.ready(endpoint).ask(endpoint, client=Client(url=house.scene.stack.url, key=made.text))
    assert answered.status == endpoint.status, answered.text
    assert (answered.text == "") == (endpoint.status == 204)
    house.scene.settle()


@pytest.mark.parametrize("endpoint", POSTS, ids=named)
def test_a_post_that_is_sent_again_under_its_key_does_nothing_more_and_is_answered_the_same(
    house: House, endpoint: Endpoint
) -> None:
    ready, key = house.ready(endpoint), f"twice-{endpoint.view.__name__}"
    first = ready.ask(endpoint, Idempotency_Key=key)
    assert first.status == endpoint.status, first.text
    assert "idempotency-replayed" not in first.headers
    house.scene.settle()
    with writes() as sent:
        again = ready.ask(endpoint, Idempotency_Key=key)
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["idempotency-replayed"] == "true"
    assert sent == ["PutItem"]  # the key's, which is taken
    refused = another(ready, endpoint).ask(endpoint, Idempotency_Key=key)
    assert (refused.status, refused.json["error"]["code"]) == (409, "idempotency_key_reused")
    assert said_properly(endpoint, refused)
