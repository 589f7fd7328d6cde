"""Why a run waits, over HTTP: in every state what is offered is what the verbs' own tables say is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios import test_v1_runs as run_verbs
from tests.scenarios import test_v1_step_verbs as step_verbs
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import RUN_STATES, STEP_STATES, a_key_wait, an_approval
from tests.scenarios.waiters import with_scopes

pytestmark = pytest.mark.store

#: By state: what the run says that it waits for at the step; None where the step keeps nothing from going on.
KINDS: dict[str, str | None] = {
    "pending": None,
    "pending before the run": "driver",
    "pending in a paused run": "pause",
    "between attempts": "retry",
    "waiting for approval": "approval",
    "waiting for approval, paused": "approval",
    "waiting for an event": "event",
    "asleep": "sleep",
    "waiting for a child": "child",
    "running": "driver",
    "at a worker": "job",
    "completed": None,
    "completed, run too": None,
    "failed": None,
    "failed, run too": "repairable",
    "skipped": None,
    "skipped by a person": None,
    "canceled": "repairable",
    "timed out": "repairable",
}


def about(run: V1Run, step: str) -> Any:
    """What the run says of a step that it waits for, or could go on by."""
    why = run.get("/why")
    [found] = [one for one in (*why["waiting_on"], *why["repairable"]) if one.get("step_ref") == step]
    return found


def test_the_table_has_every_state() -> None:
    assert KINDS.keys() == STEP_STATES.keys()


@pytest.mark.parametrize("state", KINDS)
def test_what_is_offered_of_a_step_is_what_would_be_taken(scene: Scene, web: Web, state: str) -> None:
    at = STEP_STATES[state][0](scene, web)
    why = at.run.get("/why")
    listed = [*why["waiting_on"], *why["repairable"]]
    found = [one for one in listed if one.get("step_ref") == at.step]
    assert [one.get("kind", "repairable") for one in found] == ([KINDS[state]] if KINDS[state] else [])
    taken = [verb for verb in step_verbs.VERBS if verb not in step_verbs.refused_by(state)]
    assert [one["available_actions"] for one in found] == [taken] * len(found)
    assert bool(why["waiting_on"]) == (STEP_STATES[state][2] in {"pending", "running", "paused"})
    assert all(one["who_can_unblock"] for one in why["waiting_on"])
    web.release()


@pytest.mark.parametrize("status", RUN_STATES)
def test_what_is_offered_of_a_run_is_what_would_be_taken(scene: Scene, web: Web, status: str) -> None:
    run = run_verbs.in_status(scene, web, status)
    cells = dict(zip(run_verbs.VERBS, run_verbs.TABLE[status], strict=True))
    # Asked for again, a pause is answered with the run as it is: that does nothing, and so is not offered.
    taken = [verb for verb in ("pause", "resume", "cancel", "retry") if cells[verb][0] != 400]
    assert run.get("/why")["available_actions"] == [verb for verb in taken if (verb, status) != ("pause", "paused")]


def test_each_wait_says_what_it_is_for_and_who_can_end_it(scene: Scene) -> None:
    child = saved(scene, an_approval())
    run = v1_run(
        scene,
        an_approval("ok", approval_timeout_secs=3600),
        a_key_wait("paid"),
        a_step("nap", step_type="sleep", sleep_duration_secs=600),
        a_step("sub", step_type="sub_workflow", sub_workflow_id=child["id"]),
        a_step("ship", step_type="job", job_id="ship"),
    )
    why = run.get("/why")
    ok, paid, nap, sub, ship = why["waiting_on"]
    assert [one["step_ref"] for one in why["waiting_on"]] == ["ok", "paid", "nap", "sub", "ship"]
    assert all(one["since"] for one in why["waiting_on"])
    assert (ok["kind"], ok["approvers"], ok["who_can_unblock"]) == ("approval", ["*"], "any key that may approve")
    assert ok["until"] > ok["since"]
    assert (paid["event_key"], paid["who_can_unblock"]) == ("paid", "whoever sends the event paid")
    assert (nap["kind"], nap["until"] > nap["since"]) == ("sleep", True)
    assert scene.client.get(f"/v1/workflow-runs/{sub['child_run_id']}/why").json["waiting_on"][0]["kind"] == "approval"
    assert scene.client.get(f"/v1/job-runs/{ship['job_run_id']}").json["status"] == "queued"
    assert why["summary"].startswith("The run is under way: 1 waiting for approval, 1 waiting for events, 1 sleeping")
    run.do("cancel")


def test_who_may_not_approve_is_not_offered_to(scene: Scene) -> None:
    run = v1_run(scene, an_approval("gate", approval_approvers=["ann", "bob"]))
    [mine] = run.get("/why")["waiting_on"]
    assert mine["available_actions"] == ["skip", "force-complete", "replay-subtree"]
    assert mine["who_can_unblock"] == "the keys ann, bob"
    ann = with_scopes(scene, "workflows:read", "workflows:write", name="ann")
    [hers] = ann.get(f"{run.path}/why").json["waiting_on"]
    assert hers["available_actions"] == ["approve", "reject", "skip", "force-complete", "replay-subtree"]
    assert run.ask("approve", "gate").status == 400
    assert ann.send("POST", f"{run.path}/steps/gate/approve").status == 200
    scene.settle()


def test_steps_that_wait_for_their_turn_say_for_which_limit(scene: Scene) -> None:
    jobs = [a_step(ref, step_type="job", job_id="ship") for ref in ("a", "b")]
    run = v1_run(scene, *jobs, max_parallel_steps=1)
    assert about(run, "a")["kind"] == "job"
    second = about(run, "b")
    assert (second["kind"], second["available_actions"]) == ("limit", ["skip", "force-complete"])
    assert run.get("/explain")["steps"][1]["reasons"][0]["cause"] == "max_parallel_steps"
    keyed = [a_step(ref, step_type="job", job_id="ship", concurrency_key="till") for ref in ("a", "b")]
    other = v1_run(scene, *keyed)
    reason = other.get("/explain")["steps"][1]["reasons"][0]
    assert (reason["cause"], reason["message"]) == ("concurrency_key", "concurrency_key till is held by a")
    for one in (run, other):
        one.do("cancel")


def test_a_run_that_has_ended_says_why_and_how_it_can_go_on(scene: Scene, web: Web) -> None:
    run = STEP_STATES["failed, run too"][0](scene, web).run
    why = run.get("/why")
    step = run.get("/steps/s")
    assert (why["status"], why["failed_step_ref"], why["error"]) == ("failed", "s", step["error"])
    assert why["summary"] == f"The run failed at step s: {step['error']}."
    assert why["waiting_on"] == []
    assert why["repairable"] == [
        {
            "step_ref": "s",
            "status": "failed",
            "error": step["error"],
            "available_actions": ["retry", "replay-subtree"],
        }
    ]
    completed = STEP_STATES["completed, run too"][0](scene, web).run.get("/why")
    assert (completed["summary"], completed["available_actions"]) == ("The run has completed.", ["retry"])
    timed_out = STEP_STATES["timed out"][0](scene, web).run.get("/why")
    assert timed_out["summary"] == "The run took longer than it may: workflow timed out."
    assert [one["step_ref"] for one in timed_out["repairable"]] == ["s", "after"]


def test_an_event_that_nobody_has_acted_on_yet_ends_the_wait_in_the_answer_too(scene: Scene) -> None:
    run = v1_run(scene, a_key_wait(), a_step("after", "wait"))
    run.do("pause")
    assert scene.client.post("/v1/events/paid/send", {"payload": 1}).status == 200
    scene.settle()
    pause, ready = run.get("/why")["waiting_on"]
    assert (pause["kind"], "step_ref" in pause) == ("pause", False)
    assert (ready["step_ref"], ready["kind"]) == ("after", "pause")
