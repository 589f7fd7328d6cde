from __future__ import annotations

import pytest

from infra.local import LocalStack
from tests.api.http import Client
from tests.api.test_library_over_http import deployed
from tests.conftest import Project

pytestmark = [pytest.mark.store]

WAITING = {
    "metadata": {"name": "w"},
    "nodes": [{"id": "wait", "type": "wait_for_event", "name": "Wait", "data": {"eventType": "go"}}],
    "edges": [],
    "entryNodeId": "wait",
}
TRIGGERED = {"connectionId": "conn_default", "params": {"a": 5}}


@pytest.fixture
def client(stack: LocalStack, project: Project) -> Client:
    return Client(url=stack.url, key=project.key)


def waiting(client: Client) -> str:
    """The path of a deployed workflow that waits for `go`."""
    created = client.post("/api/workflows", {"name": "w"}).json
    path = f"/api/workflows/{created['id']}"
    assert client.post(f"{path}/versions", {"ir": WAITING}).status == 201
    assert client.post(f"{path}/deploy", {"connectionId": "conn_default"}).status == 200
    return path


def test_a_run_is_triggered_and_polled_to_its_end(stack: LocalStack, client: Client) -> None:
    workflow_id, url = deployed(client)
    started = client.post(url.removeprefix(client.url), TRIGGERED)
    assert (started.status, started.json["status"]) == (201, "queued")
    assert stack.wait_idle(30)
    polled = client.get(f"/api/workflows/{workflow_id}/runs/{started.json['instanceId']}")
    assert (polled.status, polled.json["status"], polled.json["output"]) == (200, "complete", 5)
    assert client.get(f"/api/workflows/{workflow_id}/runs").json["data"] == [polled.json]
    assert client.get(f"/api/workflows/{workflow_id}/runs?status=errored").json["data"] == []


def test_the_same_request_with_a_key_is_one_run(stack: LocalStack, client: Client) -> None:
    workflow_id, url = deployed(client)
    path = url.removeprefix(client.url)
    first = client.post(path, TRIGGERED, Idempotency_Key="k1")
    again = client.post(path, TRIGGERED, Idempotency_Key="k1")
    other = client.post(path, {**TRIGGERED, "params": 6}, Idempotency_Key="k1")
    assert (first.status, again.status, other.status) == (201, 200, 422)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.json["id"] == first.json["id"]
    assert len(client.get(f"/api/workflows/{workflow_id}/runs").json["data"]) == 1


def test_a_run_that_waits_shows_and_is_found_as_paused_until_its_event(stack: LocalStack, client: Client) -> None:
    path = waiting(client)
    run_id = client.post(f"{path}/trigger", TRIGGERED).json["id"]
    assert stack.wait_idle(30)
    assert client.get(f"{path}/runs/{run_id}").json["status"] == "paused"
    assert [row["id"] for row in client.get(f"{path}/runs?status=paused").json["data"]] == [run_id]
    assert client.get(f"{path}/runs?status=running").json["data"] == []
    event = {"instanceId": run_id, "eventType": "go", "payload": {"approved": True}}
    sent = client.post(f"{path}/trigger", {**TRIGGERED, "params": event})
    assert (sent.status, sent.json) == (200, {"instanceId": run_id})
    assert stack.wait_idle(30)
    ended = client.get(f"{path}/runs/{run_id}").json
    assert (ended["status"], ended["output"]) == ("complete", {"approved": True})
    late = client.post(f"{path}/trigger", {**TRIGGERED, "params": event})
    assert (late.status, set(late.json)) == (409, {"error"})


def test_an_event_for_another_workflows_run_is_not_found(stack: LocalStack, client: Client) -> None:
    here, there = waiting(client), waiting(client)
    run_id = client.post(f"{here}/trigger", TRIGGERED).json["id"]
    event = {"instanceId": run_id, "eventType": "go"}
    assert client.post(f"{there}/trigger", {**TRIGGERED, "params": event}).status == 404
    assert client.get(f"{there}/runs/{run_id}").status == 404
    assert client.get(f"{there}/runs").json["data"] == []


def test_a_run_is_paused_resumed_and_terminated(stack: LocalStack, client: Client) -> None:
    path = waiting(client)
    run = f"{path}/runs/{client.post(f'{path}/trigger', TRIGGERED).json['id']}"
    assert stack.wait_idle(30)
    answers = [client.send("POST", f"{run}/{verb}") for verb in ("pause", "pause", "resume", "terminate", "terminate")]
    assert [(one.status, one.json) for one in answers] == [(200, {"ok": True})] * 5
    assert client.get(run).json["status"] == "terminated"
    for verb in ("pause", "resume"):
        refused = client.send("POST", f"{run}/{verb}")
        assert (refused.status, set(refused.json)) == (409, {"error"})


def test_resuming_what_is_not_paused_is_a_conflict(stack: LocalStack, client: Client) -> None:
    path = waiting(client)
    run_id = client.post(f"{path}/trigger", TRIGGERED).json["id"]
    assert stack.wait_idle(30)
    assert client.send("POST", f"{path}/runs/{run_id}/resume").status == 409


def test_the_runs_of_a_deleted_workflow_go_on_and_can_be_seen(stack: LocalStack, client: Client) -> None:
    path = waiting(client)
    run_id = client.post(f"{path}/trigger", TRIGGERED).json["id"]
    assert stack.wait_idle(30)
    assert client.send("DELETE", path).status == 200
    assert client.get(f"{path}/runs/{run_id}").json["status"] == "paused"
    assert client.post(f"{path}/trigger", TRIGGERED).status == 404
    assert client.send("POST", f"{path}/runs/{run_id}/terminate").status == 200


def test_a_trigger_for_what_is_unknown_is_not_found(client: Client) -> None:
    workflow_id, _ = deployed(client)
    unknown = client.post(f"/api/workflows/{workflow_id}/trigger", {"connectionId": "conn_none"})
    assert (unknown.status, unknown.json) == (404, {"error": "Connection not found"})
    nowhere = client.post("/api/workflows/wf_none/trigger", TRIGGERED)
    assert (nowhere.status, nowhere.json) == (404, {"error": "Workflow not found"})
