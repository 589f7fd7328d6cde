"""Steps of a run in the workflow-runs API: every field, in order, in as many pages as it takes."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.value import Json
from chalicelib.services import step_pages
from tests.bench.meter import metered
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import V1Run, v1_run
from tests.scenarios.v1_states import a_failure, a_key_wait, a_request, an_approval

pytestmark = pytest.mark.store


def pages(run: V1Run, query: str = "?") -> list[list[Any]]:
    """A run's steps, page by page."""
    found: list[list[Any]] = []
    cursor = ""
    for _ in range(20):
        answered = run.scene.client.get(f"{run.path}/steps{query}{cursor}")
        assert answered.status == 200, answered.text
        assert len(answered.text) < 5_500_000
        found.append(answered.json)
        if "x-next-cursor" not in answered.headers:
            return found
        cursor = f"&cursor={answered.headers['x-next-cursor']}"
    raise AssertionError("the list does not end")


def test_a_step_is_shown_with_every_field_of_the_page_that_says_something(scene: Scene) -> None:
    run = v1_run(scene, a_step("a"), a_step("ship", "a", step_type="job", job_id="ship"), a_step("z", "a", "ship"))
    version = run.get()["workflow_version_id"]
    first, job, last = run.get("/steps")
    created_at = run.get()["created_at"]
    known = {"workflow_run_id": run.id, "attempt": 1, "created_at": created_at}
    assert first == {
        **known,
        "id": f"{run.id}:a",
        "workflow_step_id": f"{version}:a",
        "step_ref": "a",
        "status": "completed",
        "deps_completed": 0,
        "deps_required": 0,
        "output": "a!",
        "started_at": first["started_at"],
        "finished_at": first["finished_at"],
    }
    assert (job["status"], job["deps_completed"], job["deps_required"]) == ("running", 1, 1)
    assert "finished_at" not in job
    assert scene.client.get(f"/v1/job-runs/{job['job_run_id']}").json["step_ref"] == "ship"
    assert last == {
        **known,
        "id": f"{run.id}:z",
        "workflow_step_id": f"{version}:z",
        "step_ref": "z",
        "status": "pending",
        "deps_completed": 1,
        "deps_required": 2,
    }
    assert [run.get(f"/steps/{ref}") for ref in ("a", "ship", "z")] == [first, job, last]


def test_steps_come_in_their_workflows_order_however_they_ran(scene: Scene) -> None:
    run = v1_run(scene, a_step("last", "b", "a"), a_step("b", "a"), a_step("a"))
    assert list(run.statuses()) == ["last", "b", "a"]


def test_the_iterations_of_a_loop_come_after_it_and_can_be_shown_one_by_one(scene: Scene) -> None:
    loop = a_node("each", "loop", loopType="times", count=2)
    body = a_node("one", value="{{ index }}")
    graph = a_graph([loop, body, a_node("after", value=1)], ["each one body", "each after then"])
    path = scene.started(graph)
    run = V1Run(scene=scene, id=path.rpartition("/")[2], workflow_id="")
    assert list(run.statuses()) == ["each", "each.0.one", "each.1.one", "after"]
    assert run.get("/steps/each.1.one")["output"] == 1
    assert run.get("/steps/each.1.one")["workflow_step_id"].endswith(":one")


def test_earlier_attempts_stay_readable(scene: Scene, web: Web) -> None:
    web.answer = lambda _asked: Answer(status=503 if len(web.asked) == 1 else 200, body=b'"fine"')
    run = v1_run(scene, a_request("call", web, retry_max_attempts=2, retry_initial_delay_secs=1), an_approval())
    run.do("retry", "call")
    assert "attempts" not in run.get("/steps/call")
    step = run.get("/steps/call?include=attempts")
    assert step["attempt"] == 3
    first, second = step["attempts"]
    assert (first["attempt"], first["generation"], first["status"], "output" in first) == (1, 1, "failed", False)
    assert "503" in first["error"]
    assert (second["attempt"], second["status"], second["output"]["body"]) == (2, "completed", '"fine"')
    assert run.get("/steps?include=attempts")[0] == step


def test_what_was_said_of_a_step_is_its_error(scene: Scene) -> None:
    run = v1_run(scene, a_failure("bad", on_failure="continue"), a_key_wait("late"), a_step("after", "late"))
    run.do("skip", "late", reason="the customer called")
    bad, late, after = run.get("/steps")
    assert bad["error"]
    assert (late["status"], late["error"]) == ("skipped", "the customer called")
    assert after["status"] == "completed"


