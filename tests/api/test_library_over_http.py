from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.api import catalog
from infra.local import LocalStack
from tests.api.http import Client
from tests.conftest import Project

pytestmark = [pytest.mark.store]

TRANSFORM = {"id": "only", "type": "transform", "name": "EXPORT_sum", "data": {"value": "{{ payload.a }}"}}
GRAPH = {"metadata": {"name": "g"}, "nodes": [TRANSFORM], "edges": [], "entryNodeId": "only"}
#: What an error holds besides ``error``, by dialect.
SHAPES = {"workflow_runs": {"request_id"}, "workflows": {"requestId"}}


@pytest.fixture
def client(stack: LocalStack, project: Project) -> Client:
    return Client(url=stack.url, key=project.key)


def a_workflow(client: Client, kind: str = "workflow", **given: object) -> Any:
    created = client.post("/api/workflows", {"name": "orders", "description": "d", "kind": kind, **given})
    assert created.status == 201, created.text
    return created.json


def deployed(client: Client, kind: str = "workflow") -> tuple[str, str]:
    """A deployed workflow's id, and its URL."""
    workflow = a_workflow(client, kind)
    saved = client.post(f"/api/workflows/{workflow['id']}/versions", {"ir": GRAPH})
    assert saved.status == 201, saved.text
    answered = client.post(f"/api/workflows/{workflow['id']}/deploy", {"connectionId": "conn_default"})
    assert (answered.status, answered.json["success"]) == (200, True), answered.text
    return workflow["id"], answered.json["url"]


def test_a_workflow_is_created_changed_listed_and_deleted(client: Client) -> None:
    created = a_workflow(client)
    assert set(created) == {
        "id", "name", "description", "kind", "triggerCode", "currentVersion", "createdAt", "updatedAt",
    }  # fmt: skip
    path = f"/api/workflows/{created['id']}"
    assert client.get(path).json == created
    changed = client.send("PATCH", path, b'{"name": "renamed"}')
    assert (changed.status, changed.json["name"], changed.json["description"]) == (200, "renamed", "d")
    assert client.get("/api/workflows").json == {"data": [changed.json], "nextCursor": None}
    assert (client.send("DELETE", path).status, client.get(path).status) == (200, 404)
    assert client.get("/api/workflows").json == {"data": [], "nextCursor": None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 256},
        {"name": 5},
        {"name": "n", "description": "x" * 1001},
        {"name": "n", "kind": "other"},
        {"name": "n", "triggerCode": "{{ x }}"},
        {"name": "n", "extra": 1},
        [],
        None,
    ],
)
def test_a_workflow_that_breaks_a_rule_is_refused_and_nothing_is_written(client: Client, body: object) -> None:
    answered = client.post("/api/workflows", body)
    assert answered.status == 422
    assert isinstance(answered.json["error"], str)
    assert client.get("/api/workflows").json["data"] == []


@pytest.mark.parametrize("body", [b'{"name": null}', b'{"kind": "script"}', b'{"description": 1}', b"{", b""])
def test_a_change_that_breaks_a_rule_is_refused(client: Client, body: bytes) -> None:
    created = a_workflow(client)
    path = f"/api/workflows/{created['id']}"
    assert client.send("PATCH", path, body).status in {400, 422}
    assert client.get(path).json == created


def test_versions_are_saved_overwritten_deployed_and_reverted(client: Client) -> None:
    path = f"/api/workflows/{a_workflow(client)['id']}"
    first = client.post(f"{path}/versions", {"ir": GRAPH})
    assert (first.status, first.json["version"], first.json["ir"], first.json["deployed"]) == (201, 1, GRAPH, False)
    assert client.post(f"{path}/versions", {"ir": GRAPH}).status == 200
    assert client.post(f"{path}/deploy", {"connectionId": "conn_default"}).status == 200
    second = client.post(f"{path}/versions", {"ir": GRAPH})
    assert (second.status, second.json["version"]) == (201, 2)
    reverted = client.send("POST", f"{path}/versions/{first.json['id']}/revert")
    assert (reverted.status, reverted.json["version"], reverted.json["ir"]) == (201, 3, GRAPH)
    page = client.get(f"{path}/versions?limit=2").json
    rest = client.get(f"{path}/versions?limit=2&cursor={page['nextCursor']}").json
    listed = [(one["version"], one["deployed"]) for one in page["data"] + rest["data"]]
    assert listed == [(3, False), (2, False), (1, True)]


def test_a_bad_graph_is_refused_with_its_details(client: Client) -> None:
    path = f"/api/workflows/{a_workflow(client)['id']}/versions"
    graph = {**GRAPH, "nodes": [{**TRANSFORM, "type": "nonsense"}]}
    answered = client.post(path, {"ir": graph})
    assert (answered.status, answered.json["error"]) == (400, "Invalid IR")
    assert {"path", "message"} <= set(answered.json["details"][0])
    assert answered.json["details"][0]["nodeId"] == "only"
    assert client.get(path).json["data"] == []


def test_a_deployment_is_listed_and_taken_down(client: Client) -> None:
    workflow_id, url = deployed(client)
    path = f"/api/workflows/{workflow_id}"
    assert url == f"{client.url}{path}/trigger"
    [shown] = client.get(f"{path}/deployments").json["data"]
    assert (shown["connectionId"], shown["version"]) == ("conn_default", 1)
    assert client.post(f"{path}/takedown", {"connectionId": "conn_default"}).json == {"success": True}
    assert client.get(f"{path}/deployments").json == {"data": [], "nextCursor": None}
    answered = client.post(f"{path}/trigger", {"connectionId": "conn_default"})
    assert (answered.status, answered.json) == (400, {"error": "No version deployed"})
    assert client.post(f"{path}/takedown", {"connectionId": "conn_default"}).status == 404


