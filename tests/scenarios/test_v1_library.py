"""Workflows of the workflow-runs API: created, shown, listed, changed and deleted over HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Client
from tests.scenarios.scene import CONNECTION, Deployed, Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, revise, revised, save, saved

pytestmark = pytest.mark.store


def deployed(workflow: Any) -> Deployed:
    """The workflow as the trigger API's helpers know it."""
    path = f"/api/workflows/{workflow['id']}"
    return Deployed(id=workflow["id"], path=path, url=path)


def listed(scene: Scene, query: str = "") -> Any:
    answered = scene.client.get(f"/v1/workflows?project_id={scene.project.id}{query}")
    assert answered.status == 200, answered.text
    return answered.json


def test_a_workflow_is_shown_with_every_field_that_has_a_value(scene: Scene) -> None:
    created = saved(scene, a_step("a"), a_step("b", "a"), slug="orders", description="d", timeout_secs=60)
    assert created == {
        "id": created["id"],
        "project_id": scene.project.id,
        "name": "Orders",
        "slug": "orders",
        "description": "d",
        "version": 1,
        "version_id": created["version_id"],
        "steps": created["steps"],
        "timeout_secs": 60,
        "max_concurrent_runs": 0,
        "max_parallel_steps": 0,
        "cron_timezone": "UTC",
        "skip_if_running": False,
        "enabled": True,
        "tags": {},
        "created_at": created["created_at"],
        "updated_at": created["created_at"],
    }
    assert scene.client.get(f"/v1/workflows/{created['id']}").json == created
    first, second = created["steps"]
    assert (first["step_ref"], first["on_failure"], first["retry_max_attempts"]) == ("a", "fail_workflow", 0)
    assert (first["depends_on"], second["depends_on"], second["payload"]) == ([], ["a"], "b!")
    [row] = listed(scene)
    assert row == {name: value for name, value in created.items() if name not in {"steps", "version_id"}}


def test_steps_can_be_sent_back_as_they_were_shown(scene: Scene) -> None:
    steps = [
        a_step("a", step_type="sleep", sleep_duration_secs=1),
        a_step("b", "a", condition={"type": "exists", "operand": None}),
    ]
    created = saved(scene, *steps)
    again = revised(scene, created, steps=created["steps"])
    assert (again["steps"], again["version"]) == (created["steps"], 2)


def test_a_workflow_can_be_triggered_at_once(scene: Scene) -> None:
    workflow = saved(scene, a_step("first"), a_step("second", "first", payload="{{ steps.first.output }}"))
    row = scene.ended(scene.start(deployed(workflow)))
    assert (row["status"], row["versionId"]) == ("complete", workflow["version_id"])


def test_a_change_is_one_more_version_that_later_runs_run(scene: Scene) -> None:
    workflow = saved(scene, a_step("old"), a_step("last", "old"))
    changed = revised(scene, workflow, steps=[a_step("new")], name="Renamed")
    assert (changed["version"], changed["name"], changed["slug"]) == (2, "Renamed", workflow["slug"])
    assert [step["step_ref"] for step in changed["steps"]] == ["new"]
    assert changed["version_id"] != workflow["version_id"]
    assert scene.ended(scene.start(deployed(changed)))["versionId"] == changed["version_id"]


def test_each_field_can_be_changed_alone_and_makes_a_version(scene: Scene) -> None:
    workflow = saved(scene)
    changes: dict[str, Json] = {
        "name": "n",
        "slug": f"{workflow['slug']}-new",
        "description": "of people",
        "timeout_secs": 5,
        "max_concurrent_runs": 2,
        "max_parallel_steps": 3,
        "cron": "0 7 * * 1-5",
        "cron_timezone": "Europe/Berlin",
        "skip_if_running": True,
        "enabled": False,
        "tags": {"team": "orders"},
    }
    before = workflow
    for version, (name, value) in enumerate(changes.items(), start=2):
        after = revised(scene, workflow, **{name: value})
        assert {**before, name: value} | _moved(after) == after
        assert after["version"] == version
        before = after
    back = revised(scene, workflow, cron=None, description="", timeout_secs=0)
    assert {"cron", "description"}.isdisjoint(back)
    assert (back["timeout_secs"], back["max_concurrent_runs"]) == (0, 2)