def test_many_large_outputs_are_shown_in_several_pages_and_none_is_fetched_for_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [a_step(f"s{number}", payload=["{{ payload }}"] * 3) for number in range(6)]
    run = v1_run(scene, *steps, a_step("end", *(f"s{number}" for number in range(6)), payload=1), payload="x" * 200_000)
    with metered(scene.stack) as counts:
        [first, second] = pages(run)
    assert (len(first), len(second)) == (4, 3)
    assert counts.s3["GetObject"] == 6
    monkeypatch.setattr(step_pages, "MOST_BYTES", 1)
    assert [[step["step_ref"] for step in page] for page in pages(run)] == [
        *([f"s{number}"] for number in range(6)),
        ["end"],
    ]


def test_a_thousand_steps_are_one_page(scene: Scene) -> None:
    run = v1_run(scene, an_approval(), *(a_step(f"s{number}", "gate") for number in range(999)))
    [page] = pages(run)
    assert [step["step_ref"] for step in page] == ["gate", *(f"s{number}" for number in range(999))]
    assert {step["status"] for step in page[1:]} == {"pending"}
    run.do("cancel")


@pytest.mark.parametrize("value", [None, [], "text", 5, {"a": [None, {"b": 1}]}])
def test_an_output_may_be_any_json_and_is_shown_as_it_is(scene: Scene, value: Json) -> None:
    run = v1_run(scene, a_step("s", payload="{{ payload.v }}"), payload={"v": value})
    assert run.get("/steps/s").get("output") == value


def test_force_completion_takes_an_object_and_what_depends_on_the_step_sees_it(scene: Scene) -> None:
    run = v1_run(scene, a_key_wait("late"), a_step("after", "late", payload="{{ late.total }}"), an_approval())
    refused = run.ask("force-complete", "late", result=[1])
    assert (refused.status, refused.json["error"]["message"]) == (400, "result must be an object")
    done = run.do("force-complete", "late", result={"total": 7, "parts": [None]})
    assert done["step_run"]["output"] == {"total": 7, "parts": [None]}
    assert run.get("/steps/after")["output"] == 7


def test_a_decision_says_who_made_it_and_when(scene: Scene) -> None:
    run = v1_run(scene, an_approval("yes"), an_approval("no", on_failure="continue"))
    approved, rejected = run.do("approve", "yes", comment="fine"), run.do("reject", "no", reason="too dear")
    for answered, ref, status, comment in (
        (approved, "yes", "approved", "fine"),
        (rejected, "no", "rejected", "too dear"),
    ):
        assert answered["approval"] == {
            "step_ref": ref,
            "status": status,
            "approver": "development",
            "decided_at": answered["step_run"]["finished_at"],
            "comment": comment,
        }
    assert rejected["step_run"]["error"] == "rejected by development: too dear"
    assert run.status == "completed"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/steps/nope", 404, "workflow step run not found"),
        ("/steps/a%2Fb", 404, "workflow step run not found"),
        ("/steps/each.0.gate", 404, "workflow step run not found"),
        ("/steps/gate?include=all", 400, "include is invalid"),
        ("/steps?cursor=none", 400, "cursor is not one that this list returned"),
        ("/steps?cursor=", 400, "cursor must have at least 1 characters"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(scene: Scene, path: str, status: int, said: str) -> None:
    run = v1_run(scene, an_approval())
    answered = scene.client.get(f"{run.path}{path}")
    assert (answered.status, answered.json["error"]["message"]) == (status, said)


def test_a_cursor_of_another_list_is_refused(scene: Scene) -> None:
    run = v1_run(scene, an_approval())
    v1_run(scene, a_step("only"))
    listed = scene.client.get(f"/v1/workflow-runs?project_id={scene.project.id}&limit=1")
    answered = scene.client.get(f"{run.path}/steps?cursor={listed.headers['x-next-cursor']}")
    assert (answered.status, answered.json["error"]["code"]) == (400, "validation_error")


def test_the_verbs_of_a_step_that_is_not_there_are_404(scene: Scene) -> None:
    run = v1_run(scene, an_approval())
    for verb in ("approve", "reject", "skip", "force-complete", "retry", "replay-subtree"):
        refused = run.ask(verb, "nope")
        assert (refused.status, refused.json["error"]["message"]) == (404, "workflow step run not found")
        refused = run.ask(verb, "gate", unknown=1)
        assert (refused.status, refused.json["error"]["message"]) == (400, "unknown is not a known field")
    assert run.get("/history") == []


def test_a_step_verb_repeated_with_its_key_is_done_once(scene: Scene) -> None:
    run = v1_run(scene, a_step("s"), an_approval())
    path = f"{run.path}/steps/s/retry"
    first, again = (scene.client.post(path, {}, Idempotency_Key="k") for _ in range(2))
    scene.settle()
    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert run.get("/steps/s")["attempt"] == 2
