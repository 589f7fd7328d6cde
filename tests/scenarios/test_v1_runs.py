"""Runs of the workflow-runs API over HTTP: every status with every verb, and the lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.run import RunStatus
from tests.api.http import Response
from tests.scenarios.conftest import Web, echoed
from tests.scenarios.scene import Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import RUN_STATES, STEP_STATES, a_key_wait, a_request, an_approval, held_up

pytestmark = pytest.mark.store

VERBS = ("pause", "resume", "cancel", "retry", "bulk-cancel", "bulk-replay")

#: By status: for each of the verbs above the status of the answer, and where the run then stands; of the bulk verbs
#: how many were done.
TABLE: dict[str, tuple[tuple[int, str], ...]] = {
    "pending": ((400, "pending"), (400, "pending"), (204, "canceled"), (400, "pending"), (1, "canceled"), (0, "")),
    "running": ((200, "paused"), (400, "running"), (204, "canceled"), (400, "running"), (1, "canceled"), (0, "")),
    "paused": ((200, "paused"), (200, "running"), (204, "canceled"), (400, "paused"), (1, "canceled"), (0, "")),
    "completed": (*((400, "completed"),) * 3, (201, "completed"), (0, ""), (1, "")),
    "failed": (*((400, "failed"),) * 3, (201, "failed"), (0, ""), (1, "")),
    "timed_out": (*((400, "timed_out"),) * 3, (201, "timed_out"), (0, ""), (1, "")),
    "canceled": (*((400, "canceled"),) * 3, (201, "canceled"), (0, ""), (1, "")),
}
#: What begins a refusal's message.
REFUSALS = {
    "pause": "cannot pause a workflow run in {status} status",
    "resume": "workflow run is not paused",
    "cancel": "workflow run already in terminal state",
    "retry": "can only retry a workflow run in terminal state",
}


def in_status(scene: Scene, web: Web, status: str) -> V1Run:
    """A run that stands so."""
    put, _, run_status = STEP_STATES[RUN_STATES[status]]
    run = put(scene, web).run
    assert run.status == status == run_status
    return run


def done(run: V1Run, verb: str) -> Response:
    """Ask for a verb, of the run alone or among many."""
    if not verb.startswith("bulk"):
        return run.ask(verb)
    return run.scene.client.post(f"/v1/workflow-runs/{verb}", {"workflow_run_ids": [run.id]})


def rows(scene: Scene, query: str = "") -> list[Any]:
    """A page of the project's runs."""
    answered = scene.client.get(f"/v1/workflow-runs?project_id={scene.project.id}{query}")
    assert answered.status == 200, answered.text
    return list(answered.json)


def ids(scene: Scene, path: str) -> list[str]:
    """The ids of all runs that a list has, page by page."""
    found: list[str] = []
    cursor = ""
    for _ in range(20):
        answered = scene.client.get(f"{path}{cursor}")
        assert answered.status == 200, answered.text
        found += [run["id"] for run in answered.json]
        if "x-next-cursor" not in answered.headers:
            return found
        cursor = f"&cursor={answered.headers['x-next-cursor']}"
    raise AssertionError("the list does not end")


def test_the_table_has_every_status_and_every_verb() -> None:
    assert TABLE.keys() == RUN_STATES.keys() == set(RunStatus)
    assert {len(row) for row in TABLE.values()} == {len(VERBS)}


@pytest.mark.parametrize(
    ("status", "verb", "answer", "after"),
    [(status, verb, *cell) for status, row in TABLE.items() for verb, cell in zip(VERBS, row, strict=True)],
)
def test_a_verb_answers_and_does_as_the_contract_says(
    scene: Scene, web: Web, status: str, verb: str, answer: int, after: str
) -> None:
    run = in_status(scene, web, status)
    before = run.get()

    answered = done(run, verb)

    shown = run.get()
    if verb.startswith("bulk"):
        count = answered.json["canceled" if verb == "bulk-cancel" else "replayed"]
        assert (answered.status, count, answered.json["failed"]) == (200, answer, 1 - answer)
        assert shown["status"] == (after or status)
        return
    assert (answered.status, shown["status"]) == (answer, after), answered.text
    if answer == 400:
        assert answered.json["error"]["message"].startswith(REFUSALS[verb].format(status=status))
        assert shown == before
        assert run.get("/history")[-1]["refusal"] == answered.json["error"]["message"]
    elif answer == 204:
        assert (answered.text, shown["error"]) == ("", "canceled by user")
        assert set(run.statuses().values()) <= {"completed", "canceled"}
    elif answer == 201:
        assert answered.json["retry_of_run_id"] == run.id
    else:
        assert answered.json["status"] == after
    scene.settle()


def test_what_is_under_way_when_a_run_is_paused_finishes_and_nothing_starts(scene: Scene, web: Web) -> None:
    run = held_up(scene, web, a_request("call", web), a_step("after", "call"))
    assert run.ask("pause", reason="lunch").json["status"] == "paused"
    web.release()
    scene.settle()
    assert run.statuses() == {"call": "completed", "after": "pending"}
    web.answer = echoed
    run.do("resume")
    assert (run.status, run.statuses()["after"]) == ("completed", "completed")
    assert [one["reason"] for one in run.get("/history") if "reason" in one] == ["lunch"]


def test_a_run_whose_last_steps_finish_while_it_is_paused_ends(scene: Scene, web: Web) -> None:
    run = held_up(scene, web, a_request("call", web))
    run.ask("pause")
    web.release()
    assert run.until("completed").get()["finished_at"]


