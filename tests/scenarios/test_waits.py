"""Waits over HTTP: events early, late and in order, time-outs, approvals, sleeps, and pauses between steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.access import Scope
from chalicelib.services import keys
from tests.api.http import Client
from tests.domain.graphs import a_graph, a_node
from tests.scenarios.scene import Scene, a_chain, a_wait

pytestmark = pytest.mark.store


def test_an_event_sent_before_the_wait_is_taken_by_it(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait("first", "one"), a_wait("second", "two")))
    scene.told(run, "two", "early")
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "one", "now")
    row = scene.ended(run)
    assert (row["status"], row["output"]) == ("complete", "early")


def test_an_event_that_comes_with_the_trigger_is_not_lost(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait()))
    run = scene.start(workflow)
    assert scene.send(run, "go", 1).status == 200
    assert scene.ended(run)["output"] == 1


def test_two_events_are_taken_by_two_waits_in_order(scene: Scene) -> None:
    both = a_node("both", value="{{ [w1, w2] }}")
    run = scene.started(a_chain(a_wait("w1"), a_wait("w2"), both))
    scene.send(run, "go", "first")
    scene.send(run, "go", "second")
    assert scene.ended(run)["output"] == ["first", "second"]


def test_events_buffered_before_their_waits_are_taken_in_order_each_by_one(scene: Scene) -> None:
    every = a_node("every", value="{{ [w1, w2] }}")
    run = scene.started(a_chain(a_wait("gate", "open"), a_wait("w1"), a_wait("w2"), every))
    for payload in ("a", "b"):
        scene.told(run, "go", payload)
    scene.told(run, "open")
    assert scene.ended(run)["output"] == ["a", "b"]


def test_an_event_of_another_type_ends_no_wait(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait()))
    scene.told(run, "other", "no")
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "go", "yes")
    assert scene.ended(run)["output"] == "yes"


def test_a_wait_whose_time_is_over_fails_the_run(scene: Scene) -> None:
    row = scene.ended(scene.started(a_chain(a_wait(timeout=1))))
    assert (row["status"], row["error"]) == ("errored", "event trigger timed out")


def test_a_wait_whose_time_is_over_goes_on_by_its_error_edge(scene: Scene) -> None:
    graph = a_graph([a_wait(timeout=1), a_node("late", value="{{ error.message }}")], ["wait late error"])
    row = scene.result(graph)
    assert (row["status"], row["output"]) == ("complete", "event trigger timed out")


def test_an_approval_answers_who_decided_and_when(scene: Scene) -> None:
    run = scene.started(a_chain(a_node("ok", "approval", message="Ship {{ payload.n }}?")), {"n": 3})
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "approval-ok", {"approved": True, "comment": "fine"})
    output = scene.ended(run)["output"]
    assert (output["approved"], output["by"], output["comment"]) == (True, "development", "fine")
    assert datetime.now(UTC) - datetime.fromisoformat(output["at"]) < timedelta(minutes=1)


def test_an_approval_that_is_refused_fails_the_run(scene: Scene) -> None:
    run = scene.started(a_chain(a_node("ok", "approval"), a_node("after")))
    scene.told(run, "approval-ok", {"approved": False, "comment": "too dear"})
    row = scene.ended(run)
    assert (row["status"], row["error"]) == ("errored", "rejected by development: too dear")


@pytest.mark.parametrize("payload", [None, {}, {"approved": "yes"}, {"approved": True, "comment": 5}, [True]])
def test_an_approval_takes_no_other_payload(scene: Scene, payload: object) -> None:
    run = scene.started(a_chain(a_node("ok", "approval")))
    sent = scene.send(run, "approval-ok", payload)  # type: ignore[arg-type] # any JSON
    assert (sent.status, sent.json["details"][0]["path"]) == (422, "params.payload")
    assert scene.row(run)["status"] == "paused"


def test_only_its_approvers_decide_an_approval(scene: Scene) -> None:
    run = scene.started(a_chain(a_node("ok", "approval", approvers=["ada"])))
    refused = scene.send(run, "approval-ok", {"approved": True})
    assert (refused.status, refused.json) == (403, {"error": "approver development is not allowed for step ok"})
    assert scene.row(run)["status"] == "paused"
    made = keys.create(scene.project.id, name="ada", scopes=list(Scope), now=datetime.now(UTC))
    ada = Scene(stack=scene.stack, project=scene.project, client=Client(url=scene.stack.url, key=made.text))
    ada.told(run, "approval-ok", {"approved": True})
    assert scene.ended(run)["output"]["by"] == "ada"


def test_a_sleep_ends_by_itself(scene: Scene) -> None:
    run = scene.started(a_chain(a_node("nap", "sleep", duration="1 second"), a_node("after", value="awake")))
    assert scene.row(run)["status"] == "running"
    row = scene.ended(run)
    assert row["output"] == "awake"
    assert len(scene.executions(run)) == 1


def test_a_sleep_until_a_time_ends_then_and_one_that_has_passed_at_once(scene: Scene) -> None:
    graph = a_chain(a_node("nap", "sleep_until", timestamp="{{ payload }}"), a_node("after", value="awake"))
    workflow = scene.deploy(graph)
    wake_at = datetime.now(UTC) + timedelta(seconds=1.5)
    run = scene.start(workflow, wake_at.isoformat())
    assert scene.ended(run)["output"] == "awake"
    assert datetime.now(UTC) >= wake_at
    past = scene.start(workflow, "2020-01-01T00:00:00Z")
    scene.settle()
    assert scene.row(past)["status"] == "complete"


def test_an_event_for_a_run_paused_by_hand_is_kept_until_it_is_resumed(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait(), a_node("after", value="{{ wait }}")))
    assert scene.do(run, "pause") == [200]
    scene.told(run, "go", 7)
    assert scene.row(run)["status"] == "paused"
    assert scene.do(run, "resume") == [200]
    assert scene.ended(run)["output"] == 7


def test_resuming_satisfies_no_event_and_no_approval(scene: Scene) -> None:
    run = scene.started(a_graph([a_node("f", "parallel"), a_wait(), a_node("ok", "approval")], ["f wait", "f ok"]))
    assert scene.do(run, "pause", "resume") == [200, 200]
    scene.settle()
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "go", 1)
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "approval-ok", {"approved": True})
    assert scene.ended(run)["status"] == "complete"
