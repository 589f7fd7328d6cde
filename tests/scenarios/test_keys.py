"""Who may do what: every closed endpoint without a key, with a bad one, and with each scope but the one it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations, product

import pytest

from chalicelib.api.endpoints import Endpoint
from chalicelib.api.requests import PARAMETERS
from chalicelib.domain.access import TRIGGER_API_BUNDLES, WORKFLOW_RUNS_API_BUNDLES, Scope, scopes_of, word_for
from chalicelib.domain.value import Json
from chalicelib.services import keys
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import (
    CLOSED,
    ENDPOINTS,
    SCOPED,
    House,
    api_of,
    named,
    nothing_written,
    refused_as,
    said_properly,
)
from tests.scenarios.scene import Scene

#: The whole of what asks for no key.
PUBLIC = {
    "GET /healthz",
    "GET /openapi.json",
    # They ask for a token that is one agent's: see test_agent_callbacks.
    *(f"POST /api/v1/agents/{{ticket_id}}/{verb}" for verb in ("report", "heartbeat", "fail")),
    *(f"{method} /functions/{{token}}" for method in ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE")),
}

#: An id of nothing for each parameter.
NOWHERE = dict.fromkeys(PARAMETERS, "nowhere")


@pytest.fixture(scope="module")
def house(_module_stack: SharedStack) -> House:
    stack = _module_stack.stack()
    project = Project(id="proj_keys", key=stack.add_project("proj_keys"))
    return House.of(Scene.of(stack, project))


def a_key(*scopes: str, expires_at: datetime | None = None) -> str:
    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    made = keys.create("proj_keys", name="k", scopes=scopes, now=a_minute_ago, expires_at=expires_at)
    return made.text


def test_only_these_endpoints_ask_for_no_key() -> None:
    assert {named(endpoint) for endpoint in ENDPOINTS if endpoint.public} == PUBLIC


@pytest.mark.parametrize("endpoint", CLOSED, ids=named)
def test_without_a_good_key_every_request_is_a_401_and_nothing_is_written(house: House, endpoint: Endpoint) -> None:
    good = house.scene.project.key
    key_id = good.split("_")[1]
    headers = [{}, {"Authorization": ""}, {"Authorization": good}, {"Authorization": f"Basic {good}"}]
    headers += [
        {"Authorization": f"Bearer {bad}"}
        for bad in (
            "",
            "x",
            good[:-1],
            good + "0",
            f"ask_{key_id}_",
            f"ask_{key_id}_{'0' * 64}",
            "ask_none_x",
            "ask__x",
        )
    ]
    headers += [{"X-Api-Key": good}, {"Authorization": f"Bearer {good} {good}"}]
    with nothing_written():
        for sent in headers:
            answered = house.knock(endpoint, body=house.body(endpoint), headers=sent)
            assert answered.status == 401, (sent, answered.text)
            assert said_properly(endpoint, answered)
            assert good not in answered.text


def missing(word: str, endpoint: Endpoint) -> Json:
    """What is said of a scope that a key lacks, in the words of the endpoint's API."""
    message = f"API key missing required scope: {word}"
    codes = {"v1": "forbidden", "library": "SCOPE_DENIED"}
    api = api_of(endpoint)
    return {"code": codes[api], "message": message} if api in codes else {"error": message}


@pytest.mark.parametrize("endpoint", SCOPED, ids=named)
def test_a_key_with_every_scope_but_the_one_wanted_is_a_403(house: House, endpoint: Endpoint) -> None:
    assert isinstance(endpoint.scope, Scope)
    key = a_key(*(scope for scope in Scope if scope is not endpoint.scope))
    house.knock(endpoint, body=b"{", key=key)  # so that the key's first use is noted before we look
    word = word_for(endpoint.scope, endpoint.dialect.bundles)
    asked = product((None, NOWHERE), (house.body(endpoint), b"{"))
    with nothing_written():
        for ids, body in asked:
            answered = house.knock(endpoint, body=body, key=key, ids=ids)
            assert (answered.status, refused_as(endpoint, answered)) == (403, missing(word, endpoint))
            assert said_properly(endpoint, answered)


@pytest.mark.parametrize("word", sorted({*TRIGGER_API_BUNDLES, *WORKFLOW_RUNS_API_BUNDLES}))
def test_a_word_opens_what_it_stands_for_and_nothing_else(house: House, word: str) -> None:
    key = a_key(word)
    for endpoint in CLOSED:
        answered = house.knock(endpoint, body=b"{", key=key, ids=NOWHERE)
        opened = endpoint not in SCOPED or endpoint.scope in scopes_of([word])
        assert (answered.status != 403) == opened, (named(endpoint), answered.text)


@pytest.mark.parametrize("bundles", [TRIGGER_API_BUNDLES, WORKFLOW_RUNS_API_BUNDLES])
def test_no_word_implies_another_of_its_api(bundles: Mapping[str, frozenset[Scope]]) -> None:
    for one, other in combinations(bundles.values(), 2):
        assert not one & other


def test_a_key_that_is_revoked_rotated_or_expired_opens_nothing(house: House) -> None:
    [lists] = [endpoint for endpoint in CLOSED if endpoint.view.__name__ == "list_workflows"]
    now = datetime.now(UTC)
    revoked = a_key("read")
    assert house.knock(lists, key=revoked).status == 200
    keys.revoke("proj_keys", revoked.split("_")[1], now=now)
    rotated = a_key("read")
    fresh = keys.rotate("proj_keys", rotated.split("_")[1], now=now).text
    assert house.knock(lists, key=fresh).status == 200
    for key in (revoked, rotated, a_key("read", expires_at=now - timedelta(seconds=1))):
        assert house.knock(lists, key=key).status == 401
