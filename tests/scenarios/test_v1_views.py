"""A run explained over HTTP: labels, graph, times, reasons, history."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import a_failure, a_key_wait, a_request, an_approval, held_up

pytestmark = pytest.mark.store

NEVER: Json = {"type": "eq", "left": 1, "right": 2}


def reasons(run: V1Run) -> dict[str, list[Any]]:
    """Why each step stands where it does, as (cause, message)."""
    steps = run.get("/explain")["steps"]
    return {step["step_ref"]: [(one["cause"], one["message"]) for one in step["reasons"]] for step in steps}


def test_a_runs_labels_are_its_tags(scene: Scene) -> None:
    assert v1_run(scene, a_step("a"), tags={"team": "x"}).get("/labels") == {"labels": {"team": "x"}}
    assert v1_run(scene, a_step("a")).get("/labels") == {"labels": {}}


def test_a_graph_shows_where_each_step_stands_and_what_could_start(scene: Scene) -> None:
    run = v1_run(scene, a_step("a"), an_approval("gate", "a"), a_step("b", "a", "gate"), a_key_wait("w"))
    shown = run.get("/graph")
    # Both ways have taken about as long so far.
    assert shown.pop("critical_path") in (["a", "gate"], ["w"])
    assert shown == {
        "workflow_run_id": run.id,
        "nodes": [
            {"step_ref": "a", "step_type": "transform", "status": "completed"},
            {"step_ref": "gate", "step_type": "approval", "status": "waiting"},
            {"step_ref": "b", "step_type": "transform", "status": "pending"},
            {"step_ref": "w", "step_type": "wait_for_event", "status": "waiting"},
        ],
        "edges": [{"from": "a", "to": "gate"}, {"from": "a", "to": "b"}, {"from": "gate", "to": "b"}],
        "roots": ["a", "w"],
        "runnable": [],
    }
    run.do("pause")
    run.do("approve", "gate")
    assert run.get("/graph")["runnable"] == ["b"]
    run.do("cancel")
    assert run.get("/graph")["runnable"] == []


def test_the_critical_path_is_the_way_that_has_taken_longest(scene: Scene) -> None:
    run = v1_run(scene, a_step("a"), an_approval("gate", "a"), a_step("b", "a", "gate"), a_step("c"))
    assert run.get("/graph")["critical_path"] == ["a", "gate"]


def test_a_graph_of_the_trigger_api_shows_labels_and_each_iteration(scene: Scene) -> None:
    loop = a_node("each", "loop", loopType="times", count=2)
    nodes = [loop, a_node("one", value=1), a_node("two", value=2), a_node("after", value=1)]
    path = scene.started(a_graph(nodes, ["each one body", "one two", "each after then"]))
    graph = V1Run(scene=scene, id=path.rpartition("/")[2], workflow_id="").get("/graph")
    assert [node["step_ref"] for node in graph["nodes"]] == [
        *("each", "each.0.one", "each.0.two", "each.1.one", "each.1.two", "after")
    ]
    assert {"from": "each", "to": "each.1.one", "label": "body"} in graph["edges"]
    assert {"from": "each.1.one", "to": "each.1.two"} in graph["edges"]
    assert graph["roots"] == ["each"]
    assert set(graph["critical_path"]) <= {"each", "after"}


def test_a_timeline_tells_how_long_each_step_took_and_stood_in_line(scene: Scene) -> None:
    run = v1_run(scene, a_step("a"), an_approval("gate", "a"), a_step("b", "gate"))
    run.do("approve", "gate")
    shown = run.get("/timeline")
    a, gate, b = shown["steps"]
    assert (shown["status"], [one["status"] for one in shown["steps"]]) == ("completed", ["completed"] * 3)
    assert all(one["on_critical_path"] for one in shown["steps"])
    assert gate["duration_secs"] > a["duration_secs"] >= 0
    assert gate["wait_secs"] == 0
    assert b["wait_secs"] >= 0
    assert all(one["started_at"] <= one["finished_at"] for one in shown["steps"])


def test_a_step_that_has_not_started_has_no_times(scene: Scene) -> None:
    run = v1_run(scene, an_approval(), a_step("later", "gate"))
    gate, later = run.get("/timeline")["steps"]
    assert later == {"step_ref": "later", "status": "pending", "attempt": 1, "on_critical_path": False}
    assert (gate["duration_secs"] >= 0, "finished_at" in gate) == (True, False)


def test_each_step_is_explained(scene: Scene) -> None:
    run = v1_run(
        scene,
        a_step("done"),
        an_approval("gate", "done"),
        a_step("later", "done", "gate"),
        a_step("never", condition=NEVER),
        a_step("off"),
        a_failure("bad", on_failure="skip_dependents"),
        a_step("lost", "bad"),
        a_key_wait("paid"),
        a_key_wait("waived"),
        step_overrides=[{"step_ref": "off", "enabled": False}],
    )
    run.do("skip", "waived", reason="paid in cash")
    bad = run.get("/steps/bad")["error"]
    assert reasons(run) == {
        "done": [],
        "gate": [("wait", "waits for approval")],
        "later": [("dependency", "comes after gate, which is waiting")],
        "never": [("condition", "condition not met")],
        "off": [("disabled", "disabled when the run was started")],
        "bad": [("error", f"{bad} (on_failure is skip_dependents: what comes after it is skipped)")],
        "lost": [("dependency", "bad, which it comes after, is failed")],
        "paid": [("wait", "waits for the event key paid")],
        "waived": [("person", "paid in cash")],
    }
    run.do("cancel")
    after = reasons(run)
    assert after["later"] == [("run_ended", "the run ended before it began: it is canceled")]
    assert after["gate"] == [("run_ended", "the run ended while it was under way: it is canceled")]


def test_an_attempt_under_way_and_what_is_behind_it_are_explained(scene: Scene, web: Web) -> None:
    run = held_up(scene, web, a_request("call", web), a_step("after", "call"))
    found = reasons(run)
    assert found["call"] == [("under_way", "attempt 1 is being made")]
    assert found["after"] == [("dependency", "comes after call, which is running")]
    web.release()


def test_a_step_behind_many_names_a_few_and_counts_the_rest(scene: Scene) -> None:
    gates = [f"g{number}" for number in range(8)]
    run = v1_run(scene, *(an_approval(ref) for ref in gates), a_step("end", *gates))
    found = reasons(run)["end"]
    assert [message for _, message in found[:5]] == [f"comes after {ref}, which is waiting" for ref in gates[:5]]
    assert found[5:] == [("dependency", "and 3 more")]
    run.do("cancel")


def test_the_way_that_a_branch_did_not_take_is_explained(scene: Scene) -> None:
    branches: Json = [{"label": "big", "condition": "payload.n > `5`"}, {"label": "small", "condition": ""}]
    nodes = [a_node("choose", "branch", branches=branches), a_node("dear", value=1), a_node("cheap", value=2)]
    path = scene.started(a_graph(nodes, ["choose dear big", "choose cheap small"]), {"n": 1})
    run = V1Run(scene=scene, id=path.rpartition("/")[2], workflow_id="")
    assert reasons(run)["dear"] == [("dependency", "choose took the way small")]


def test_history_tells_who_did_what_the_newest_last_page_by_page(scene: Scene) -> None:
    run = v1_run(scene, an_approval(), a_step("after", "gate"))
    answers = [
        run.ask("resume"),
        run.ask("pause", reason="lunch"),
        run.ask("retry", "gate"),
        run.ask("approve", "gate", comment="fine"),
        run.ask("resume"),
    ]
    scene.settle()
    told = run.get("/history")
    assert [(one["command"], one["outcome"]) for one in told] == [
        ("resume", "refused"),
        ("pause", "done"),
        ("retry", "refused"),
        ("approve", "done"),
        ("resume", "done"),
    ]
    assert [one["request_id"] for one in told] == [answer.headers["x-request-id"] for answer in answers]
    assert told[1] == {
        "id": told[1]["id"],
        "at": told[1]["at"],
        "actor": told[0]["actor"],
        "command": "pause",
        "before": "running",
        "after": "paused",
        "outcome": "done",
        "reason": "lunch",
        "request_id": told[1]["request_id"],
    }
    assert told[0]["actor"] == {"key_id": scene.project.key.split("_")[1], "name": "development"}
    assert told[0]["refusal"] == "workflow run is not paused: it is running"
    assert (told[3]["step_ref"], told[3]["before"], told[3]["after"]) == ("gate", "waiting", "completed")
    paged: list[Any] = []
    cursor = ""
    for _ in told:
        answered = scene.client.get(f"{run.path}/history?limit=2{cursor}")
        paged += answered.json
        if "x-next-cursor" not in answered.headers:
            break
        cursor = f"&cursor={answered.headers['x-next-cursor']}"
    assert paged == told


def test_a_thousand_steps_are_explained_within_one_answer(scene: Scene) -> None:
    run = v1_run(scene, an_approval(), *(a_step(f"s{number}", "gate") for number in range(999)))
    for part in ("graph", "timeline", "explain", "why"):
        answered = scene.client.get(f"{run.path}/{part}")
        assert (answered.status, len(answered.text) < 1_000_000) == (200, True), part
    run.do("cancel")
