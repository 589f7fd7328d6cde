"""What people and programs do with runs through the workflow-runs API, told from beginning to end, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.value import Json
from chalicelib.store import workflows
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web, echoed
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import a_failure, a_key_wait, an_approval
from tests.scenarios.waiters import shown

pytestmark = pytest.mark.store


def a_call(web: Web, ref: str, *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that asks the test's server for `/<ref>`."""
    payload: Json = {"method": "POST", "url": f"{web.url}/{ref}", "body": ref}
    return a_step(ref, *after, step_type="http_request", payload=payload, **fields)


def declining(web: Web, *refs: str) -> None:
    """Have the server decline what these steps ask."""
    web.answer = lambda asked: Answer(status=400) if asked.path.strip("/") in refs else echoed(asked)


def asked(web: Web) -> list[str]:
    """Which steps have asked the server, sorted."""
    return sorted(one.path.strip("/") for one in web.asked)


def outputs(run: V1Run) -> dict[str, Any]:
    """What the steps came to."""
    return {step["step_ref"]: step.get("output") for step in run.get("/steps")}


def triggered(scene: Scene, workflow: Any, **body: Json) -> V1Run:
    """Start another run of a workflow, and let it come as far as it can."""
    answered = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", body)
    assert answered.status == 201, answered.text
    scene.settle()
    return V1Run(scene=scene, id=answered.json["id"], workflow_id=workflow["id"])


def runs_of(scene: Scene, workflow: Any) -> list[V1Run]:
    """Every run of a workflow, the newest first."""
    listed = scene.client.get(f"/v1/workflows/{workflow['id']}/runs").json
    return [V1Run(scene=scene, id=row["id"], workflow_id=workflow["id"]) for row in listed]


def test_an_order_is_approved_while_it_is_paused_and_goes_on_when_it_is_resumed(scene: Scene) -> None:
    run = v1_run(
        scene,
        a_step("order", payload="{{ payload.id }}"),
        an_approval("ok", "order"),
        a_step("ship", "ok", payload={"order": "{{ order }}", "by": "{{ ok.by }}"}),
        payload={"id": 7},
    )
    assert run.statuses() == {"order": "completed", "ok": "waiting", "ship": "pending"}
    assert run.do("pause")["status"] == "paused"
    assert run.do("approve", "ok", comment="fine")["approval"]["approver"] == "development"
    assert run.statuses() == {"order": "completed", "ok": "completed", "ship": "pending"}
    assert run.status == "paused"
    assert run.ask("approve", "ok").status == 400

    assert run.do("resume")["status"] == "running"
    assert run.status == "completed"
    assert run.get("/steps/ship")["output"] == {"order": 7, "by": "development"}
    told = [(one["command"], one["outcome"]) for one in run.get("/history")]
    assert told[-4:] == [("pause", "done"), ("approve", "done"), ("approve", "refused"), ("resume", "done")]


def test_one_arm_of_a_diamond_is_made_again_and_the_other_is_kept(scene: Scene, web: Web) -> None:
    arms = (a_call(web, "a"), a_call(web, "left", "a"), a_call(web, "right", "a"), a_call(web, "join", "left", "right"))
    declining(web, "left")
    run = v1_run(scene, *arms)
    assert run.status == "failed"
    kept = run.statuses()["right"]

    web.answer = echoed
    assert run.do("retry", "left")["step_run"]["attempt"] == 2
    assert run.until("completed").statuses() == dict.fromkeys(("a", "left", "right", "join"), "completed")
    # What the failure had cut short is made too; what had completed is not.
    assert asked(web).count("right") == (1 if kept == "completed" else 2)
    before, right = asked(web), run.get("/steps/right")
    for times in (1, 2):
        assert run.do("replay-subtree", "left") == {"reset_steps": 2}
        assert run.until("completed").statuses() == dict.fromkeys(("a", "left", "right", "join"), "completed")
        assert asked(web) == sorted([*before, *["left", "join"] * times])
        assert {ref: output["body"] for ref, output in outputs(run).items()} == {ref: ref for ref in run.statuses()}
        assert run.get("/steps/right") == right
    assert run.get("/steps/left")["attempt"] == 4
    assert [one["status"] for one in run.get("/steps/left?include=attempts")["attempts"]] == [
        "failed",
        "completed",
        "completed",
    ]


def a_family(scene: Scene, *steps: Json) -> tuple[V1Run, V1Run]:
    """A run whose step waits for a child run, and the child."""
    child = saved(scene, *steps)
    sub = a_step("sub", step_type="sub_workflow", sub_workflow_id=child["id"])
    parent = v1_run(scene, sub, a_step("after", "sub", payload="{{ sub }}"))
    [only] = runs_of(scene, child)
    return parent, only