def _moved(workflow: Any) -> dict[str, Any]:
    return {name: workflow[name] for name in ("version", "version_id", "updated_at")}


def test_an_empty_change_makes_no_version(scene: Scene) -> None:
    workflow = saved(scene)
    assert revised(scene, workflow) == workflow


def test_of_many_changes_at_once_no_version_is_lost_and_none_has_two_contents(scene: Scene) -> None:
    workflow = saved(scene)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: revise(scene, workflow, description=f"d{n}"), range(4)))
    won = [answered.json for answered in answers if answered.status == 200]
    assert {answered.status for answered in answers} <= {200, 409}
    assert sorted(one["version"] for one in won) == list(range(2, 2 + len(won)))
    now = scene.client.get(f"/v1/workflows/{workflow['id']}").json
    assert now == max(won, key=lambda one: one["version"])
    numbers = [one["version"] for one in scene.client.get(f"/v1/workflows/{workflow['id']}/versions").json]
    assert numbers == list(range(1 + len(won), 0, -1))


def test_a_slug_is_one_workflows_own_until_it_gives_it_up(scene: Scene) -> None:
    first = saved(scene, slug="taken")
    refused = save(scene, a_step("a"), slug="taken")
    assert (refused.status, refused.json["error"]["code"]) == (409, "conflict")
    assert refused.json["error"]["message"] == f'slug "taken" is taken by workflow {first["id"]}'
    second = saved(scene)
    assert revise(scene, second, slug="taken").status == 409
    assert scene.client.get(f"/v1/workflows/{second['id']}").json == second
    revised(scene, first, slug="other")
    assert revised(scene, second, slug="taken")["slug"] == "taken"
    assert scene.client.send("DELETE", f"/v1/workflows/{second['id']}").status == 204
    assert saved(scene, slug="taken")["slug"] == "taken"


def test_a_workflow_is_found_by_its_slug(scene: Scene) -> None:
    workflow = saved(scene, slug="mine")
    assert [one["id"] for one in listed(scene, "&slug=mine")] == [workflow["id"]]
    assert listed(scene, "&slug=none") == []
    assert listed(scene, "&slug=%23") == []


def test_workflows_are_listed_page_by_page_the_last_changed_first(scene: Scene) -> None:
    made = [saved(scene)["id"] for _ in range(3)]
    for _ in range(3):
        scene.draft(kind="script")
    revise(scene, {"id": made[0]}, name="changed")
    seen, cursor = [], ""
    while True:
        page = scene.client.get(f"/v1/workflows?project_id={scene.project.id}&limit=2{cursor}")
        assert page.status == 200
        seen += [one["id"] for one in page.json]
        if "x-next-cursor" not in page.headers:
            break
        cursor = f"&cursor={page.headers['x-next-cursor']}"
    assert seen == [made[0], made[2], made[1]]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "project_id is required"),
        ("?project_id=", 400, "project_id is required"),
        ("?project_id=proj_other", 404, "project not found"),
        ("?project_id={own}&limit=0", 400, "limit must be a positive integer"),
        ("?project_id={own}&cursor=nonsense", 400, "cursor is not one that this list returned"),
    ],
)
def test_a_list_that_cannot_be_given_is_refused(scene: Scene, query: str, status: int, message: str) -> None:
    refused = scene.client.get(f"/v1/workflows{query.format(own=scene.project.id)}")
    assert (refused.status, refused.json["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "x" * 256),
        ("slug", ""),
        ("slug", "two words"),
        ("slug", "-first"),
        ("slug", "line\n"),
        ("slug", "a" * 256),
        ("description", "x" * 2001),
        ("timeout_secs", -1),
        ("timeout_secs", 31_536_001),
        ("timeout_secs", 1.5),
        ("timeout_secs", True),
        ("max_concurrent_runs", -1),
        ("max_concurrent_runs", 10_001),
        ("max_parallel_steps", "5"),
        ("cron", "* * * *"),
        ("cron", "0 0 31 2 *"),
        ("cron", " "),
        ("cron_timezone", "Mars/Olympus"),
        ("skip_if_running", 1),
        ("enabled", "true"),
        ("tags", {"": "x"}),
        ("tags", {"k" * 65: "x"}),
        ("tags", {"k": "v" * 257}),
        ("tags", {"k": 5}),
        ("tags", {f"k{n}": "v" for n in range(21)}),
        ("steps", []),
        ("steps", [1]),
        ("steps", [a_step(f"s{n}") for n in range(1001)]),
        ("version", 3),
    ],
)
def test_a_field_out_of_its_range_is_refused_by_name_and_nothing_is_written(
    scene: Scene, field: str, value: Json
) -> None:
    workflow = saved(scene)
    for refused in (save(scene, **{"steps": [a_step("a")], field: value}), revise(scene, workflow, **{field: value})):
        assert refused.status == 400, refused.text
        assert field in refused.json["error"]["message"]
    assert listed(scene) == [_row(workflow)]


