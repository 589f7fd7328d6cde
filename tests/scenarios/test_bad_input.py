"""Bad bodies, queries, headers and ids to every endpoint: the dialect's own error, never a 500, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.api.bodies import LONGEST_BODY
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.value import Json
from tests.api.http import Client
from tests.conftest import Project
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import (
    BODIES,
    ENDPOINTS,
    WITH_BODY,
    WITH_IDS,
    WITH_QUERY,
    House,
    named,
    nothing_written,
    said_properly,
)
from tests.scenarios.scene import CONNECTION, Scene

pytestmark = pytest.mark.store

#: No JSON at all, or more than JSON may be here.
MALFORMED = {
    "nothing": b"",
    "blank": b"  \n",
    "torn": b'{"name": ',
    "text": b"name=n",
    "two": b"{}{}",
    "comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "n"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"name": "n"}',
    "half a pair": b'{"name": "\\ud800"}',
    "half a pair as name": b'{"\\udfff": 1}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "1e400": b'{"name": 1e400}',
    "400 digits": b'{"name": ' + b"9" * 400 + b"}",
    "deep lists": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 200 + b"1" + b"}" * 200,
    "never closed": b"[" * 100_000,
    "a NUL": b'{"name": "\x00"}',
}
#: JSON, but not what a body of these endpoints is.
MISSHAPEN = (b"null", b"[]", b'"text"', b"5", b"true", b'{"unknown": 1}', b'{"__proto__": {}}')
#: In place of an id, percent-encoded as a client would send it.
STRANGE_IDS = (
    *("nowhere", "wf_00000000", "a%2Fb", "..%2F..", "%2e%2e", "%252e", "%25", "%", "%zz", "%00", "a%00b", "%ff", "%0a"),
    *("a%20b", "a%23b", "%3Fa", "%C3%A4", "%F0%9F%98%80", "%ED%A0%80", "x" * 129, "x" * 2000, "'%20OR%201=1", "$ne"),
)


@pytest.fixture(scope="module")
def house(_module_stack: SharedStack) -> House:
    stack = _module_stack.stack()
    project = Project(id="proj_doors", key=stack.add_project("proj_doors"))
    return House.of(Scene.of(stack, project))


@pytest.fixture
def key(house: House) -> str:
    return house.scene.project.key


@pytest.fixture
def untouched(house: House) -> Iterator[None]:
    """Hold the test to have written nothing."""
    with nothing_written():
        yield
        assert house.scene.stack.wait_idle(30)


def test_there_is_a_good_body_for_every_endpoint_that_takes_one() -> None:
    assert {endpoint.view.__name__ for endpoint in WITH_BODY} == BODIES.keys()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_a_body_that_is_not_json_is_a_400(house: House, key: str, endpoint: Endpoint) -> None:
    for name, body in MALFORMED.items():
        for headers in (None, {}, {"Content-Type": "text/plain; charset=utf-16"}):
            answered = house.knock(endpoint, body=body, key=key, headers=headers)
            assert answered.status == 400, (name, answered.text)
            assert said_properly(endpoint, answered), name


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_a_body_over_a_megabyte_is_refused(house: House, key: str, endpoint: Endpoint) -> None:
    answered = house.knock(endpoint, body=b'{"name": "' + b"x" * LONGEST_BODY + b'"}', key=key)
    assert answered.status == (413 if "token" in endpoint.parameters else 422)
    assert said_properly(endpoint, answered)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [one for one in WITH_BODY if not one.public], ids=named)
def test_a_body_of_another_shape_is_a_422_that_says_where(house: House, key: str, endpoint: Endpoint) -> None:
    good = BODIES[endpoint.view.__name__]
    bodies = [*MISSHAPEN, json.dumps({**good, "unknown": 1}).encode()]
    texts = [name for name, value in good.items() if isinstance(value, str)]
    wrongs: tuple[Json, ...] = (5, [], {}, True, "")
    bodies += [json.dumps({**good, name: wrong}).encode() for name in texts for wrong in wrongs]
    for body in bodies:
        answered = house.knock(endpoint, body=body, key=key)
        assert answered.status == 422, (body, answered.text)
        assert said_properly(endpoint, answered), body
        assert answered.json["details"], body


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=named)
def test_a_bad_query_is_a_422(house: House, key: str, endpoint: Endpoint) -> None:
    queries = ["limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=x", "limit=", "limit=1&limit=2", "limit=%D9%A1"]
    queries += ["cursor=", "cursor=nonsense", "cursor=%00", "cursor=%F0%9F%98%80", f"cursor={'x' * 1001}"]
    queries += ["status=pending", "status=", "status=%00"] if endpoint.path.endswith("/runs") else []
    for query in queries:
        answered = house.knock(endpoint, key=key, query=f"?{query}")
        assert answered.status == 422, (query, answered.text)
        assert said_properly(endpoint, answered), query


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [*WITH_IDS, *(one for one in WITH_BODY if one.public)], ids=named)
def test_an_id_of_nothing_is_a_404(house: House, key: str, endpoint: Endpoint) -> None:
    body = json.dumps(BODIES[endpoint.view.__name__]).encode() if endpoint.body else None
    for name in endpoint.parameters:
        for strange in STRANGE_IDS:
            answered = house.knock(endpoint, body=body, key=key, ids={name: strange})
            assert answered.status == 404, (name, strange, answered.text)
            assert said_properly(endpoint, answered), (name, strange)


@pytest.fixture(scope="module")
def stranger(house: House) -> House:
    """Another project, with one of everything too."""
    project = Project(id="proj_stranger", key=house.scene.stack.add_project("proj_stranger"))
    return House.of(Scene.of(house.scene.stack, project))


@pytest.mark.usefixtures("stranger", "untouched")
@pytest.mark.parametrize("endpoint", WITH_IDS, ids=named)
def test_another_projects_object_is_a_404(house: House, stranger: House, endpoint: Endpoint) -> None:
    theirs = stranger.scene.project.key
    body = json.dumps(BODIES[endpoint.view.__name__]).encode() if endpoint.body else None
    unknown = stranger.knock(endpoint, body=body, key=theirs, ids=dict.fromkeys(endpoint.parameters, "wf_nowhere"))
    assert unknown.status == 404
    for foreign in (endpoint.parameters, *([name] for name in endpoint.parameters)):
        answered = stranger.knock(endpoint, body=body, key=theirs, ids={name: house.ids[name] for name in foreign})
        assert answered.status == 404, (foreign, answered.text)
        assert said_properly(endpoint, answered)
        if "workflow_id" in foreign:
            assert answered.json == unknown.json


@pytest.mark.usefixtures("stranger", "untouched")
def test_another_projects_ids_in_a_body_are_404s(house: House, stranger: House) -> None:
    made = Client(url=house.scene.stack.url, key=house.scene.project.key)
    path = f"/api/workflows/{stranger.ids['workflow_id']}"
    with_version = {"connectionId": CONNECTION, "versionId": house.ids["version_id"]}
    event = {"instanceId": house.ids["run_id"], "eventType": "go"}
    assert made.get(f"/api/workflows/{house.ids['workflow_id']}/runs/{house.ids['run_id']}").status == 200
    client = stranger.scene.client
    assert client.post(f"{path}/deploy", with_version).status == 404
    assert client.post(f"{path}/trigger", {"connectionId": CONNECTION, "params": event}).status == 404


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("field", ["connectionId", "versionId", "instanceId"])
def test_an_id_of_nothing_in_a_body_is_a_404(house: House, key: str, field: str) -> None:
    path = f"/api/workflows/{house.ids['workflow_id']}"
    client = Client(url=house.scene.stack.url, key=key)
    for strange in ("nowhere", "a/b", "a#b", "..", "\x00", "ä", "😀", " "):
        if field == "instanceId":
            params = {"instanceId": strange, "eventType": "go"}
            answered = client.post(f"{path}/trigger", {"connectionId": CONNECTION, "params": params})
        else:
            answered = client.post(f"{path}/deploy", {"connectionId": CONNECTION, field: strange})
        assert answered.status == 404, (strange, answered.text)
        assert set(answered.json) == {"error"}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "params",
    [
        {"instanceId": 5, "eventType": "go"},
        {"instanceId": None, "eventType": "go"},
        {"instanceId": "", "eventType": "go"},
        {"instanceId": "x", "eventType": ""},
        {"instanceId": "x", "eventType": "a b"},
        {"instanceId": "x", "eventType": "child:a:1:1"},
        {"instanceId": "x", "eventType": "x" * 101},
        {"instanceId": "x", "eventType": "go\n"},
        {"instanceId": "x", "eventType": ["go"]},
        {"instanceId": "x", "eventType": "go", "unknown": 1},
    ],
)
def test_params_that_are_meant_as_an_event_but_are_none_start_nothing(house: House, key: str, params: object) -> None:
    path = f"/api/workflows/{house.ids['workflow_id']}/trigger"
    answered = Client(url=house.scene.stack.url, key=key).post(path, {"connectionId": CONNECTION, "params": params})
    assert answered.status == 422
    assert answered.json["details"][0]["path"].startswith("params")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sent", ["", "x" * 256])
def test_a_bad_idempotency_key_is_a_422(house: House, key: str, sent: str) -> None:
    path = f"/api/workflows/{house.ids['workflow_id']}/trigger"
    answered = Client(url=house.scene.stack.url, key=key).post(path, BODIES["trigger_run"], Idempotency_Key=sent)
    assert answered.status == 422


def test_a_good_body_needs_no_content_type(house: House, key: str) -> None:
    [create] = [endpoint for endpoint in ENDPOINTS if endpoint.view.__name__ == "create_workflow"]
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/octet-stream"}):
        assert (
            house.knock(create, body=b'{"name": "\xc3\xa4 \xf0\x9f\x98\x80"}', key=key, headers=headers).status == 201
        )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_PARTS = st.sampled_from(["id", "type", "name", "data", "config", "source", "target", "label", "nodes", "edges"])
_GRAPH = st.fixed_dictionaries(
    {
        "metadata": st.just({"name": "g"}) | _JSON,
        "nodes": st.lists(st.dictionaries(_PARTS, st.just("transform") | _JSON, max_size=5), max_size=3) | _JSON,
        "edges": st.lists(st.dictionaries(_PARTS, _JSON, max_size=3), max_size=3) | _JSON,
        "entryNodeId": st.just("a") | _JSON,
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=_GRAPH | _JSON)
def test_whatever_is_no_graph_is_refused_with_its_details(house: House, key: str, graph: object) -> None:
    path = f"/api/workflows/{house.ids['workflow_id']}/versions"
    answered = Client(url=house.scene.stack.url, key=key).post(path, {"ir": graph})
    assert answered.status in {200, 201, 400}, answered.text
    if answered.status == 400 and "surrogate" not in answered.text:
        assert answered.json["error"] == "Invalid IR"
        assert all({"path", "message"} <= detail.keys() for detail in answered.json["details"])


def test_the_watch_on_writes_sees_one(house: House, key: str) -> None:
    [create] = [endpoint for endpoint in ENDPOINTS if endpoint.view.__name__ == "create_workflow"]
    with pytest.raises(AssertionError), nothing_written():
        assert house.knock(create, body=b'{"name": "n"}', key=key).status == 201