def test_a_parent_waits_for_its_child_however_long_that_is_paused(scene: Scene) -> None:
    parent, child = a_family(scene, an_approval("gate"), a_step("done", "gate"))
    row = child.get()
    assert (row["triggered_by"], row["parent_workflow_run_id"]) == ("workflow", parent.id)
    assert row["parent_step_run_id"] == parent.get("/steps/sub")["id"]
    child.do("pause")
    child.do("approve", "gate")
    assert (child.status, parent.status) == ("paused", "running")
    assert parent.statuses() == {"sub": "waiting", "after": "pending"}

    child.do("resume")
    assert (child.status, parent.until("completed").status) == ("completed", "completed")
    answered = parent.get("/steps/after")["output"]
    assert answered["done"] == "done!"
    assert answered["gate"]["approved"] is True


def test_canceling_a_parent_takes_everything_below_it_down(scene: Scene) -> None:
    work = a_step("work", step_type="job", job_id="ship")
    parent, child = a_family(scene, a_key_wait("wait"), work, an_approval("gate"), a_step("never", "wait", "work"))
    client = scene.client
    [job] = client.get("/v1/job-runs").json
    assert client.post(f"/v1/job-runs/{job['id']}/claim", {}).status == 200

    parent.do("cancel")

    for run in (parent, child):
        assert run.status == "canceled"
        assert set(run.statuses().values()) == {"canceled"}
    assert parent.get()["error"] == "canceled by user"
    assert client.get(f"/v1/job-runs/{job['id']}").json["status"] == "canceled"
    assert [one["status"] for one in client.get("/v1/events").json] == ["canceled"]
    assert [one["status"] for one in client.get("/v1/approvals?status=canceled").json] == ["canceled"]
    late = {
        f"/v1/job-runs/{job['id']}/complete": 409,
        f"/v1/job-runs/{job['id']}/heartbeat": 409,
        "/v1/events/paid/send": 409,
        f"{child.path}/steps/gate/approve": 400,
        f"{child.path}/resume": 400,
        f"{parent.path}/pause": 400,
    }
    assert {path: client.post(path, {}).status for path in late} == late
    assert parent.ask("cancel").status == 400
    scene.stack.invoke("sweep")
    scene.settle()
    assert (parent.status, child.status) == ("canceled", "canceled")
    assert set(child.statuses().values()) == {"canceled"}


def test_a_worker_takes_a_job_fails_it_and_completes_the_next(scene: Scene) -> None:
    retried: dict[str, Json] = {"retry_max_attempts": 1, "retry_initial_delay_secs": 1, "retry_backoff": "fixed"}
    work = a_step("work", step_type="job", job_id="label", payload={"order": "{{ payload.id }}"}, **retried)
    run = v1_run(scene, work, a_step("after", "work", payload="{{ work.printed }}"), payload={"id": 7})
    client = scene.client

    def queued() -> Any:
        return client.get("/v1/job-runs?job_id=label&status=queued").json

    [first] = queued()
    assert (first["payload"], first["attempt"]) == ({"order": 7}, 1)
    assert run.get("/steps/work")["job_run_id"] == first["id"]
    assert run.statuses()["work"] == "running"
    for verb, status in (("claim", "running"), ("heartbeat", "running")):
        answered = client.post(f"/v1/job-runs/{first['id']}/{verb}", {"lease_secs": 60})
        assert (answered.status, answered.json["status"]) == (200, status)
    assert queued() == []
    assert client.post(f"/v1/job-runs/{first['id']}/fail", {"error": "no paper"}).status == 200

    [second] = shown(scene, queued)
    assert (second["id"] != first["id"], second["attempt"]) == (True, 2)
    assert run.get("/steps/work")["job_run_id"] == second["id"]
    assert client.post(f"/v1/job-runs/{second['id']}/claim", {}).status == 200
    assert client.post(f"/v1/job-runs/{second['id']}/complete", {"output": {"printed": 2}}).status == 200
    assert run.until("completed").get("/steps/after")["output"] == 2
    assert run.get("/steps/work")["attempt"] == 2


def test_what_one_run_emits_wakes_another(scene: Scene) -> None:
    waits = v1_run(
        scene, a_step("wait", step_type="wait_for_event", event_key="paid-{{ payload.n }}"), payload={"n": 7}
    )
    other = v1_run(scene, a_step("wait", step_type="wait_for_event", event_key="paid-8"))
    pays = v1_run(scene, a_step("pay", payload={"by": "card"}, event_emit_key="paid-{{ payload.n }}"), payload={"n": 7})
    assert (pays.status, waits.until("completed").status, other.status) == ("completed", "completed", "running")
    assert waits.get("/steps/wait")["output"] == {"by": "card"}
    assert scene.client.get("/v1/events/paid-7").json["sent_by"] == f"run {pays.id}"


