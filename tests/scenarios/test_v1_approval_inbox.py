"""The approvers' inbox over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.access import Scope
from chalicelib.domain.value import Json
from tests.api.http import Client
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.waiters import Begun, begun, message_of, terminated, with_scopes

pytestmark = pytest.mark.store


def an_approval(ref: str = "ok", *approvers: Json, **fields: Json) -> dict[str, Json]:
    return a_step(ref, step_type="approval", approval_approvers=list(approvers or ("*",)), **fields)


def inbox(scene: Scene, query: str = "", *, client: Client | None = None) -> Any:
    answered = (client or scene.client).get(f"/v1/approvals{query}")
    assert answered.status == 200, answered.text
    return answered.json


def decide(scene: Scene, run: Begun, *, approved: bool) -> None:
    scene.told(run.path, "approval-ok", {"approved": approved})


def test_an_approval_is_in_the_inbox_until_it_is_decided(scene: Scene) -> None:
    run = begun(scene, an_approval("ok", "development", "ada", approval_timeout_secs=3600))
    [pending] = inbox(scene)
    assert pending == {
        "id": pending["id"],
        "workflow_id": run.workflow_id,
        "workflow_run_id": run.id,
        "step_ref": "ok",
        "status": "pending",
        "approvers": ["development", "ada"],
        "requested_at": pending["requested_at"],
        "expires_at": pending["expires_at"],
        "can_approve": True,
    }
    decide(scene, run, approved=True)
    assert inbox(scene) == []
    [approved] = inbox(scene, "?status=approved")
    assert approved == {
        **pending,
        "status": "approved",
        "decided_by": "development",
        "decided_at": approved["decided_at"],
        "can_approve": False,
    }


def test_the_question_of_a_graphs_approval_is_shown(scene: Scene) -> None:
    graph: Json = {
        "metadata": {"name": "w"},
        "nodes": [{"id": "ok", "type": "approval", "name": "ok", "data": {"message": "Ship {{ payload.n }}?"}}],
        "edges": [],
        "entryNodeId": "ok",
    }
    scene.started(graph, {"n": 3})
    [pending] = inbox(scene)
    assert (pending["message"], pending["approvers"], pending["can_approve"]) == ("Ship 3?", [], True)


@pytest.mark.parametrize(
    ("timeout", "ends", "status"),
    [
        (60, "rejected", "rejected"),
        (60, "skipped", "rejected"),
        (1, "ended", "timed_out"),
        (60, "terminated", "canceled"),
    ],
)
def test_an_approval_leaves_the_inbox_however_it_ends(scene: Scene, timeout: int, ends: str, status: str) -> None:
    run = begun(scene, an_approval(approval_timeout_secs=timeout))
    match ends:
        case "rejected":
            decide(scene, run, approved=False)
        case "skipped":
            assert scene.client.post(f"/v1/workflow-runs/{run.id}/steps/ok/skip", {}).status == 200
        case "ended":
            scene.ended(run.path)
        case "terminated":
            terminated(scene, run)
    assert inbox(scene) == []
    assert [one["workflow_run_id"] for one in inbox(scene, f"?status={status}")] == [run.id]


def test_can_approve_says_what_the_key_that_asks_may_do(scene: Scene) -> None:
    begun(scene, an_approval("ok", "ada"))
    begun(scene, an_approval("ok", "*", forbid_self_approval=True))
    may = {
        "its own": scene.client,
        "ada": with_scopes(scene, "workflows:read", "workflows:write", name="ada"),
        "a reader called ada": with_scopes(scene, "workflows:read", name="ada"),
        "bob": with_scopes(scene, Scope.RUNS_READ, Scope.RUNS_APPROVE, name="bob"),
    }
    seen = {name: [one["can_approve"] for one in inbox(scene, client=client)] for name, client in may.items()}
    # Newest first: the one that its own starter must not approve, then ada's.
    assert seen == {
        "its own": [False, False],
        "ada": [True, True],
        "a reader called ada": [False, False],
        "bob": [True, False],
    }


def test_the_inbox_is_paged_newest_first(scene: Scene) -> None:
    begun(scene, *(an_approval(f"a{index}") for index in range(5)))
    whole = inbox(scene)
    assert whole == sorted(whole, key=lambda one: (one["requested_at"], one["id"]), reverse=True)
    first = scene.client.get("/v1/approvals?limit=3")
    rest = scene.client.get(f"/v1/approvals?limit=3&cursor={first.headers['x-next-cursor']}")
    assert [*first.json, *rest.json] == whole


def test_a_canceled_approval_never_shows_as_pending(scene: Scene) -> None:
    run, stays = begun(scene, an_approval()), begun(scene, an_approval())
    assert scene.do(run.path, "terminate") == [200]
    assert [one["workflow_run_id"] for one in inbox(scene)] == [stays.id]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("?status=open", 400, "status is invalid"),
        ("?project_id=else", 404, "project not found"),
        ("?cursor=x", 400, "cursor is not one that this list returned"),
        ("?limit=x", 400, "limit must be a positive integer"),
    ],
)
def test_an_inbox_that_cannot_be_is_refused(scene: Scene, query: str, status: int, message: str) -> None:
    assert message_of(scene.client.get(f"/v1/approvals{query}")) == (status, message)


def test_another_projects_inbox_is_its_own(scene: Scene) -> None:
    begun(scene, an_approval())
    other = Scene.of(scene.stack, type(scene.project)(id="proj_inbox", key=scene.stack.add_project("proj_inbox")))
    assert inbox(other) == []
