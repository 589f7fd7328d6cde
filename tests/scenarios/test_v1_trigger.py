"""Runs started through the workflow-runs API, over HTTP: what a trigger takes, what it answers, what it declines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.scenarios.scene import Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, revised, saved

pytestmark = pytest.mark.store

EVERY_FIELD = {
    "id",
    "workflow_id",
    "project_id",
    "status",
    "triggered_by",
    "workflow_version",
    "max_parallel_steps",
    "payload",
    "expires_at",
    "tags",
    "workflow_version_id",
    "created_by",
    "created_at",
}


def ask(scene: Scene, workflow: Any, **body: Json) -> Response:
    """Ask for a run."""
    return scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", body)


def started(scene: Scene, workflow: Any, **body: Json) -> Any:
    """Start a run and return it as it was answered."""
    answered = ask(scene, workflow, **body)
    assert answered.status == 201, answered.text
    return answered.json


def row(scene: Scene, run: Any) -> Any:
    """The run as the trigger API shows it, once nothing goes on by itself."""
    scene.settle()
    return scene.row(f"/api/workflows/{run['workflow_id']}/runs/{run['id']}")


def refusal(answered: Response, status: int) -> str:
    """Why it was declined."""
    assert answered.status == status, answered.text
    return str(answered.json["error"]["message"])


def test_a_trigger_answers_with_the_run_as_the_page_has_it(scene: Scene) -> None:
    workflow = saved(scene, a_step("only"), timeout_secs=60, max_parallel_steps=2)
    run = started(scene, workflow, payload={"order": 7}, tags={"team": "a"})
    assert run.keys() == EVERY_FIELD
    assert (run["workflow_id"], run["project_id"]) == (workflow["id"], scene.project.id)
    assert (run["status"], run["triggered_by"], run["workflow_version"]) == ("pending", "api", 1)
    assert (run["payload"], run["tags"], run["max_parallel_steps"]) == ({"order": 7}, {"team": "a"}, 2)
    assert run["workflow_version_id"] == workflow["version_id"]
    length = datetime.fromisoformat(run["expires_at"]) - datetime.fromisoformat(run["created_at"])
    assert length.total_seconds() == 60
    assert row(scene, run)["status"] == "complete"


def test_a_trigger_needs_no_body(scene: Scene) -> None:
    workflow = saved(scene)
    answered = scene.client.send("POST", f"/v1/workflows/{workflow['id']}/trigger")
    assert answered.status == 201, answered.text
    assert "payload" not in answered.json


@pytest.mark.parametrize("payload", [0, False, "", [], {}, {"a": None, "b": [None]}, "ü" * 150_000])
def test_a_payload_may_be_any_json_and_is_answered_as_it_was_sent(scene: Scene, payload: Json) -> None:
    workflow = saved(scene, a_step("only", payload={"got": "{{ payload }}"}))
    run = started(scene, workflow, payload=payload)
    assert run["payload"] == payload
    assert row(scene, run)["output"] == {"got": payload}


def test_a_runs_tags_are_its_workflows_and_its_own(scene: Scene) -> None:
    workflow = saved(scene, tags={"team": "a", "env": "prod"})
    assert started(scene, workflow)["tags"] == {"team": "a", "env": "prod"}
    assert started(scene, workflow, tags={"env": "test"})["tags"] == {"team": "a", "env": "test"}
    many = {f"t{number}": "" for number in range(19)}
    assert "at most 20 tags" in refusal(ask(scene, workflow, tags=many), 400)


def test_a_step_that_is_switched_off_is_passed_over(scene: Scene) -> None:
    workflow = saved(scene, a_step("a"), a_step("b", "a"), a_step("c", "b"))
    overrides: Json = [{"step_ref": "b", "enabled": False}, {"step_ref": "c", "enabled": True}]
    run = started(scene, workflow, step_overrides=overrides)
    assert row(scene, run)["output"] == "c!"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([{"step_ref": "nope", "enabled": False}], "no step nope"),
        (
            [{"step_ref": "only", "enabled": False}, {"step_ref": "only", "enabled": True}],
            "only is given more than once",
        ),
        ([{"step_ref": "only"}], "step_overrides.0.enabled is required"),
        ([{"step_ref": "only", "enabled": "no"}], "step_overrides.0.enabled must be true or false"),
        ({"only": False}, "step_overrides must be a list"),
    ],
)
def test_a_switch_that_fits_no_step_is_refused_by_name(scene: Scene, overrides: Json, said: str) -> None:
    assert said in refusal(ask(scene, saved(scene), step_overrides=overrides), 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"paylod": 1}, "paylod is not a known field"),
        ({"tags": {"a": 1}}, "tags.a must be text"),
        ({"tags": {"": "x"}}, "at least 1 characters"),
        ({"tags": {"k" * 65: "x"}}, "at most 64 characters"),
        ({"tags": {"k": "v" * 257}}, "at most 256 characters"),
        ({"tags": None}, "tags must be an object"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_with_the_field(scene: Scene, body: dict[str, Json], said: str) -> None:
    assert said in refusal(ask(scene, saved(scene), **body), 400)


def test_a_workflow_that_is_switched_off_starts_nothing_for_either_api(scene: Scene) -> None:
    workflow = revised(scene, saved(scene), enabled=False)
    assert refusal(ask(scene, workflow), 400) == "workflow is disabled"
    body = {"connectionId": "conn_default"}
    answered = scene.client.post(f"/api/workflows/{workflow['id']}/trigger", body)
    assert (answered.status, answered.json) == (400, {"error": "workflow is disabled"})


def test_no_more_runs_than_allowed_are_active_at_once_for_either_api(scene: Scene) -> None:
    workflow = saved(scene, a_step("w", step_type="wait_for_event", event_key="k"), max_concurrent_runs=1)
    run = started(scene, workflow)
    scene.settle()
    declined = ask(scene, workflow)
    assert "workflow has 1 active runs, its max_concurrent_runs" in refusal(declined, 429)
    assert declined.json["error"]["code"] == "too_many_runs"
    path = f"/api/workflows/{workflow['id']}"
    assert scene.client.post(f"{path}/trigger", {"connectionId": "conn_default"}).status == 429
    assert scene.do(f"{path}/runs/{run['id']}", "terminate") == [200]
    assert ask(scene, workflow).status == 201


def test_a_graph_of_the_trigger_api_is_triggered_too(scene: Scene) -> None:
    deployed = scene.deploy(a_chain(a_wait()))
    run = started(scene, {"id": deployed.id}, payload=1)
    assert row(scene, run)["status"] == "paused"


def test_what_cannot_be_started_is_refused(scene: Scene) -> None:
    assert refusal(ask(scene, {"id": "wf_none"}), 404) == "workflow not found"
    draft = scene.draft().rpartition("/")[2]
    assert refusal(ask(scene, {"id": draft}), 400) == "No version deployed"


def test_the_same_key_is_one_run(scene: Scene) -> None:
    workflow = saved(scene)
    path = f"/v1/workflows/{workflow['id']}/trigger"
    first, again = (scene.client.post(path, {"payload": 1}, Idempotency_Key="k") for _ in range(2))
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    other = scene.client.post(path, {"payload": 2}, Idempotency_Key="k")
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_key_reused")
    assert len(scene.client.get(f"/api/workflows/{workflow['id']}/runs").json["data"]) == 1
