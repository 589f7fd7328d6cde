"""Workflows that start workflows, and call functions."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from chalicelib.services import children
from tests.domain.graphs import a_graph, a_node
from tests.scenarios.scene import Scene, a_chain, a_wait

pytestmark = pytest.mark.store


def a_child(workflow_id: str, **data: Json) -> dict[str, Json]:
    """A step that starts a workflow."""
    return a_node("child", "sub_workflow", workflowId=workflow_id, **data)


def children_of(scene: Scene, path: str) -> list[str]:
    """The paths of a workflow's runs."""
    return [f"{path}/runs/{row['id']}" for row in scene.client.get(f"{path}/runs").json["data"]]


def test_a_parent_goes_on_with_its_childs_output(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_node("twice", value=["{{ payload.n }}", "{{ payload.n }}"])))
    graph = a_chain(a_child(child.id, input={"n": "{{ payload }}"}), a_node("after", value="{{ child }}"))
    assert scene.result(graph, 4)["output"] == [4, 4]


def test_a_parent_waits_for_a_child_that_waits(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    parent = scene.started(a_chain(a_child(child.id), a_node("after", value="{{ child }}")))
    [inner] = children_of(scene, child.path)
    assert (scene.row(parent)["status"], scene.row(inner)["status"]) == ("running", "paused")
    scene.told(inner, "go", "told")
    assert scene.ended(parent)["output"] == "told"


def test_a_childs_failure_fails_its_step_and_can_be_caught(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    nodes = [a_child(child.id), a_node("fine"), a_node("sorry", value="{{ error.code }}: {{ error.message }}")]
    workflow = scene.deploy(a_graph(nodes, ["child fine", "child sorry error"]))
    run = scene.start(workflow)
    scene.settle()
    [inner] = children_of(scene, child.path)
    assert scene.do(inner, "terminate") == [200]
    assert scene.ended(run)["output"] == {"SORRY": "sub_workflow_failed: canceled by user"}


def test_a_terminated_parent_terminates_the_child_it_waits_for(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    parent = scene.started(a_chain(a_child(child.id)))
    [inner] = children_of(scene, child.path)
    assert scene.do(parent, "terminate") == [200]
    assert scene.until(inner, "terminated")["status"] == "terminated"


def test_a_child_that_is_not_waited_for_goes_its_own_way(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    row = scene.result(a_chain(a_child(child.id, waitForCompletion=False)))
    [inner] = children_of(scene, child.path)
    assert (row["status"], row["output"]) == ("complete", {"runId": inner.rpartition("/")[2]})
    assert scene.row(inner)["status"] == "paused"
    scene.told(inner, "go")
    assert scene.ended(inner)["status"] == "complete"


def test_a_child_that_takes_too_long_fails_its_step_and_is_terminated(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    row = scene.ended(scene.started(a_chain(a_child(child.id, timeout=1))))
    assert (row["status"], row["error"]) == ("errored", "sub-workflow timed out")


def test_a_child_that_is_not_deployed_fails_its_step(scene: Scene) -> None:
    row = scene.result(a_chain(a_child("wf_nowhere")))
    assert (row["status"], row["error"]) == ("errored", "Workflow not found")


def test_workflows_start_one_another_only_so_deep(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "DEEPEST", 3)
    path = scene.draft()
    workflow = scene.deploy(a_chain(a_child(path.rpartition("/")[2])), path=path)
    outermost = scene.start(workflow)
    row = scene.ended(outermost)
    assert (row["status"], row["error"]) == ("errored", "sub-workflows are nested more than 3 deep")
    rows = scene.client.get(f"{path}/runs").json["data"]
    assert [one["status"] for one in rows] == ["errored"] * 4


def test_a_workflow_uses_a_functions_answer(scene: Scene) -> None:
    total = {**a_node("total", value="{{ payload.n }}"), "name": "EXPORT_total"}
    function = scene.deploy(a_chain(total), kind="script")
    call = a_node("call", "sub_script", workflowId=function.id, body={"n": "{{ payload }}"})
    assert scene.result(a_chain(call, a_node("after", value="{{ call.total }}")), 9)["output"] == 9
    assert scene.client.get(f"{function.path}/runs").json["data"] == []


def test_a_function_that_fails_fails_the_step_that_calls_it(scene: Scene) -> None:
    function = scene.deploy(a_chain(a_node("call", "http_request", url="{{ payload }}")), kind="script")
    row = scene.result(a_chain(a_node("call", "sub_script", workflowId=function.id, body=5)))
    assert row["status"] == "errored"
    other = scene.deploy(a_chain(a_node("a")))
    row = scene.result(a_chain(a_node("call", "sub_script", workflowId=other.id)))
    assert (row["status"], row["error"]) == ("errored", f"{other.id} is a workflow, not a function")