def test_what_a_client_sends_without_saying_anything_is_as_if_it_were_absent(scene: Scene) -> None:
    nothing = dict.fromkeys(("description", "timeout_secs", "max_parallel_steps", "enabled", "tags"))
    created = save(scene, slug="Order.v1", steps=[a_step("a")], cron="", cron_timezone="", **nothing)
    assert created.status == 201, created.text
    assert (created.json["slug"], created.json["enabled"], "cron" in created.json) == ("Order.v1", True, False)
    same = revised(scene, created.json, name=None, steps=None, **nothing)
    assert (same["name"], same["version"]) == (created.json["name"], 1)
    for field in ("name", "slug", "steps"):
        refused = save(scene, **{"steps": [a_step("a")], field: None})
        assert (refused.status, refused.json["error"]["message"]) == (400, f"{field} is required")


def _row(workflow: Any) -> dict[str, Any]:
    return {name: value for name, value in workflow.items() if name not in {"steps", "version_id"}}


def test_a_thousand_steps_are_saved_and_shown(scene: Scene) -> None:
    workflow = saved(scene, *(a_step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(1000)))
    shown = scene.client.get(f"/v1/workflows/{workflow['id']}").json
    assert len(shown["steps"]) == 1000


def test_what_is_wrong_with_steps_is_told_with_its_place(scene: Scene) -> None:
    refused = save(scene, a_step("a"), a_step("b", "nowhere"), a_step("a"))
    assert refused.status == 400
    paths = {detail["path"] for detail in refused.json["error"]["details"]}
    assert paths == {"steps.1.depends_on.0", "steps.2.step_ref"}


def test_a_required_field_must_be_sent(scene: Scene) -> None:
    whole = {"project_id": scene.project.id, "name": "n", "slug": "s", "steps": [a_step("a")]}
    for field in whole:
        body = {name: value for name, value in whole.items() if name != field}
        refused = scene.client.post("/v1/workflows", body)
        assert (refused.status, refused.json["error"]["message"]) == (400, f"{field} is required")


def test_a_project_is_the_keys_own(scene: Scene) -> None:
    assert save(scene, a_step("a"), project_id="proj_other").status == 404
    workflow = saved(scene)
    stranger = Client(url=scene.client.url, key=scene.stack.add_project(f"{scene.project.id}_other"))
    path = f"/v1/workflows/{workflow['id']}"
    assert stranger.get(path).status == 404
    assert stranger.send("PATCH", path, b'{"name": "mine"}').status == 404
    assert stranger.send("DELETE", path).status == 404


