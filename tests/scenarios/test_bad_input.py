"""Bad bodies, queries, headers and ids to every endpoint: the dialect's own error, never a 500, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

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
    CLOSED,
    ENDPOINTS,
    WITH_BODY,
    WITH_IDS,
    WITH_QUERY,
    House,
    api_of,
    details_of,
    named,
    nothing_written,
    refused_as,
    said_properly,
)
from tests.scenarios.scene import CONNECTION, Scene

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
#: The status of input that breaks a rule, and of a body that is too large, by API.
INVALID = {"api": 422, "v1": 400, "library": 400}
TOO_LARGE = {"api": 422, "v1": 413, "library": 413, "functions": 413}
#: Texts that say something if anybody cares to.
MAY_BE_EMPTY = {"comment", "reason"}
#: By parameter, what it must not be.
BAD_QUERIES: Mapping[str, tuple[str, ...]] = {
    "limit": ("limit=0", "limit=-1", "limit=1.5", "limit=x", "limit=", "limit=%D9%A1"),
    "cursor": ("cursor=", "cursor=nonsense", "cursor=%00", "cursor=%F0%9F%98%80", f"cursor={'x' * 1001}"),
    "days": ("days=0", "days=366", "days=-1", "days=1.5", "days=", "days=%EF%BC%99"),
    "granularity": ("granularity=hourly", "granularity=", "granularity=Daily"),
    "timezone": ("timezone=Mars/Olympus", "timezone=..%2FUTC", "timezone=", "timezone=%2B01:00", "timezone=localtime"),
    "status": ("status=nonsense", "status=", "status=%00", "status=PENDING"),
    "project_id": ("project_id=",),
    "workflow_id": ("workflow_id=", f"workflow_id={'x' * 256}"),
    "workflow_run_id": ("workflow_run_id=",),
    "tag_key": ("tag_key=", f"tag_key={'x' * 65}"),
    "tag_value": ("tag_value=x", f"tag_key=k&tag_value={'x' * 257}"),
    "slug": ("slug=", f"slug={'x' * 256}"),
    "job_id": ("job_id=", f"job_id={'x' * 256}"),
    "include": ("include=", "include=everything"),
    "format": ("format=", "format=xml"),
    "id": ("id=", f"id={'x' * 256}"),
    "storageId": ("storageId=", f"storageId={'x' * 256}"),
    "includeDeleted": ("includeDeleted=", "includeDeleted=yes", "includeDeleted=1"),
    "enabled": ("enabled=", "enabled=yes", "enabled=1", "enabled=True"),
}
#: The views that take null as absent.
NULL_IS_ABSENT = {"publish_workflow", "revise_workflow"}
#: One value of each of JSON's types.
_OF_TYPE: Mapping[str, Json] = {"string": "x", "integer": 5, "boolean": True, "array": [], "object": {}, "null": None}


def takes_nothing(endpoint: Endpoint) -> bool:
    """Whether an empty body will do."""
    assert endpoint.body is not None
    return api_of(endpoint) in {"v1", "library"} and "required" not in endpoint.body.model_json_schema()


def wrong_types(endpoint: Endpoint) -> dict[str, list[Json]]:
    """Return by field values of the types that its model has no room for; none where any JSON will do."""
    assert endpoint.body is not None
    schema: dict[str, Any] = endpoint.body.model_json_schema()
    wrong = {}
    for name, field in schema["properties"].items():
        kinds = {one.get("type", "object" if "$ref" in one else None) for one in field.get("anyOf", [field])}
        if endpoint.view.__name__ in NULL_IS_ABSENT and name not in schema.get("required", ()):
            kinds.add("null")
        wrong[name] = [] if None in kinds else [value for kind, value in _OF_TYPE.items() if kind not in kinds]
    return wrong


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
        if takes_nothing(endpoint) and not body.strip():
            continue
        for headers in (None, {}, {"Content-Type": "text/plain; charset=utf-16"}):
            answered = house.knock(endpoint, body=body, key=key, headers=headers)
            assert answered.status == 400, (name, answered.text)
            assert said_properly(endpoint, answered), name


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_a_body_over_a_megabyte_is_refused(house: House, key: str, endpoint: Endpoint) -> None:
    answered = house.knock(endpoint, body=b'{"name": "' + b"x" * LONGEST_BODY + b'"}', key=key)
    assert answered.status == TOO_LARGE[api_of(endpoint)]
    assert said_properly(endpoint, answered)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [one for one in WITH_BODY if not one.public], ids=named)
def test_a_body_of_another_shape_is_refused_and_says_where(house: House, key: str, endpoint: Endpoint) -> None:
    good = house.good_body(endpoint)
    bodies = [*MISSHAPEN, json.dumps({**good, "unknown": 1}).encode()]
    texts = [name for name, value in good.items() if isinstance(value, str) and name not in MAY_BE_EMPTY]
    bodies += [json.dumps({**good, name: ""}).encode() for name in texts]
    for body in bodies:
        answered = house.knock(endpoint, body=body, key=key)
        assert answered.status == INVALID[api_of(endpoint)], (body, answered.text)
        assert said_properly(endpoint, answered), body
        assert details_of(endpoint, answered), body


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [one for one in WITH_BODY if not one.public], ids=named)
def test_a_field_of_another_type_is_refused_by_name(house: House, key: str, endpoint: Endpoint) -> None:
    for name, wrongs in wrong_types(endpoint).items():
        for wrong in wrongs:
            body = json.dumps({**house.good_body(endpoint), name: wrong}).encode()
            answered = house.knock(endpoint, body=body, key=key)
            assert answered.status == INVALID[api_of(endpoint)], (body, answered.text)
            assert said_properly(endpoint, answered), body
            assert [one["path"].partition(".")[0] for one in details_of(endpoint, answered)] == [name], answered.text


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [one for one in WITH_BODY if not one.public], ids=named)
def test_a_body_without_a_field_that_it_needs_is_refused_by_name(house: House, key: str, endpoint: Endpoint) -> None:
    assert endpoint.body is not None
    for name in endpoint.body.model_json_schema().get("required", ()):
        good = house.good_body(endpoint)
        body = json.dumps({other: good[other] for other in good if other != name}).encode()
        answered = house.knock(endpoint, body=body, key=key)
        assert answered.status == INVALID[api_of(endpoint)], (body, answered.text)
        assert [one["path"] for one in details_of(endpoint, answered)] == [name]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=named)
def test_a_bad_query_is_refused_by_name(house: House, key: str, endpoint: Endpoint) -> None:
    assert endpoint.query is not None
    for name in endpoint.query.model_json_schema()["properties"]:
        wrongs = [*BAD_QUERIES[name], f"{name}=1&{name}=2"]
        wrongs += ["limit=101"] if name == "limit" and api_of(endpoint) != "v1" else []
        wrongs += [""] if name in endpoint.query.model_json_schema().get("required", ()) else []
        for wrong in wrongs:
            others = "" if f"{name}=" in house.query(endpoint) else f"&{house.query(endpoint)}"
            answered = house.knock(endpoint, key=key, query=wrong + others)
            assert answered.status == INVALID[api_of(endpoint)], (wrong, answered.text)
            assert said_properly(endpoint, answered), wrong
            said = answered.text if api_of(endpoint) == "v1" else str(details_of(endpoint, answered) or name)
            assert name in said, (wrong, said)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("endpoint", [*WITH_IDS, *(one for one in WITH_BODY if one.public)], ids=named)
def test_an_id_of_nothing_is_a_404(house: House, key: str, endpoint: Endpoint) -> None:
    body = house.body(endpoint)
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
    theirs, body, own = stranger.scene.project.key, stranger.body(endpoint), house.ids_for(endpoint)
    unknown = stranger.knock(endpoint, body=body, key=theirs, ids=dict.fromkeys(endpoint.parameters, "wf_nowhere"))
    assert unknown.status == 404
    # A step's ref says nothing of whose it is.
    singly = ([name] for name in endpoint.parameters if name != "step_ref")
    for foreign in (endpoint.parameters, *singly):
        answered = stranger.knock(endpoint, body=body, key=theirs, ids={name: own[name] for name in foreign})
        assert answered.status == 404, (foreign, answered.text)
        assert said_properly(endpoint, answered)
        if endpoint.parameters[0] in foreign:
            assert refused_as(endpoint, answered) == refused_as(endpoint, unknown)


@pytest.mark.usefixtures("stranger", "untouched")
@pytest.mark.parametrize("endpoint", CLOSED, ids=named)
def test_another_project_in_a_body_or_a_query_is_a_404(house: House, stranger: House, endpoint: Endpoint) -> None:
    """As an unknown one is: nobody learns which projects there are."""
    body, key = stranger.body(endpoint), stranger.scene.project.key
    fields = endpoint.query.model_json_schema()["properties"] if endpoint.query is not None else ()
    for project in (house.scene.project.id, "proj_nowhere", "a#b"):
        if body is not None and b"project_id" in body:
            sent = json.dumps({**stranger.good_body(endpoint), "project_id": project}).encode()
            answered = stranger.knock(endpoint, body=sent, key=key)
        elif "project_id" in fields:
            answered = stranger.knock(endpoint, key=key, query=f"project_id={quote(project)}")
        else:
            continue
        assert answered.status == 404, answered.text
        assert refused_as(endpoint, answered) == {"code": "not_found", "message": "project not found"}


@pytest.mark.usefixtures("stranger", "untouched")
def test_another_projects_ids_in_a_query_find_nothing(house: House, stranger: House) -> None:
    get, project = stranger.scene.client.get, stranger.scene.project.id
    for ids in (house.v1_ids, dict.fromkeys(house.v1_ids, "nowhere")):
        runs = get(f"/v1/workflow-runs?project_id={project}&workflow_id={ids['workflow_id']}")
        events = get(f"/v1/events?workflow_run_id={ids['run_id']}")
        assert (runs.status, runs.text) in {(200, "[]"), (404, runs.text)}, ids
        assert (events.status, events.text) in {(200, "[]"), (404, events.text)}, ids


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


_FIELDS = st.sampled_from(["step_ref", "step_type", "depends_on", "payload", "condition", "event_key", "job_id", "x"])
_STEPS = st.lists(st.dictionaries(_FIELDS, st.sampled_from(["a", "job", "b"]) | _JSON, max_size=5) | _JSON, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS | _JSON)
def test_whatever_are_no_steps_is_refused_with_its_details(house: House, key: str, steps: object) -> None:
    path = f"/v1/workflows/{house.v1_ids['workflow_id']}/dry-run"
    answered = Client(url=house.scene.stack.url, key=key).post(path, {"steps": steps})
    assert answered.status in {200, 400}, answered.text
    if answered.status == 200 and not answered.json["valid"]:
        assert all(fault["path"].startswith("steps") and fault["message"] for fault in answered.json["errors"])


def test_the_watch_on_writes_sees_one(house: House, key: str) -> None:
    [create] = [endpoint for endpoint in ENDPOINTS if endpoint.view.__name__ == "create_workflow"]
    with pytest.raises(AssertionError), nothing_written():
        assert house.knock(create, body=b'{"name": "n"}', key=key).status == 201
