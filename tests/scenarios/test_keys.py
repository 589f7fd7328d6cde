"""Who may do what: every closed endpoint without a key, with a bad one, and with each scope but the one it asks for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.access import TRIGGER_API_BUNDLES, Scope, word_for
from chalicelib.services import keys
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import BODIES, CLOSED, ENDPOINTS, House, named, nothing_written, said_properly
from tests.scenarios.scene import Scene

pytestmark = pytest.mark.store

#: The whole of what asks for no key.
PUBLIC = {
    "GET /healthz",
    *(f"{method} /functions/{{token}}" for method in ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE")),
}


@pytest.fixture(scope="module")
def house(_module_stack: SharedStack) -> House:
    stack = _module_stack.stack()
    project = Project(id="proj_keys", key=stack.add_project("proj_keys"))
    return House.of(Scene.of(stack, project))


def a_key(*scopes: str, expires_at: datetime | None = None) -> str:
    made = keys.create("proj_keys", name="k", scopes=scopes, now=datetime.now(UTC), expires_at=expires_at)
    return made.text


def good_body(endpoint: Endpoint) -> bytes | None:
    return json.dumps(BODIES[endpoint.view.__name__]).encode() if endpoint.body else None


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
            answered = house.knock(endpoint, body=good_body(endpoint), headers=sent)
            assert answered.status == 401, (sent, answered.text)
            assert said_properly(endpoint, answered)
            assert good not in answered.text


@pytest.mark.parametrize("endpoint", CLOSED, ids=named)
def test_a_key_with_every_scope_but_the_one_wanted_is_a_403(house: House, endpoint: Endpoint) -> None:
    assert endpoint.scope is not None
    key = a_key(*(scope for scope in Scope if scope is not endpoint.scope))
    house.knock(endpoint, body=b"{", key=key)  # so that the key's first use is noted before we look
    word = word_for(endpoint.scope, TRIGGER_API_BUNDLES)
    asked = product((None, {"workflow_id": "nowhere"}), (good_body(endpoint), b"{"))
    with nothing_written():
        for ids, body in asked:
            answered = house.knock(endpoint, body=body, key=key, ids=ids)
            assert (answered.status, answered.json) == (403, {"error": f"API key missing required scope: {word}"})
            assert said_properly(endpoint, answered)


@pytest.mark.parametrize("word", TRIGGER_API_BUNDLES)
def test_no_word_implies_another(house: House, word: str) -> None:
    key = a_key(word)
    for endpoint in CLOSED:
        answered = house.knock(endpoint, body=b"{", key=key, ids={"workflow_id": "nowhere", "run_id": "nowhere"})
        wanted = word_for(endpoint.scope, TRIGGER_API_BUNDLES) if endpoint.scope else ""
        assert (answered.status != 403) == (wanted == word), (named(endpoint), answered.text)


def test_a_key_that_is_revoked_rotated_or_expired_opens_nothing(house: House) -> None:
    [lists] = [endpoint for endpoint in CLOSED if endpoint.view.__name__ == "list_workflows"]
    now = datetime.now(UTC)
    revoked = a_key("read")
    assert house.knock(lists, key=revoked).status == 200
    keys.revoke("proj_keys", revoked.split("_")[1], now=now)
    rotated = a_key("read")
    fresh = keys.rotate("proj_keys", rotated.split("_")[1]).text
    assert house.knock(lists, key=fresh).status == 200
    for key in (revoked, rotated, a_key("read", expires_at=now - timedelta(seconds=1))):
        assert house.knock(lists, key=key).status == 401