def test_a_workflow_is_deleted_only_once_its_runs_have_ended(scene: Scene) -> None:
    workflow = saved(scene, a_step("wait", step_type="wait_for_event", event_key="go"))
    run = scene.start(deployed(workflow))
    scene.settle()
    path = f"/v1/workflows/{workflow['id']}"
    refused = scene.client.send("DELETE", path)
    assert (refused.status, refused.json["error"]["message"]) == (409, "workflow has active runs")
    assert scene.do(run, "terminate") == [200]
    deleted = scene.client.send("DELETE", path)
    assert (deleted.status, deleted.text) == (204, "")
    gone = scene.client.get(path)
    assert (gone.status, gone.json["error"]["message"]) == (404, "workflow not found")
    assert scene.client.send("DELETE", path).status == 404
    assert listed(scene) == []
    assert scene.row(run)["status"] == "terminated"


def test_the_trigger_apis_workflows_are_workflows_here_and_its_functions_are_not(scene: Scene) -> None:
    graph = scene.deploy(a_chain(a_wait("first"), a_wait("second")))
    function = scene.draft(kind="script").rpartition("/")[2]
    [row] = listed(scene)
    assert (row["id"], row["slug"]) == (graph.id, graph.id)
    shown = scene.client.get(f"/v1/workflows/{graph.id}").json
    assert [(step["step_ref"], step["depends_on"]) for step in shown["steps"]] == [("first", []), ("second", ["first"])]
    for method in ("GET", "PATCH", "DELETE"):
        assert scene.client.send(method, f"/v1/workflows/{function}", b"{}").status == 404


def test_a_graph_can_be_given_a_slug_and_then_steps(scene: Scene) -> None:
    graph = scene.deploy(a_chain(a_wait("first")))
    named = revised(scene, {"id": graph.id}, slug="graph", timeout_secs=9)
    assert (named["slug"], named["version"], named["steps"][0]["step_type"]) == ("graph", 2, "wait_for_event")
    changed = revised(scene, {"id": graph.id}, steps=[a_step("only")])
    assert (changed["version"], changed["timeout_secs"]) == (3, 9)
    assert scene.ended(scene.start(graph))["status"] == "complete"


def test_a_workflow_without_a_version_is_shown_and_asked_for_steps(scene: Scene) -> None:
    draft = {"id": scene.draft().rpartition("/")[2]}
    shown = scene.client.get(f"/v1/workflows/{draft['id']}").json
    assert (shown["version"], shown["steps"]) == (0, [])
    refused = revise(scene, draft, name="n")
    assert (refused.status, refused.json["error"]["message"]) == (400, "workflow has no version yet: send its steps")
    assert revised(scene, draft, steps=[a_step("a")])["version"] == 1


def test_a_workflow_made_here_is_one_of_the_trigger_api_too(scene: Scene) -> None:
    workflow = saved(scene, a_step("old"))
    revised(scene, workflow, steps=[a_step("new")], max_parallel_steps=7)
    path = f"/api/workflows/{workflow['id']}"
    newest, oldest = scene.client.get(f"{path}/versions").json["data"]
    assert [step["step_ref"] for step in oldest["ir"]["steps"]] == ["old"]
    assert (newest["deployed"], oldest["deployed"]) == (True, True)
    assert scene.client.post(f"{path}/deploy", {"connectionId": CONNECTION, "versionId": oldest["id"]}).status == 200
    assert scene.ended(scene.start(deployed(workflow)))["versionId"] == oldest["id"]
    reverted = scene.client.post(f"{path}/versions/{oldest['id']}/revert")
    assert (reverted.status, reverted.json["version"]) == (201, 3)
    saved_graph = scene.client.post(f"{path}/versions", {"ir": a_chain(a_wait("graph"))})
    assert (saved_graph.status, saved_graph.json["version"]) == (200, 3)
    shown = scene.client.get(f"/v1/workflows/{workflow['id']}").json
    assert (shown["version"], shown["max_parallel_steps"]) == (3, 7)
    assert [step["step_ref"] for step in shown["steps"]] == ["graph"]
    renamed = scene.client.send("PATCH", path, json.dumps({"name": "by A"}).encode())
    assert (renamed.status, renamed.json["name"]) == (200, "by A")
    assert scene.client.get(f"/v1/workflows/{workflow['id']}").json["slug"] == workflow["slug"]