def test_canceling_reaches_children(scene: Scene) -> None:
    child = saved(scene, an_approval())
    run = v1_run(scene, a_step("sub", step_type="sub_workflow", sub_workflow_id=child["id"]))
    [waiting] = run.get("/why")["waiting_on"]
    run.do("cancel")
    below = V1Run(scene=scene, id=waiting["child_run_id"], workflow_id=child["id"]).get()
    assert below["status"] == "canceled"
    assert below["parent_workflow_run_id"] == run.id
    assert below["parent_step_run_id"] == f"{run.id}:sub"


def test_a_list_has_a_projects_runs_newest_first_page_by_page(scene: Scene) -> None:
    workflow = saved(scene)
    path = f"/v1/workflows/{workflow['id']}"
    started = [scene.client.post(f"{path}/trigger", {"payload": number}).json["id"] for number in range(5)]
    other = v1_run(scene, an_approval())
    scene.settle()
    newest = [other.id, *reversed(started)]
    of_project = f"/v1/workflow-runs?project_id={scene.project.id}"
    assert ids(scene, of_project) == newest
    assert ids(scene, f"{of_project}&limit=2") == newest
    assert ids(scene, f"{of_project}&workflow_id={workflow['id']}&limit=2") == newest[1:]
    assert ids(scene, f"{path}/runs?limit=3") == newest[1:]
    assert ids(scene, f"{of_project}&status=completed&limit=4") == newest[1:]
    assert ids(scene, f"{of_project}&status=running") == [other.id]
    assert ids(scene, f"{of_project}&status=failed") == []
    first = rows(scene, "&limit=1")[0]
    assert first == {name: value for name, value in other.get().items() if name != "payload"}


def test_a_list_can_be_narrowed_to_a_tag(scene: Scene) -> None:
    workflow = saved(scene)
    path = f"/v1/workflows/{workflow['id']}"
    for number in range(6):
        tags = {"team": "a" if number % 3 else "b"} if number else {}
        assert scene.client.post(f"{path}/trigger", {"tags": tags}).status == 201
    scene.settle()
    of_project = f"/v1/workflow-runs?project_id={scene.project.id}&limit=1"
    assert len(ids(scene, f"{of_project}&tag_key=team")) == 5
    assert len(ids(scene, f"{of_project}&tag_key=team&tag_value=b")) == 1
    assert len(ids(scene, f"{path}/runs?limit=2&tag_key=team&tag_value=a")) == 4
    assert ids(scene, f"{of_project}&tag_key=other") == []


def test_a_large_payload_is_left_out_of_lists_and_shown_with_the_run(scene: Scene) -> None:
    run = v1_run(scene, a_key_wait(), payload="x" * 20_000)
    assert "payload" not in rows(scene)[0]
    assert run.get()["payload"] == "x" * 20_000


def test_runs_of_a_graph_and_of_a_deleted_workflow_are_listed_too(scene: Scene) -> None:
    deployed = scene.deploy(a_chain(a_wait()))
    scene.start(deployed)
    scene.settle()
    [listed] = rows(scene)
    assert (listed["status"], listed["workflow_id"]) == ("running", deployed.id)
    run = V1Run(scene=scene, id=listed["id"], workflow_id=deployed.id)
    assert run.statuses() == {"wait": "waiting"}
    run.do("cancel")
    assert scene.client.send("DELETE", f"/v1/workflows/{deployed.id}").status == 204
    assert ids(scene, f"/v1/workflows/{deployed.id}/runs?limit=5") == [run.id]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "project_id is required"),
        ("?project_id=", 400, "project_id is required"),
        ("?project_id=proj_elsewhere", 404, "project not found"),
        ("?project_id={own}&status=done", 400, "status is invalid"),
        ("?project_id={own}&status=", 400, "status is invalid"),
        ("?project_id={own}&limit=0", 400, "limit must be a positive integer"),
        ("?project_id={own}&limit=ten", 400, "limit must be a positive integer"),
        ("?project_id={own}&cursor=none", 400, "cursor is not one that this list returned"),
        ("?project_id={own}&tag_value=a", 400, "tag_value needs tag_key"),
        ("?project_id={own}&tag_key=", 400, "tag_key must have at least 1 characters"),
        ("?project_id={own}&workflow_id=wf_nowhere", 404, "workflow not found"),
        ("?project_id={own}&workflow_id=a%23b", 404, "workflow not found"),
        ("?project_id={own}&status=failed&status=completed", 400, "status is given more than once"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_name(scene: Scene, query: str, status: int, said: str) -> None:
    answered = scene.client.get("/v1/workflow-runs" + query.format(own=scene.project.id))
    assert (answered.status, answered.json["error"]["message"]) == (status, said)


def test_an_unknown_run_is_a_404_and_a_body_that_says_more_a_400(scene: Scene) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/why")):
        answered = scene.client.send(method, f"/v1/workflow-runs/nowhere{path}")
        assert (answered.status, answered.json["error"]["message"]) == (404, "workflow run not found")
    run = v1_run(scene, an_approval())
    answered = run.ask("pause", reson="typo")
    assert (answered.status, answered.json["error"]["message"]) == (400, "reson is not a known field")
    long = json.dumps({"reason": "r" * 2001}).encode()
    answered = scene.client.send("POST", f"{run.path}/pause", long)
    assert (answered.status, answered.json["error"]["message"]) == (400, "reason must have at most 2000 characters")
    assert run.status == "running"
