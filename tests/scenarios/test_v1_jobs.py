"""Jobs over HTTP, as a worker outside goes about them."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Client, Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.waiters import begun, message_of, shown, terminated, with_scopes

pytestmark = pytest.mark.store


def a_job(ref: str = "job", *after: str, **fields: Json) -> dict[str, Json]:
    return a_step(ref, *after, step_type="job", job_id="resize", **fields)


def inbox(scene: Scene, query: str = "") -> Any:
    answered = scene.client.get(f"/v1/job-runs{query}")
    assert answered.status == 200, answered.text
    return answered.json


def do(scene: Scene, job: Any, verb: str, body: Json = None, *, client: Client | None = None) -> Response:
    sent = {} if body is None else body
    return (client or scene.client).post(f"/v1/job-runs/{job['id']}/{verb}", sent)


def test_a_worker_finds_takes_keeps_and_completes_a_job(scene: Scene) -> None:
    run = begun(
        scene,
        a_job(payload={"file": "{{ payload.file }}"}),
        a_step("after", "job", payload="{{ job.width }}"),
        payload={"file": "a.png"},
    )
    [job] = inbox(scene)
    assert job == {
        "id": job["id"],
        "job_id": "resize",
        "status": "queued",
        "payload": {"file": "a.png"},
        "workflow_id": run.workflow_id,
        "workflow_run_id": run.id,
        "step_ref": "job",
        "attempt": 1,
        "created_at": job["created_at"],
    }
    claimed = do(scene, job, "claim", {"lease_secs": 300}).json
    assert (claimed["status"], claimed["claimed_by"]) == ("running", "development")
    assert claimed["lease_expires_at"] > claimed["claimed_at"] > job["created_at"]
    assert inbox(scene) == []
    assert do(scene, job, "heartbeat").status == 200
    done = do(scene, job, "complete", {"output": {"width": 7, "none": None}})
    assert (done.status, done.json["status"], done.json["output"]) == (200, "completed", {"width": 7, "none": None})
    assert scene.ended(run.path)["output"] == 7
    assert scene.client.get(f"/v1/job-runs/{job['id']}").json == done.json
    assert [one["id"] for one in inbox(scene, "?status=completed")] == [job["id"]]


def test_reporting_twice_is_a_200_for_the_same_and_a_409_for_another(scene: Scene) -> None:
    begun(scene, a_job())
    [job] = inbox(scene)
    bodies: list[Json] = [{"output": {"a": 1, "b": 2}}, {"output": {"b": 2, "a": 1}}, {"output": 3}, {}]
    assert [do(scene, job, "complete", body).status for body in bodies] == [200, 200, 409, 409]
    assert message_of(do(scene, job, "fail", {"error": "late"})) == (409, "job run is completed")
    assert message_of(do(scene, job, "claim")) == (409, "job run is completed")


def test_a_job_that_fails_is_queued_again_as_often_as_the_step_says(scene: Scene) -> None:
    run = begun(scene, a_job(retry_max_attempts=1, retry_initial_delay_secs=1, retry_backoff="fixed"))
    [job] = inbox(scene)
    assert do(scene, job, "fail", {"error": "no such file"}).json["error"] == "no such file"
    again = shown(scene, lambda: inbox(scene))[0]
    assert (again["attempt"], again["id"] != job["id"]) == (2, True)
    do(scene, again, "fail", {"error": "still not there"})
    row = scene.ended(run.path)
    assert (row["status"], row["error"]) == ("errored", "still not there")
    assert len(inbox(scene, "?status=failed")) == 2


def test_a_canceled_run_takes_its_jobs_from_their_workers(scene: Scene) -> None:
    run = begun(scene, a_job())
    [job] = inbox(scene)
    assert do(scene, job, "claim").status == 200
    terminated(scene, run)
    for verb, body in (("heartbeat", None), ("complete", {"output": 1}), ("fail", {"error": "e"}), ("claim", None)):
        assert message_of(do(scene, job, verb, body)) == (409, "job run is canceled")
    assert [one["status"] for one in inbox(scene, "?status=canceled")] == ["canceled"]


def test_two_workers_do_not_have_one_job(scene: Scene) -> None:
    begun(scene, a_job())
    [job] = inbox(scene)
    other = with_scopes(scene, "workflows:write", name="bob")
    assert do(scene, job, "claim").status == 200
    for verb, body in (("claim", None), ("complete", {"output": 1}), ("fail", {"error": "e"})):
        status, message = message_of(do(scene, job, verb, body, client=other))
        assert (status, message.partition(" until")[0]) == (409, "job run is claimed by development")
    assert message_of(do(scene, job, "heartbeat", client=other)) == (
        409,
        "job run is not claimed by bob; claim it first",
    )


def test_the_inbox_is_paged_oldest_first(scene: Scene) -> None:
    begun(scene, *(a_job(f"j{index}") for index in range(5)))
    whole = inbox(scene)
    assert whole == sorted(whole, key=lambda one: (one["created_at"], one["id"]))
    first = scene.client.get("/v1/job-runs?limit=3")
    rest = scene.client.get(f"/v1/job-runs?limit=3&cursor={first.headers['x-next-cursor']}")
    assert [*first.json, *rest.json] == whole
    assert "x-next-cursor" not in rest.headers
    assert inbox(scene, "?job_id=mail") == []
    assert len(inbox(scene, f"?job_id=resize&project_id={scene.project.id}")) == 5


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("?status=done", 400, "status is invalid"),
        ("?limit=0", 400, "limit must be a positive integer"),
        ("?cursor=x", 400, "cursor is not one that this list returned"),
        ("?project_id=else", 404, "project not found"),
        ("?job_id=", 400, "job_id must have at least 1 characters"),
    ],
)
def test_a_list_that_cannot_be_is_refused(scene: Scene, query: str, status: int, message: str) -> None:
    assert message_of(scene.client.get(f"/v1/job-runs{query}")) == (status, message)


@pytest.mark.parametrize(
    ("verb", "body", "message"),
    [
        ("claim", {"lease_secs": 4}, "lease_secs must be at least 5"),
        ("claim", {"lease_secs": 3601}, "lease_secs must be at most 3600"),
        ("heartbeat", {"lease_secs": "60"}, "lease_secs must be a whole number"),
        ("complete", {"result": 1}, "result is not a known field"),
        ("fail", {}, "error is required"),
        ("fail", {"error": "x" * 4001}, "error must have at most 4000 characters"),
        ("fail", {"error": ""}, "error must have at least 1 characters"),
    ],
)
def test_a_report_that_cannot_be_is_refused_and_changes_nothing(
    scene: Scene, verb: str, body: Json, message: str
) -> None:
    begun(scene, a_job())
    before = inbox(scene)
    assert message_of(do(scene, before[0], verb, body)) == (400, message)
    assert inbox(scene) == before


def test_what_is_no_job_is_a_404_in_every_verb(scene: Scene) -> None:
    for verb, body in (("claim", None), ("heartbeat", None), ("complete", {}), ("fail", {"error": "e"})):
        for id_ in ("none", "a%23b", "%00"):
            assert message_of(do(scene, {"id": id_}, verb, body)) == (404, "job run not found")
    assert message_of(scene.client.get("/v1/job-runs/none")) == (404, "job run not found")


def test_a_readers_key_sees_jobs_and_takes_none(scene: Scene) -> None:
    begun(scene, a_job())
    [job] = inbox(scene)
    reader = with_scopes(scene, "workflows:read")
    assert reader.get("/v1/job-runs").json == [job]
    for verb, body in (("claim", None), ("heartbeat", None), ("complete", {}), ("fail", {"error": "e"})):
        assert do(scene, job, verb, body, client=reader).status == 403