def test_a_workflow_without_a_version_cannot_be_deployed(client: Client) -> None:
    path = f"/api/workflows/{a_workflow(client)['id']}/deploy"
    answered = client.post(path, {"connectionId": "conn_default"})
    assert (answered.status, answered.json) == (400, {"error": "No version to deploy"})
    assert client.post(path, {}).status == 422


def test_a_function_answers_at_its_url_until_it_is_taken_down(client: Client) -> None:
    workflow_id, url = deployed(client, "script")
    stranger = Client(url=client.url, key=None)
    path = url.removeprefix(client.url)
    assert path.startswith("/functions/")
    called = stranger.post(path, {"a": 5})
    assert (called.status, called.json) == (200, {"sum": 5})
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        idle = stranger.send(method, path)
        assert (idle.status, idle.text) == (200, "")
    for body in (b"", b"{", b"nope"):
        broken = stranger.send("POST", path, body)
        assert (broken.status, set(broken.json)) == (400, {"message"})
    answered = client.post(f"/api/workflows/{workflow_id}/trigger", {"connectionId": "conn_default"})
    assert answered.status == 400
    assert answered.json["error"].startswith("Scripts have no instance lifecycle")
    client.post(f"/api/workflows/{workflow_id}/takedown", {"connectionId": "conn_default"})
    gone = stranger.post(path, {"a": 5})
    assert (gone.status, gone.json) == (404, {"message": "Function not found"})


def test_a_connection_is_created_and_listed(client: Client) -> None:
    body = {"name": "prod", "region": "eu-west-1", "roleArn": "arn:aws:iam::123456789012:role/x", "externalId": "e-1"}
    created = client.post("/api/connections", body)
    assert created.status == 201
    assert created.json["id"].startswith("conn_")
    assert {name: created.json[name] for name in body} == body
    ids = {one["id"] for one in client.get("/api/connections").json["data"]}
    assert ids == {"conn_default", created.json["id"]}


@pytest.mark.parametrize(
    "change",
    [
        {"region": "mars"},
        {"region": "eu-west-1\n"},
        {"roleArn": "arn:aws:iam::1:role/x"},
        {"roleArn": "arn:aws:iam::123456789012:user/x"},
        {"externalId": "x"},
        {"name": ""},
        {"more": 1},
    ],
)
def test_a_connection_that_breaks_a_rule_is_refused(client: Client, change: dict[str, object]) -> None:
    assert client.post("/api/connections", {"name": "n", "region": "eu-west-1", **change}).status == 422


@pytest.mark.parametrize("id_", ["wf_none", "a%2Fb", "%25", "a%23b", "%ff", "%zz"])
def test_an_id_that_names_nothing_is_a_404_everywhere(client: Client, id_: str) -> None:
    bodies = {
        "trigger": {"connectionId": "conn_default"},
        "deploy": {"connectionId": "conn_default"},
        "takedown": {"connectionId": "conn_default"},
        "versions": {"ir": GRAPH},
        "{workflow_id}": {"name": "n"},
    }
    asked = [one for one in catalog.endpoints() if one.dialect.name == "trigger" and "{workflow_id}" in one.path]
    for one in asked:
        path = one.path.replace("{workflow_id}", id_).replace("{run_id}", "r1").replace("{version_id}", "v1")
        body = json.dumps(bodies.get(one.path.rsplit("/", 1)[1])).encode()
        answered = client.send(one.method, path, body)
        assert (answered.status, set(answered.json)) == (404, {"error"}), (one.method, one.path, answered.text)
        assert answered.headers["x-request-id"]


def test_another_projects_objects_are_404s(stack: LocalStack, client: Client) -> None:
    workflow_id, _ = deployed(client)
    run_id = client.post(f"/api/workflows/{workflow_id}/trigger", {"connectionId": "conn_default"}).json["id"]
    stranger = Client(url=stack.url, key=stack.add_project("proj_strangers"))
    path = f"/api/workflows/{workflow_id}"
    for answered in (
        stranger.get(path),
        stranger.get(f"{path}/versions"),
        stranger.get(f"{path}/deployments"),
        stranger.get(f"{path}/runs"),
        stranger.get(f"{path}/runs/{run_id}"),
        stranger.send("POST", f"{path}/runs/{run_id}/terminate"),
        stranger.send("DELETE", path),
        stranger.post(f"{path}/trigger", {"connectionId": "conn_default"}),
        stranger.post(f"{path}/deploy", {"connectionId": "conn_default"}),
    ):
        assert answered.status == 404, answered.text
    assert client.get(path).status == 200


def test_every_closed_endpoint_asks_for_a_key(stack: LocalStack) -> None:
    for one in catalog.endpoints():
        path = one.path.format(**dict.fromkeys(one.parameters, "x"))
        shape = {"error", *SHAPES.get(one.dialect.name, set())}
        if not one.public:
            for key in (None, "ask_yourkey", "ask_nobody_secret"):
                answered = Client(url=stack.url, key=key).send(one.method, path, b"{}")
                assert (answered.status, set(answered.json)) == (401, shape)


def test_health_is_public_and_names_the_parts(stack: LocalStack) -> None:
    answered = Client(url=stack.url, key=None).get("/healthz")
    assert (answered.status, answered.json["status"]) == (200, "ok"), answered.text
    assert answered.json["parts"] == {"table": "ok", "bucket": "ok", "state_machine": "ok"}
