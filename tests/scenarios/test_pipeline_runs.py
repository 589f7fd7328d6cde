"""Runs of pipelines over HTTP: started with personas, driven by real agents, told by step, listed, related."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.domain.graphs import a_node
from tests.scenarios.doors import nothing_written
from tests.scenarios.scene import Scene, a_chain
from tests.scenarios.steps import saved

PROMPT = 'A poster: title "Spring sale"; at least 12 words; must mention "tulips" and "bread".'


def a_persona(scene: Scene, role: str, **fields: Json) -> str:
    body: dict[str, Json] = {"name": role.title(), "type": role, "cliId": "claude", **fields}
    made = scene.client.post("/api/v1/personas/create", body)
    assert made.status == 201, made.text
    return str(made.json["data"]["id"])


def a_pipeline(scene: Scene, **fields: Json) -> str:
    steps: Json = [{"type": "designer", "cliId": "claude"}]
    made = scene.client.post("/api/v1/workflows/create", {"name": "Posters", "pipelineSteps": steps, **fields})
    assert made.status == 201, made.text
    return str(made.json["data"]["id"])


def start(scene: Scene, workflow: str, **fields: Json) -> Response:
    return scene.client.post("/api/v1/runs/start", {"workflowId": workflow, "prompt": PROMPT, **fields})


def started(scene: Scene, workflow: str, **fields: Json) -> str:
    """Start a run, let it come as far as it can, and return its id."""
    answered = start(scene, workflow, **fields)
    assert answered.status == 201, answered.text
    scene.settle()
    return str(answered.json["data"]["runId"])


def shown(scene: Scene, path: str) -> Any:
    answered = scene.client.get(path)
    assert answered.status == 200, answered.text
    return answered.json["data"]


def ended(scene: Scene, run: str) -> Any:
    """Return a run as it is shown once it has ended; its agents are processes that take their time."""
    while (row := shown(scene, f"/api/v1/runs/get?id={run}"))["status"] in {"pending", "running"}:
        scene.stack.functions.wait_for_change(0.05)
    scene.settle()
    return row


def test_a_pipeline_of_personas_runs_until_its_checker_passes_and_is_told_everywhere(scene: Scene) -> None:
    designer, checker = (a_persona(scene, role, model="m-1") for role in ("designer", "checker"))
    steps: Json = [{"personaId": one, "loopId": "polish", "loopMaxIterations": 5} for one in (designer, checker)]
    workflow = a_pipeline(scene, personaPipelineSteps=steps)
    run = started(scene, workflow, githubRepoUrl="https://example.com/shop", branchName="main")
    row = ended(scene, run)
    assert row["status"] == "completed", row
    assert (row["displayId"], row["runNumber"], row["prompt"]) == ("#1", 1, PROMPT)
    made, checked = row["steps"]
    assert [(one["ref"], one["role"], one["loopId"]) for one in (made, checked)] == [
        ("persona_1", "designer", "polish"),
        ("persona_2", "checker", "polish"),
    ]
    verdicts = [one["verdict"] for one in checked["attempts"]]
    assert len(verdicts) > 1
    assert verdicts == ["fail"] * (len(verdicts) - 1) + ["pass"]
    assert [one["iteration"] for one in made["attempts"]] == list(range(1, len(verdicts) + 1))
    assert checked["attempts"][0]["feedback"]
    assert [(one["tool"], one["model"]) for one in row["usage"]] == [("claude", "m-1")]
    assert row["usage"][0]["inputTokens"] > 0
    assert row["costUsd"] > row["usage"][0]["costUsd"] > 0
    assert row["durationMs"] == row["finishedAt"] - row["startedAt"] > 0

    [listed] = shown(scene, f"/api/v1/workflows/runs?id={workflow}")
    assert listed == {name: row[name] for name in listed}

    related = shown(scene, f"/api/v1/workflows/related?id={workflow}")
    assert {(one["id"], one["name"], one["runs"]) for one in related["personas"]} == {
        (designer, "Designer", 1),
        (checker, "Checker", 1),
    }
    assert all(one["runs"] == 1 for one in related["issues"] + related["learningVersions"])


def test_a_start_sent_again_with_its_key_is_answered_byte_for_byte(scene: Scene) -> None:
    workflow = a_pipeline(scene)

    def sent(**fields: Json) -> Response:
        body = {"workflowId": workflow, "prompt": PROMPT, **fields}
        return scene.client.post("/api/v1/runs/start", body, Idempotency_Key="k")

    first, again = sent(), sent()
    assert (first.status, again.status, again.text) == (201, 201, first.text)
    assert first.json["data"].keys() == {"runId", "runNumber", "status"}
    assert (first.json["data"]["runNumber"], first.json["data"]["status"]) == (1, "pending")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = sent(branchName="other")
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_mismatch")
    assert len(shown(scene, f"/api/v1/workflows/runs?id={workflow}")) == 1
    ended(scene, first.json["data"]["runId"])


BAD: Mapping[str, tuple[dict[str, Json], str]] = {
    "an empty prompt": ({"prompt": ""}, "prompt"),
    "a blank prompt": ({"prompt": " \n"}, "prompt"),
    "too long a prompt": ({"prompt": "x" * 100_001}, "prompt"),
    "plain http": ({"githubRepoUrl": "http://example.com/a"}, "githubRepoUrl"),
    "a password": ({"githubRepoUrl": "https://ada:secret@example.com/a"}, "githubRepoUrl"),
    "a template": ({"githubRepoUrl": "{{ payload.url }}"}, "githubRepoUrl"),
    "a branch of two lines": ({"branchName": "a\nb"}, "branchName"),
    "too long a branch": ({"branchName": "x" * 256}, "branchName"),
    "no config": ({"config": "fast"}, "config"),
    "a tool that there is not": ({"config": {"cliId": "emacs"}}, "config.cliId"),
    "two tools": ({"config": {"cliId": "pi", "tool": "codex"}}, "config.tool"),
    "an unknown config": ({"config": {"speed": 1}}, "config.speed"),
    "too little memory": ({"config": {"memoryMb": 1}}, "config.memoryMb"),
    "too many images": ({"referenceImageIds": [f"i{n}" for n in range(17)]}, "referenceImageIds"),
    "an image twice": ({"referenceImageIds": ["i", "i"]}, "referenceImageIds"),
    "an image that is none": ({"referenceImageIds": ["nowhere"]}, "referenceImageIds"),
    "a strange image": ({"referenceImageIds": ["a#b"]}, "referenceImageIds"),
    "an unknown field": ({"speed": 1}, "speed"),
}


def test_bad_input_is_refused_by_name_and_starts_nothing(scene: Scene) -> None:
    workflow = a_pipeline(scene)
    with nothing_written():
        for what, (fields, field) in BAD.items():
            answered = start(scene, workflow, **fields)
            assert (answered.status, answered.json["error"].get("field")) == (400, field), (what, answered.text)
        for key in (" ", "ä", "x" * 256, "a b"):
            answered = scene.client.send(
                "POST",
                "/api/v1/runs/start",
                json.dumps({}).encode(),
                {"Idempotency-Key": key.encode().decode("latin-1")},
            )
            assert answered.status == 400, key
    assert shown(scene, f"/api/v1/workflows/runs?id={workflow}") == []


@pytest.mark.parametrize("state", ["toggle", "delete"])
def test_a_persona_that_cannot_work_is_a_409_that_names_it(scene: Scene, state: str) -> None:
    persona = a_persona(scene, "designer")
    workflow = a_pipeline(scene, personaPipelineSteps=[{"personaId": persona}])
    assert scene.client.post(f"/api/v1/personas/{state}", {"personaId": persona}).status == 200
    answered = start(scene, workflow)
    assert (answered.status, answered.json["error"]["code"]) == (409, "CONFLICT")
    assert f'"Designer" ({persona})' in answered.json["error"]["message"]
    assert shown(scene, f"/api/v1/workflows/runs?id={workflow}") == []


def test_workflows_of_the_other_apis_can_be_started_and_looked_at(scene: Scene) -> None:
    graph = scene.deploy(a_chain(a_node("said", "transform", value="{{ payload.prompt }}"))).id
    steps = saved(scene, {"step_ref": "said", "step_type": "transform", "payload": "{{ payload.prompt }}"})
    for workflow in (graph, steps["id"]):
        row = ended(scene, started(scene, workflow, prompt="hello"))
        assert (row["status"], row["output"], row["prompt"]) == ("completed", "hello", "hello")
        [step] = row["steps"]
        assert (step["ref"], step["role"], step["loopId"], step["status"]) == ("said", None, None, "completed")
        [attempt] = step["attempts"]
        assert (attempt["iteration"], attempt["attempt"], attempt["output"]) == (1, 1, "hello")


def test_the_runs_tab_has_every_apis_runs_in_pages_the_newest_first(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_node("said", "transform", value=1)))
    scene.start(workflow, {"anything": 1})
    scene.start(workflow, "text")
    started(scene, workflow.id, prompt="x" * 2001, branchName="main")
    scene.settle()
    first = scene.client.get(f"/api/v1/workflows/runs?id={workflow.id}&limit=2").json
    assert [(row["prompt"], row["promptTruncated"], row["branchName"]) for row in first["data"]] == [
        ("x" * 2000, True, "main"),
        (None, False, None),
    ]
    assert first["hasMore"]
    rest = scene.client.get(f"/api/v1/workflows/runs?id={workflow.id}&limit=2&cursor={first['nextCursor']}").json
    assert (len(rest["data"]), rest["nextCursor"], rest["hasMore"]) == (1, None, False)
    numbers = {row["runNumber"] for row in first["data"] + rest["data"]}
    assert numbers == {1, 2, 3}
    assert {row["displayId"] for row in rest["data"]} <= {"#1", "#2"}


def test_another_projects_workflow_and_run_are_not_found(scene: Scene) -> None:
    workflow = a_pipeline(scene)
    run = started(scene, workflow)
    ended(scene, run)
    other = Scene.of(scene.stack, type(scene.project)(id="proj_r2", key=scene.stack.add_project("proj_r2")))
    asked = [
        start(other, workflow),
        other.client.get(f"/api/v1/runs/get?id={run}"),
        other.client.get(f"/api/v1/workflows/runs?id={workflow}"),
        other.client.get(f"/api/v1/workflows/related?id={workflow}"),
        scene.client.get("/api/v1/runs/get?id=a%23b"),
        start(scene, "nowhere"),
    ]
    assert [(one.status, one.json["error"]["code"]) for one in asked] == [(404, "NOT_FOUND")] * len(asked)
