"""The workflow library over HTTP, as its page shows it: what is sent as printed, what comes back, and what is left."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.value import Json
from chalicelib.services import versions as version_service
from tests.api.http import Response
from tests.domain.graphs import a_node
from tests.scenarios.doors import nothing_written
from tests.scenarios.pipelines import CHECKER, DESIGNER, LIBRARY, a_pipeline, ask, done, look, seen, versions
from tests.scenarios.scene import Scene, a_chain
from tests.scenarios.steps import a_step, revised, saved

PAGE = (Path(__file__).parents[2] / "docs/contracts/workflows-api-page.md").read_text()
FIELDS = {
    *("_id", "id", "name", "description", "type", "version", "createdAt", "updatedAt", "deletedAt", "display"),
    *("defaultConfig", "maxIterations", "pipelineSteps", "personaPipelineSteps", "workflowGraph"),
    *("defaultCheckerInstructions", "defaultOptimizerInstructions"),
}
ROW = {"_id", "id", "name", "description", "version", "createdAt", "updatedAt", "deletedAt", "display"}


def printed(first: str) -> dict[str, Json]:
    """Return the body that the page prints after some words."""
    body, _ = json.JSONDecoder().raw_decode(PAGE[PAGE.index("{", PAGE.index(first)) :])
    assert isinstance(body, dict)
    return body


def listed(scene: Scene, query: str = "") -> Any:
    answered = scene.client.get(f"{LIBRARY}/list{query}")
    assert answered.status == 200, answered.text
    return answered.json


def test_the_pages_update_and_revert_are_taken_as_printed(scene: Scene) -> None:
    made = a_pipeline(scene)
    body = printed("Versions tab stays in sync")
    changed = done(scene, "update", **{**body, "workflowId": made["id"]})
    assert {name: changed[name] for name in body if name != "workflowId"} == {
        name: value for name, value in body.items() if name != "workflowId"
    }
    assert (changed["version"], changed["display"]["cliTools"]) == (2, ["Claude Code"])
    first = versions(scene, made["id"])[-1]
    back = {**printed("just like the web UI"), "workflowId": made["id"], "versionId": first["versionId"]}
    restored = done(scene, "versions/revert", **back)
    assert (restored["name"], restored["version"], restored["pipelineSteps"]) == ("Posters", 3, [DESIGNER])
    assert restored["defaultConfig"] is None


def test_a_workflow_is_shown_whole_under_both_names_of_its_id(scene: Scene) -> None:
    made = a_pipeline(scene, description="d", type="poster", maxIterations=2, workflowGraph={"nodes": []})
    assert made.keys() == FIELDS
    assert (made["id"], made["version"], made["deletedAt"]) == (made["_id"], 1, None)
    assert isinstance(made["createdAt"], int)
    assert made["display"] == {"cliTools": ["Claude Code"], "stepCount": 1, "lastRunAt": None, "lastRunStatus": None}
    assert seen(scene, "get", made["id"]) == made


def test_versions_tell_who_changed_what_and_lead_on_by_pages(scene: Scene) -> None:
    made = a_pipeline(scene)
    done(scene, "rename", workflowId=made["id"], name="Releases")
    done(scene, "update", workflowId=made["id"], pipelineSteps=[DESIGNER, CHECKER], type=None)
    told = seen(scene, "versions", made["id"])
    assert told["currentVersion"] == 3
    shown = [(row["version"], row["name"], row["changeSummary"], row["createdBy"]) for row in told["versions"]]
    by = told["versions"][0]["createdBy"]
    assert shown == [
        (3, "Releases", "Changed pipelineSteps", by),
        (2, "Releases", "Renamed to Releases", by),
        (1, "Posters", "Created", by),
    ]
    page = look(scene, "versions", made["id"], "&limit=2").json
    rest = look(scene, "versions", made["id"], f"&limit=2&cursor={page['nextCursor']}").json
    assert [row["version"] for one in (page, rest) for row in one["data"]["versions"]] == [3, 2, 1]
    assert [(one["hasMore"], one["nextCursor"] is None) for one in (page, rest)] == [(True, False), (False, True)]
    done(scene, "versions/revert", workflowId=made["id"], versionId=told["versions"][2]["versionId"])
    newest = versions(scene, made["id"])[0]
    assert (newest["version"], newest["restoredFrom"]) == (4, told["versions"][2]["versionId"])
    assert newest["changeSummary"] == "Restored version 1"


def test_bad_pipelines_are_refused_with_each_fault_where_it_is(scene: Scene) -> None:
    made = a_pipeline(scene)
    bad: list[tuple[dict[str, Json], str]] = [
        ({"pipelineSteps": [DESIGNER, {"type": "designer"}]}, "pipelineSteps.1.cliId"),
        ({"pipelineSteps": [], "workflowGraph": None}, "pipelineSteps"),
        ({"pipelineSteps": None}, "pipelineSteps"),
        ({"personaPipelineSteps": [{"personaId": 5}]}, "personaPipelineSteps.0.personaId"),
        ({"defaultConfig": {"cpuCount": 99}}, "defaultConfig.cpuCount"),
        ({"maxIterations": 51}, "maxIterations"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"unknown": 1}, "unknown"),
        ({"workflowGraph": []}, "workflowGraph"),
        ({"pipelineSteps": [DESIGNER] * 101}, "pipelineSteps"),
    ]
    with nothing_written():
        for fields, path in bad:
            answered = ask(scene, "update", workflowId=made["id"], **fields)
            error = answered.json["error"]
            assert (answered.status, error["code"], error["field"]) == (400, "VALIDATION", path), answered.text
            assert error["details"][0]["path"] == path
        nothing = ask(scene, "update", workflowId=made["id"])
        assert (nothing.status, nothing.json["error"]["code"]) == (400, "VALIDATION")
        without: list[dict[str, Json]] = [{}, {"pipelineSteps": []}, {"workflowGraph": {}}, {"pipelineSteps": None}]
        for fields in without:
            answered = ask(scene, "create", name="n", **fields)
            assert (answered.status, answered.json["error"]["field"]) == (400, "pipelineSteps"), answered.text


def test_the_list_tells_of_agents_steps_and_the_last_run(scene: Scene) -> None:
    quick = saved(scene, a_step("only"), a_step("next", "only"))
    piped = a_pipeline(scene, pipelineSteps=[DESIGNER, CHECKER, {**DESIGNER, "cliId": "opencode"}])
    persona = scene.client.post("/api/v1/personas/create", {"name": "p", "type": "judge", "cliId": "pi"}).json["data"]
    staffed = a_pipeline(scene, personaPipelineSteps=[{"personaId": persona["id"]}])
    run = scene.client.post(f"/v1/workflows/{quick['id']}/trigger", {}).json
    scene.settle()
    rows = {row["id"]: row for row in listed(scene)["data"]}
    assert list(rows) == [staffed["id"], piped["id"], quick["id"]]
    assert all(row.keys() == ROW for row in rows.values())
    assert rows[piped["id"]]["display"]["cliTools"] == ["Claude Code", "Codex", "OpenCode"]
    assert rows[staffed["id"]]["display"]["cliTools"] == ["Pi"]
    display = rows[quick["id"]]["display"]
    assert (display["stepCount"], display["cliTools"], display["lastRunStatus"]) == (2, [], "completed")
    created = scene.client.get(f"/v1/workflow-runs/{run['id']}").json["created_at"]
    assert re.fullmatch(rf".*\.{display['lastRunAt'] % 1000:03}Z", created)


def test_the_trash_is_listed_with_the_rest_where_it_is_asked_for(scene: Scene) -> None:
    first, second, third = (a_pipeline(scene, name=name)["id"] for name in "abc")
    told = done(scene, "bulk-delete", workflowIds=[first, second, "wf_never"])
    assert (told["deleted"], told["failed"]) == (2, 1)
    assert [row["id"] for row in listed(scene)["data"]] == [third]
    page = listed(scene, "?includeDeleted=true&limit=2")
    rest = listed(scene, f"?includeDeleted=true&limit=2&cursor={page['nextCursor']}")
    rows = page["data"] + rest["data"]
    assert {row["id"] for row in rows} == {first, second, third}
    assert [row["deletedAt"] is None for row in rows] == [False, False, True]
    assert (page["hasMore"], rest["hasMore"]) == (True, False)


def test_a_slug_that_another_has_by_now_stands_in_the_way_of_coming_back(scene: Scene) -> None:
    made = saved(scene, a_step("only"), slug="mine")
    done(scene, "delete", workflowId=made["id"])
    other = saved(scene, a_step("only"), slug="mine")
    refused = ask(scene, "restore", workflowId=made["id"])
    assert (refused.status, refused.json["error"]["field"]) == (409, "slug")
    assert other["id"] in refused.json["error"]["message"]
    revised(scene, other, slug="theirs")
    done(scene, "restore", workflowId=made["id"])
    assert scene.client.get(f"/v1/workflows/{made['id']}").json["slug"] == "mine"
    assert scene.client.post(f"/v1/workflows/{made['id']}/trigger", {}).status == 201


def test_a_copy_has_the_name_of_a_copy_and_no_history(scene: Scene) -> None:
    made = a_pipeline(scene, pipelineSteps=[DESIGNER, CHECKER], workflowGraph={"nodes": []}, description="d")
    copy = done(scene, "duplicate", workflowId=made["id"])
    own = {"id", "_id", "name", "createdAt", "updatedAt"}
    assert {name: copy[name] for name in FIELDS - own} == {name: made[name] for name in FIELDS - own}
    assert (copy["name"], copy["id"] == made["id"], len(versions(scene, copy["id"]))) == ("Posters (copy)", False, 1)
    assert done(scene, "duplicate", workflowId=made["id"], name="Mine")["name"] == "Mine"


def test_every_api_shows_copies_and_changes_a_pipeline(scene: Scene) -> None:
    made = a_pipeline(scene, pipelineSteps=[DESIGNER, CHECKER])
    get = scene.client.get
    shown = get(f"/v1/workflows/{made['id']}").json
    assert [step["step_type"] for step in shown["steps"]] == ["agent", "agent"]
    [version] = get(f"/api/workflows/{made['id']}/versions").json["data"]
    assert (version["ir"], version["deployed"]) == ({"pipelineSteps": [DESIGNER, CHECKER]}, True)
    clone = scene.client.post(f"/v1/workflows/{made['id']}/clone", {"project_id": scene.project.id}).json
    assert seen(scene, "get", clone["id"])["pipelineSteps"] == [DESIGNER, CHECKER]
    revised(scene, made, slug="posters", max_concurrent_runs=2)
    assert versions(scene, made["id"])[0]["changeSummary"] == "Changed slug, max_concurrent_runs"
    named = json.dumps({"name": "By /api"}).encode()
    assert scene.client.send("PATCH", f"/api/workflows/{made['id']}", named).status == 200
    again = done(scene, "update", workflowId=made["id"], pipelineSteps=[DESIGNER])
    assert (again["name"], again["version"], again["display"]["stepCount"]) == ("By /api", 4, 1)
    drawn = seen(scene, "get", revised(scene, made, steps=[a_step("only")])["id"])
    assert (drawn["pipelineSteps"], drawn["workflowGraph"]["nodes"][0]["id"]) == (None, "only")


def test_a_run_outlives_its_workflow_in_every_api(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_node("only", value=1)))
    run = scene.start(workflow)
    assert scene.ended(run)["status"] == "complete"
    run_id = run.rpartition("/")[2]
    for verb in ("delete", "permanent-delete"):
        done(scene, verb, workflowId=workflow.id)
    version_service.reset()  # as in any other process
    get = scene.client.get
    assert (get(run).status, get(run).json["output"]) == (200, 1)
    assert get(f"/v1/workflow-runs/{run_id}").json["status"] == "completed"
    shown = get(f"/api/v1/runs/get?id={run_id}")
    assert (shown.status, shown.json["data"]["status"]) == (200, "completed"), shown.text
    for part in ("history", "cost"):
        assert get(f"/v1/workflow-runs/{run_id}/{part}").status == 200
    for view in ("steps", "steps/only", "graph", "timeline", "explain", "why"):
        answered = get(f"/v1/workflow-runs/{run_id}/{view}")
        assert (answered.status, "permanently deleted" in answered.json["error"]["message"]) == (404, True), view
    again = scene.client.post(f"/v1/workflow-runs/{run_id}/retry", {})
    assert again.status == 404, again.text
    assert get(workflow.path).status == 404
    project_runs = get(f"/v1/workflow-runs?project_id={scene.project.id}").json
    assert [one["id"] for one in project_runs] == [run_id]


@pytest.mark.store
def test_a_request_that_is_sent_twice_under_one_key_changes_once(scene: Scene) -> None:
    made = a_pipeline(scene)
    bodies: dict[str, dict[str, Json]] = {
        "create": {"name": "n", "pipelineSteps": [DESIGNER]},
        "update": {"workflowId": made["id"], "description": "d"},
        "duplicate": {"workflowId": made["id"]},
        "bulk-delete": {"workflowIds": [made["id"]]},
    }

    def send(verb: str, body: Json) -> Response:
        return scene.client.post(f"{LIBRARY}/{verb}", body, Idempotency_Key=f"key-{verb}")

    for verb, body in bodies.items():
        first, again = (send(verb, body) for _ in range(2))
        assert (again.status, again.text) == (first.status, first.text)
        assert again.headers["idempotency-replayed"] == "true"
    mismatch = send("create", {**bodies["create"], "name": "other"})
    assert (mismatch.status, mismatch.json["error"]["code"]) == (409, "idempotency_mismatch")
    assert len(listed(scene, "?includeDeleted=true")["data"]) == 3