def test_a_run_is_made_again_from_its_failure_on(scene: Scene, web: Web) -> None:
    steps = (a_call(web, "a"), a_call(web, "b", "a"), a_call(web, "c", "b"), a_call(web, "alone", "a"))
    declining(web, "b")
    run = v1_run(scene, *steps, payload={"id": 7}, max_parallel_steps=1)
    assert run.status == "failed"
    had = {ref for ref, status in run.statuses().items() if status == "completed"}
    before, rows = run.get(), run.get("/steps")

    web.answer = echoed
    web.asked.clear()
    answered = run.ask("retry")
    assert answered.status == 201, answered.text
    again = V1Run(scene=scene, id=answered.json["id"], workflow_id=run.workflow_id).until("completed")
    assert asked(web) == sorted({"a", "b", "c", "alone"} - had)
    assert outputs(again).keys() == {"a", "b", "c", "alone"}
    assert outputs(again)["a"] == outputs(run)["a"]
    assert (again.get()["retry_of_run_id"], again.get()["payload"]) == (run.id, {"id": 7})
    assert (run.get(), run.get("/steps")) == (before, rows)


def come_due(scene: Scene, workflow: Any) -> None:
    """Let a schedule's next time be over, and the sweep come round."""
    stored = workflows.load(workflow["id"])
    assert stored is not None
    workflows.set_due(stored, datetime.now(UTC) - timedelta(minutes=2))
    scene.stack.invoke("sweep")
    scene.settle()


def test_a_schedule_leaves_a_time_out_while_a_run_is_under_way(scene: Scene) -> None:
    workflow = saved(scene, an_approval("gate"), cron="*/5 * * * *", skip_if_running=True)
    come_due(scene, workflow)
    come_due(scene, workflow)
    [first] = runs_of(scene, workflow)
    assert (first.status, first.get()["triggered_by"]) == ("running", "schedule")
    first.do("pause")
    come_due(scene, workflow)
    assert len(runs_of(scene, workflow)) == 1
    first.do("cancel")
    come_due(scene, workflow)
    assert [run.status for run in runs_of(scene, workflow)] == ["running", "canceled"]


def test_no_more_runs_than_allowed_are_under_way_however_they_are_begun(scene: Scene) -> None:
    workflow = saved(scene, an_approval("gate"), max_concurrent_runs=1)
    first = triggered(scene, workflow)
    path = f"/v1/workflows/{workflow['id']}/trigger"

    def refused(answered: Any) -> bool:
        return (answered.status, answered.json["error"]["code"]) == (429, "too_many_runs")

    assert refused(scene.client.post(path, {}))
    first.do("pause")
    assert refused(scene.client.post(path, {}))
    first.do("cancel")
    second = triggered(scene, workflow)
    for again in (first.ask("retry"), first.ask("retry", "gate"), first.ask("replay-subtree", "gate")):
        assert refused(again), again.text
    assert first.status == "canceled"
    second.do("approve", "gate")
    assert second.status == "completed"
    assert first.do("retry", "gate")["step_run"]["status"] == "pending"
    assert (first.status, scene.client.post(path, {}).status) == ("running", 429)
    first.do("approve", "gate")
    assert triggered(scene, workflow).status == "running"


def test_a_run_that_takes_too_long_is_over(scene: Scene) -> None:
    work = a_step("work", step_type="job", job_id="slow")
    run = v1_run(scene, an_approval("gate"), work, a_step("after", "gate"), timeout_secs=2)
    [job] = scene.client.get("/v1/job-runs").json
    row = run.until("timed_out").get()
    assert row["error"] == "workflow timed out"
    assert datetime.fromisoformat(row["finished_at"]) >= datetime.fromisoformat(row["expires_at"])
    assert set(run.statuses().values()) == {"canceled"}
    assert scene.client.post(f"/v1/job-runs/{job['id']}/complete", {"output": 1}).status == 409
    assert run.ask("approve", "gate").status == 400
    assert run.do("retry", "gate")["step_run"]["status"] == "pending"
    # It has its whole time once more, and is over again.
    assert run.until("timed_out").get()["expires_at"] > row["expires_at"]


def test_a_run_is_one_and_the_same_in_both_apis(scene: Scene) -> None:
    workflow = saved(scene, an_approval("gate"), a_step("after", "gate"), a_failure("off", "after"))
    theirs = f"/api/workflows/{workflow['id']}"
    sent = scene.client.post(f"{theirs}/trigger", {"connectionId": "conn_default", "params": {"id": 7}})
    assert sent.status == 201, sent.text
    scene.settle()
    run = V1Run(scene=scene, id=sent.json["instanceId"], workflow_id=workflow["id"])
    assert (run.status, run.get()["payload"], run.get()["triggered_by"]) == ("running", {"id": 7}, "api")
    row = f"{theirs}/runs/{run.id}"
    run.do("pause")
    assert scene.row(row)["status"] == "paused"
    assert scene.do(row, "resume") == [200]
    assert run.status == "running"
    run.do("approve", "gate")
    run.until("failed")
    assert (scene.row(row)["status"], scene.row(row)["error"]) == ("errored", run.get()["error"])

    other = triggered(scene, workflow)
    assert [one["id"] for one in scene.client.get(f"{theirs}/runs").json["data"]] == [other.id, run.id]
    assert scene.do(f"{theirs}/runs/{other.id}", "pause", "terminate") == [200, 200]
    scene.settle()
    assert (other.status, set(other.statuses().values())) == ("canceled", {"canceled"})
    assert {one["command"] for one in other.get("/history")} >= {"pause", "cancel"}
