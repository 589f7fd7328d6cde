"""Runs made again, one or many, and many canceled, through the workflow-runs API over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.value import Json
from infra.local import LocalStack
from tests.api.http import Client, Response
from tests.conftest import Project
from tests.gateways.servers import Answer, Asked
from tests.scenarios.conftest import Web, echoed
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved

pytestmark = pytest.mark.store


def a_call(web: Web, ref: str, *after: str) -> dict[str, Json]:
    """Return a step that asks the test's server."""
    payload: Json = {"method": "POST", "url": f"{web.url}/{ref}", "body": ref}
    return a_step(ref, *after, step_type="http_request", payload=payload)


def declined(_asked: Asked) -> Answer:
    return Answer(status=400)


def started(scene: Scene, workflow: Any, **body: Json) -> Any:
    answered = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", body)
    assert answered.status == 201, answered.text
    scene.settle()
    return answered.json


def row(scene: Scene, run: Any) -> Any:
    """The run as the trigger API shows it, once nothing goes on by itself."""
    scene.settle()
    return scene.row(f"/api/workflows/{run['workflow_id']}/runs/{run['id']}")


def retry(scene: Scene, run: Any, **headers: str) -> Response:
    return scene.client.post(f"/v1/workflow-runs/{run['id']}/retry", {}, **headers)


def a_failed_run(scene: Scene, web: Web) -> Any:
    """A run whose second step of two has failed, and will not again."""
    workflow = saved(scene, a_call(web, "a"), a_call(web, "b", "a"), timeout_secs=60)
    web.answer = lambda asked: declined(asked) if asked.path == "/b" else echoed(asked)
    run = started(scene, workflow, payload={"order": 7}, tags={"team": "a"})
    assert row(scene, run)["status"] == "errored"
    web.answer = echoed
    return run


def a_waiting_run(scene: Scene) -> Any:
    return started(scene, saved(scene, a_step("w", step_type="wait_for_event", event_key="k")))


def bulk(scene: Scene, verb: str, *run_ids: Json, **headers: str) -> Response:
    return scene.client.post(f"/v1/workflow-runs/bulk-{verb}", {"workflow_run_ids": list(run_ids)}, **headers)


def message(answered: Response) -> str:
    return str(answered.json["error"]["message"])


def test_a_retry_is_a_new_run_that_makes_only_what_had_not_completed(scene: Scene, web: Web) -> None:
    run = a_failed_run(scene, web)
    answered = retry(scene, run)
    assert answered.status == 201, answered.text
    again = answered.json
    assert (again["retry_of_run_id"], again["triggered_by"], again["status"]) == (run["id"], "retry", "pending")
    same = ("workflow_id", "workflow_version_id", "workflow_version", "payload", "tags", "max_parallel_steps")
    assert [again[name] for name in same] == [run[name] for name in same]
    assert again["expires_at"] > run["expires_at"]
    assert row(scene, again)["status"] == "complete"
    assert [asked.path for asked in web.asked] == ["/a", "/b", "/b"]
    assert row(scene, run)["status"] == "errored"


def test_a_run_that_has_not_ended_is_not_retried(scene: Scene) -> None:
    answered = retry(scene, a_waiting_run(scene))
    assert (answered.status, message(answered)) == (400, "can only retry a workflow run in terminal state")


def test_a_retry_needs_no_body_and_takes_a_reason(scene: Scene) -> None:
    run = started(scene, saved(scene))
    path = f"/v1/workflow-runs/{run['id']}/retry"
    assert scene.client.send("POST", path).status == 201
    assert scene.client.post(path, {"reason": "once more"}).status == 201
    assert message(scene.client.post(path, {"raeson": "x"})) == "raeson is not a known field"


def test_a_retry_under_the_same_key_is_one_run(scene: Scene, web: Web) -> None:
    run = a_failed_run(scene, web)
    first, again = (retry(scene, run, Idempotency_Key="k") for _ in range(2))
    assert (again.status, again.json) == (201, first.json)
    scene.settle()
    assert [asked.path for asked in web.asked].count("/b") == 2


def test_an_unknown_run_is_not_found(scene: Scene) -> None:
    answered = retry(scene, {"id": "nope"})
    assert (answered.status, message(answered)) == (404, "workflow run not found")


def test_another_projects_run_is_not_found(scene: Scene, stack: LocalStack) -> None:
    theirs = Client(url=stack.url, key=stack.add_project(f"{scene.project.id}-other"))
    other = Scene(stack=stack, project=Project(id="other", key=str(theirs.key)), client=theirs)
    run = started(scene, saved(scene))
    assert retry(other, run).status == 404
    assert bulk(other, "cancel", run["id"]).json["results"][0]["error"] == "workflow run not found"
    assert bulk(other, "replay", run["id"]).json["results"][0]["error"] == "workflow run not found"


def test_many_are_canceled_and_each_is_told_of(scene: Scene) -> None:
    first, second, ended = a_waiting_run(scene), a_waiting_run(scene), started(scene, saved(scene))
    answered = bulk(scene, "cancel", first["id"], "nope", ended["id"], second["id"], first["id"])
    assert answered.status == 200, answered.text
    assert answered.json == {
        "canceled": 2,
        "failed": 3,
        "results": [
            {"workflow_run_id": first["id"], "status": "canceled"},
            {"workflow_run_id": "nope", "status": "failed", "error": "workflow run not found"},
            {
                "workflow_run_id": ended["id"],
                "status": "failed",
                "error": "workflow run already in terminal state: it is completed",
            },
            {"workflow_run_id": second["id"], "status": "canceled"},
            {"workflow_run_id": first["id"], "status": "failed", "error": "duplicate"},
        ],
    }
    assert [row(scene, run)["status"] for run in (first, second, ended)] == ["terminated", "terminated", "complete"]


def test_many_are_replayed_and_each_is_told_of(scene: Scene, web: Web) -> None:
    failed, going = a_failed_run(scene, web), a_waiting_run(scene)
    answered = bulk(scene, "replay", failed["id"], going["id"])
    assert answered.status == 200, answered.text
    assert (answered.json["replayed"], answered.json["failed"]) == (1, 1)
    replayed, left = answered.json["results"]
    assert replayed == {
        "original_run_id": failed["id"],
        "new_run_id": replayed["new_run_id"],
        "status": "replayed",
    }
    assert left == {
        "original_run_id": going["id"],
        "status": "failed",
        "error": "can only retry a workflow run in terminal state",
    }
    assert row(scene, {**failed, "id": replayed["new_run_id"]})["status"] == "complete"


def test_many_replayed_under_the_same_key_are_the_same_runs(scene: Scene) -> None:
    run = started(scene, saved(scene))
    first, again = (bulk(scene, "replay", run["id"], Idempotency_Key="k") for _ in range(2))
    assert again.json == first.json
    assert len(scene.client.get(f"/api/workflows/{run['workflow_id']}/runs").json["data"]) == 2


@pytest.mark.parametrize("verb", ["cancel", "replay"])
@pytest.mark.parametrize(
    ("run_ids", "said"),
    [
        ([], "workflow_run_ids must have at least 1 items"),
        (["r"] * 101, "workflow_run_ids must have at most 100 items"),
        ([7], "workflow_run_ids.0 must be text"),
        ([None], "workflow_run_ids.0 must be text"),
    ],
)
def test_ids_that_are_none_or_too_many_are_refused(scene: Scene, verb: str, run_ids: list[Json], said: str) -> None:
    answered = bulk(scene, verb, *run_ids)
    assert (answered.status, message(answered)) == (400, said)
