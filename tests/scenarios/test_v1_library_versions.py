"""A workflow's versions, graph, plan, trial and copies in the workflow-runs API, over HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.api import catalog
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.value import Json
from tests.api.http import Client
from tests.domain.graphs import a_graph, a_node
from tests.scenarios.doors import named
from tests.scenarios.scene import Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, revised, save, saved

pytestmark = pytest.mark.store

#: The endpoints of one workflow that this is about.
OF_ONE = tuple(
    endpoint
    for endpoint in catalog.endpoints()
    if endpoint.view.__module__.startswith("chalicelib.api.workflow_runs_api.workflow") and endpoint.parameters
)
DIAMOND = (a_step("a"), a_step("b", "a"), a_step("c", "a"), a_step("d", "b", "c"))


def got(scene: Scene, workflow: Any, rest: str) -> Any:
    answered = scene.client.get(f"/v1/workflows/{workflow['id']}/{rest}")
    assert answered.status == 200, answered.text
    return answered.json


def posted(scene: Scene, workflow: Any, rest: str, body: Json) -> Any:
    answered = scene.client.post(f"/v1/workflows/{workflow['id']}/{rest}", body)
    assert answered.status == 200, answered.text
    return answered.json


def cloned(scene: Scene, workflow: Any, **given: Json) -> Any:
    body = {"project_id": scene.project.id, **given}
    answered = scene.client.post(f"/v1/workflows/{workflow['id']}/clone", body)
    assert answered.status == 201, answered.text
    return answered.json


def test_versions_are_listed_newest_first_page_by_page(scene: Scene) -> None:
    workflow = saved(scene)
    for name in ("b", "c"):
        revised(scene, workflow, name=name)
    page = scene.client.get(f"/v1/workflows/{workflow['id']}/versions?limit=2")
    rest = scene.client.get(f"/v1/workflows/{workflow['id']}/versions?cursor={page.headers['x-next-cursor']}")
    assert [one["version"] for one in (*page.json, *rest.json)] == [3, 2, 1]
    assert "x-next-cursor" not in rest.headers
    [first] = rest.json
    assert first == {
        "id": workflow["version_id"],
        "workflow_id": workflow["id"],
        "version": 1,
        "deployed": True,
        "created_by": first["created_by"],
        "created_at": workflow["created_at"],
    }


def test_a_version_stays_as_it_was_saved(scene: Scene) -> None:
    workflow = saved(scene, a_step("a"), timeout_secs=5)
    revised(scene, workflow, steps=[a_step("b")], timeout_secs=6)
    first = got(scene, workflow, "versions/1")
    assert first == got(scene, workflow, f"versions/{workflow['version_id']}")
    assert (first["version"], first["timeout_secs"], first["steps"]) == (1, 5, workflow["steps"])
    assert got(scene, workflow, "versions/1/steps") == workflow["steps"]
    assert [step["step_ref"] for step in got(scene, workflow, "versions/2/steps")] == ["b"]


@pytest.mark.parametrize("rest", ["versions/9", "versions/wfv_none", "versions/9/steps", "versions/1/diff/9"])
def test_an_unknown_version_is_not_found(scene: Scene, rest: str) -> None:
    workflow = saved(scene)
    refused = scene.client.get(f"/v1/workflows/{workflow['id']}/{rest}")
    assert (refused.status, refused.json["error"]["code"]) == (404, "not_found")
    assert "version not found" in refused.json["error"]["message"]


def test_versions_are_compared_step_by_step(scene: Scene) -> None:
    workflow = saved(scene, a_step("same"), a_step("gone"), a_step("other"), a_step("moved", "same"))
    changed = [a_step("same"), a_step("other", payload=2), a_step("moved", "other"), a_step("new")]
    second = revised(scene, workflow, steps=changed)
    forth = got(scene, workflow, "versions/1/diff/2")
    assert forth == {"added_steps": ["new"], "removed_steps": ["gone"], "changed_steps": ["other", "moved"]}
    back = got(scene, workflow, f"versions/{second['version_id']}/diff/{workflow['version_id']}")
    assert back == {"added_steps": ["gone"], "removed_steps": ["new"], "changed_steps": ["other", "moved"]}
    assert got(scene, workflow, "versions/2/diff/2") == {"added_steps": [], "removed_steps": [], "changed_steps": []}


def test_saying_a_default_is_no_change(scene: Scene) -> None:
    workflow = saved(scene)
    revised(scene, workflow, steps=workflow["steps"], timeout_secs=8)
    assert got(scene, workflow, "versions/1/diff/2")["changed_steps"] == []


def test_a_graph_and_a_list_of_steps_are_compared_too(scene: Scene) -> None:
    graph = {"id": scene.deploy(a_chain(a_wait("first"), a_node("second"))).id}
    revised(scene, graph, steps=[a_step("second")])
    assert got(scene, graph, "versions/1/diff/2")["removed_steps"] == ["first"]
    assert [one["deployed"] for one in got(scene, graph, "versions")] == [True, True]


def test_a_workflow_is_shown_as_a_graph(scene: Scene) -> None:
    workflow = saved(scene, *DIAMOND)
    assert got(scene, workflow, "graph") == {
        "workflow_id": workflow["id"],
        "roots": ["a"],
        "adjacency": {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []},
    }
    dot = got(scene, workflow, "graph?format=dot")["dot"]
    assert dot.startswith(f'digraph "{workflow["id"]}" {{\n')
    assert '  "b" -> "d";\n' in dot
    refused = scene.client.get(f"/v1/workflows/{workflow['id']}/graph?format=svg")
    assert (refused.status, refused.json["error"]["message"]) == (400, "format is invalid")


def test_a_plan_gives_an_order_to_run_in(scene: Scene) -> None:
    workflow = saved(scene, *reversed(DIAMOND))
    revised(scene, workflow, name="n")
    plan = posted(scene, workflow, "plan", {})
    order = plan.pop("topological_order")
    assert plan == {"workflow_id": workflow["id"], "workflow_version": 2, "step_count": 4, "roots": ["a"]}
    assert (order[0], order[-1], len(order)) == ("a", "d", 4)


def test_a_graph_with_a_loop_has_a_plan(scene: Scene) -> None:
    graph = a_graph([a_node("loop", "loop"), a_node("inner")], ["loop inner body"])
    workflow = {"id": scene.deploy(graph).id}
    assert posted(scene, workflow, "plan", {})["topological_order"] == ["loop", "inner"]
    assert got(scene, workflow, "graph")["roots"] == ["loop"]
    assert [step["step_type"] for step in got(scene, workflow, "versions/1/steps")] == ["loop", "transform"]


def test_a_trial_judges_steps_and_saves_nothing(scene: Scene) -> None:
    workflow = saved(scene)
    assert posted(scene, workflow, "dry-run", {"steps": list(DIAMOND)}) == {"valid": True, "step_count": 4}
    bad = posted(scene, workflow, "dry-run", {"steps": [a_step("a", "a"), a_step("b", "nowhere")]})
    assert (bad["valid"], bad["step_count"]) == (False, 2)
    assert {fault["path"] for fault in bad["errors"]} >= {"steps.0.depends_on.0", "steps.1.depends_on.0"}
    assert posted(scene, workflow, "dry-run", {"steps": []})["valid"] is False
    assert posted(scene, workflow, "dry-run", {}) == {"valid": True, "step_count": 1}
    assert scene.client.get(f"/v1/workflows/{workflow['id']}").json == workflow


def test_what_has_no_version_has_no_plan(scene: Scene) -> None:
    draft = {"id": scene.draft().rpartition("/")[2]}
    for method, rest in (("GET", "graph"), ("POST", "plan")):
        refused = scene.client.send(method, f"/v1/workflows/{draft['id']}/{rest}")
        assert (refused.status, refused.json["error"]["message"]) == (400, "workflow has no version yet")
    assert got(scene, draft, "versions") == []
    assert posted(scene, draft, "dry-run", {})["valid"] is False
    assert posted(scene, draft, "dry-run", {"steps": [a_step("a")]})["valid"] is True
    body = {"project_id": scene.project.id}
    assert scene.client.post(f"/v1/workflows/{draft['id']}/clone", body).status == 400


def test_a_copy_is_a_workflow_of_its_own(scene: Scene) -> None:
    workflow = saved(scene, *DIAMOND, slug="orders", tags={"team": "x"}, max_parallel_steps=2)
    revised(scene, workflow, description="latest")
    copy = cloned(scene, workflow)
    assert (copy["name"], copy["slug"], copy["version"]) == ("Orders (copy)", "orders-copy", 1)
    same = ("steps", "tags", "max_parallel_steps")
    assert {name: copy[name] for name in same} == {name: workflow[name] for name in same}
    assert copy["description"] == "latest"
    named = cloned(scene, workflow, name="Mine", slug="mine")
    assert (named["name"], named["slug"]) == ("Mine", "mine")
    revised(scene, copy, steps=[a_step("only")])
    assert scene.client.get(f"/v1/workflows/{workflow['id']}").json["steps"] == workflow["steps"]


def test_a_copy_goes_into_the_keys_own_project_only(scene: Scene) -> None:
    workflow = saved(scene)
    path = f"/v1/workflows/{workflow['id']}/clone"
    refused = scene.client.post(path, {"project_id": "proj_other"})
    assert (refused.status, refused.json["error"]["message"]) == (404, "project not found")
    assert scene.client.post(path, {}).status == 400
    stranger = Client(url=scene.client.url, key=scene.stack.add_project(f"{scene.project.id}_other"))
    assert stranger.post(path, {"project_id": f"{scene.project.id}_other"}).status == 404


@pytest.mark.parametrize("endpoint", OF_ONE, ids=named)
def test_another_projects_workflow_is_as_unknown_as_one_that_never_was(scene: Scene, endpoint: Endpoint) -> None:
    workflow = saved(scene)
    other = f"{scene.project.id}_other"
    stranger = Client(url=scene.client.url, key=scene.stack.add_project(other))
    body = {"project_id": other} if endpoint.view.__name__ == "clone_workflow" else {}
    answers = []
    for workflow_id in (workflow["id"], "wf_never"):
        path = endpoint.path.format(workflow_id=workflow_id, version_id="1", other_version_id="1")
        answers.append(stranger.send(endpoint.method, path, json.dumps(body).encode()))
    theirs, never = answers
    assert (theirs.status, theirs.json["error"]) == (404, {"code": "not_found", "message": "workflow not found"})
    assert (never.status, never.json["error"]) == (theirs.status, theirs.json["error"])


def test_a_graph_can_be_copied(scene: Scene) -> None:
    graph = {"id": scene.deploy(a_chain(a_wait("first"))).id}
    copy = cloned(scene, graph)
    assert copy["slug"] == f"{graph['id']}-copy"
    assert [step["step_ref"] for step in copy["steps"]] == ["first"]


def test_copies_made_at_once_have_slugs_of_their_own(scene: Scene) -> None:
    workflow = saved(scene, slug="orders")
    path, body = f"/v1/workflows/{workflow['id']}/clone", {"project_id": scene.project.id}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: scene.client.post(path, body), range(3)))
    made = [answered.json["slug"] for answered in answers if answered.status == 201]
    assert {answered.status for answered in answers} <= {201, 409}
    assert made
    assert len(set(made)) == len(made)


def test_of_two_workflows_with_one_slug_at_once_there_is_one(scene: Scene) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: save(scene, a_step("a"), slug="one"), range(2)))
    assert sorted(answered.status for answered in answers) == [201, 409]


def test_the_same_request_with_an_idempotency_key_is_the_same_workflow(scene: Scene) -> None:
    body = {"project_id": scene.project.id, "name": "n", "slug": "once", "steps": [a_step("a")]}
    first = scene.client.post("/v1/workflows", body, Idempotency_Key="k")
    again = scene.client.post("/v1/workflows", body, Idempotency_Key="k")
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    clone = {"project_id": scene.project.id}
    copies = [
        scene.client.post(f"/v1/workflows/{first.json['id']}/clone", clone, Idempotency_Key="c").json for _ in range(2)
    ]
    assert copies[0] == copies[1]
    listed = scene.client.get(f"/v1/workflows?project_id={scene.project.id}").json
    assert len(listed) == 2
