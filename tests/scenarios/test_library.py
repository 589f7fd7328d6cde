"""Starting runs: idempotency keys, limits, versions that runs keep, deployments, and lists while runs exist."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from chalicelib.store import idempotency
from tests.domain.graphs import a_node
from tests.scenarios.conftest import Web
from tests.scenarios.scene import CONNECTION, Scene, a_chain, a_wait
from tests.scenarios.states import STATES

pytestmark = pytest.mark.store

ONE = a_chain(a_node("only", value="{{ payload }}"))


def test_a_trigger_answers_the_whole_row(scene: Scene) -> None:
    workflow = scene.deploy(ONE)
    started = scene.trigger(workflow, {"a": 1})
    [version] = scene.client.get(f"{workflow.path}/versions").json["data"]
    row = started.json
    assert started.status == 201
    assert row == {
        "id": row["instanceId"],
        "workflowId": workflow.id,
        "versionId": version["id"],
        "connectionId": CONNECTION,
        "instanceId": row["instanceId"],
        "status": "queued",
        "output": None,
        "error": None,
        "createdAt": row["createdAt"],
        "updatedAt": row["createdAt"],
    }


@pytest.mark.parametrize(
    "params", [None, 5, "text", [], {}, [1, {"a": None}], {"instanceId": "x"}, {"eventType": "go"}]
)
def test_any_json_may_be_params(scene: Scene, params: object) -> None:
    assert scene.result(ONE, params)["output"] == params  # type: ignore[arg-type] # any JSON


def test_params_may_have_102400_bytes_of_json_and_no_more(scene: Scene) -> None:
    workflow = scene.deploy(ONE)
    assert scene.trigger(workflow, "x" * (102_400 - 2)).status == 201
    refused = scene.trigger(workflow, "x" * (102_400 - 1))
    assert (refused.status, set(refused.json)) == (422, {"error"})
    assert scene.trigger(workflow, "ä" * 51_200).status == 422
    assert len(scene.client.get(f"{workflow.path}/runs").json["data"]) == 1


def test_the_same_request_with_a_key_is_the_same_run_however_it_went_on(scene: Scene) -> None:
    workflow = scene.deploy(ONE)
    first = scene.trigger(workflow, {"b": 1, "a": 2}, Idempotency_Key="k")
    scene.settle()
    again = scene.trigger(workflow, {"a": 2, "b": 1}, Idempotency_Key="k")
    assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
    assert (again.json["id"], again.json["status"]) == (first.json["id"], "complete")
    other = scene.trigger(workflow, {"a": 3}, Idempotency_Key="k")
    assert (other.status, set(other.json)) == (422, {"error"})
    elsewhere = scene.deploy(ONE)
    assert scene.trigger(elsewhere, {"b": 1, "a": 2}, Idempotency_Key="k").status == 422
    assert scene.trigger(workflow, {"a": 3}, Idempotency_Key="k2").status == 201


def test_a_key_whose_first_request_is_in_flight_is_a_conflict(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = scene.deploy(ONE)
    assert scene.trigger(workflow, 1, Idempotency_Key="k").status == 201
    monkeypatch.setattr(idempotency, "load", lambda *_, **__: None)  # written, and not to be seen yet
    answered = scene.trigger(workflow, 1, Idempotency_Key="k")
    assert (answered.status, set(answered.json)) == (409, {"error"})
    assert len(scene.client.get(f"{workflow.path}/runs").json["data"]) == 1


def test_of_many_requests_at_once_with_one_key_there_is_one_run(scene: Scene) -> None:
    workflow = scene.deploy(ONE)
    with ThreadPoolExecutor(6) as pool:
        ask = partial(scene.trigger, workflow, 1, Idempotency_Key="k")
        answers = [asked.result() for asked in [pool.submit(ask) for _ in range(6)]]
    statuses = sorted(answer.status for answer in answers)
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status != 409}) == 1
    assert len(scene.client.get(f"{workflow.path}/runs").json["data"]) == 1


def test_a_key_is_one_projects_own(scene: Scene) -> None:
    other = scene.stack.add_project(f"{scene.project.id}_other")
    theirs = Scene(stack=scene.stack, project=scene.project, client=type(scene.client)(url=scene.stack.url, key=other))
    assert scene.trigger(scene.deploy(ONE), 1, Idempotency_Key="k").status == 201
    assert theirs.trigger(theirs.deploy(ONE), 1, Idempotency_Key="k").status == 201


def test_a_run_keeps_the_version_that_it_was_started_with(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait(), a_node("after", value="first version")))
    run = scene.start(workflow)
    scene.settle()
    scene.deploy(a_chain(a_node("only", value="second version")), path=workflow.path)
    assert scene.ended(scene.start(workflow))["output"] == "second version"
    assert scene.client.post(f"{workflow.path}/takedown", {"connectionId": CONNECTION}).status == 200
    assert scene.trigger(workflow).json == {"error": "No version deployed"}
    scene.told(run, "go")
    assert scene.ended(run)["output"] == "first version"


def test_an_older_version_can_be_deployed_again(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_node("only", value="first")))
    scene.deploy(a_chain(a_node("only", value="second")), path=workflow.path)
    versions = scene.client.get(f"{workflow.path}/versions").json["data"]
    body = {"connectionId": CONNECTION, "versionId": versions[-1]["id"]}
    assert scene.client.post(f"{workflow.path}/deploy", body).status == 200
    row = scene.ended(scene.start(workflow))
    assert (row["output"], row["versionId"]) == ("first", versions[-1]["id"])


def test_runs_are_listed_newest_first_page_by_page(scene: Scene) -> None:
    workflow = scene.deploy(ONE)
    started = [scene.trigger(workflow, n).json["id"] for n in range(7)]
    scene.settle()
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = scene.client.get(f"{workflow.path}/runs?limit=2{cursor}").json
        seen += [row["id"] for row in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == started[::-1]
    assert scene.client.get(f"{workflow.path}/runs?cursor=nonsense").status == 422


def test_runs_in_every_state_are_found_by_the_status_that_they_show(scene: Scene, web: Web) -> None:
    for put, shown in STATES.values():
        run = put(scene, web)
        path, _, run_id = run.partition("/runs/")
        for status in ("queued", "running", "paused", "complete", "errored", "terminated"):
            listed = scene.client.get(f"{path}/runs?status={status}").json["data"]
            assert [row["id"] for row in listed] == ([run_id] if status == shown else []), (shown, status)
        web.release()
        scene.settle()


def test_a_poll_sees_what_its_caller_has_just_done(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait(), a_wait("again")))
    for _ in range(3):
        run = scene.start(workflow)
        assert scene.do(run, "pause") == [200]
        assert scene.row(run)["status"] == "paused"
        assert scene.do(run, "terminate") == [200]
        assert scene.row(run)["status"] == "terminated"


def test_a_connection_cannot_be_used_before_it_is_deployed_to(scene: Scene) -> None:
    made = scene.client.post("/api/connections", {"name": "eu", "region": "eu-west-1"})
    workflow = scene.deploy(ONE)
    body = {"connectionId": made.json["id"], "params": 1}
    answered = scene.client.post(f"{workflow.path}/trigger", body)
    assert (answered.status, answered.json) == (400, {"error": "No version deployed"})
    listed = scene.client.get("/api/connections").json["data"]
    assert {one["id"] for one in listed} == {CONNECTION, made.json["id"]}
    assert json.dumps(listed).count('"roleArn"') == 2
