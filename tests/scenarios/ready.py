"""For every endpoint of the workflow-runs API, a project in a state in which it can be asked, and the request."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.value import Json
from tests.api.http import Client, Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, revised, saved
from tests.scenarios.v1_runs import v1_run

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A request that will be taken."""

    scene: Scene
    #: By the path parameter's name.
    ids: Mapping[str, str] = field(default_factory=dict)
    #: Sent only where the endpoint takes one.
    body: Json = field(default_factory=dict)
    #: As it is sent, behind the path.
    query: str = ""

    @property
    def run_id(self) -> str:
        """The run that it is about, the first of many; empty if it is about none."""
        many = self.body.get("workflow_run_ids") if isinstance(self.body, Mapping) else None
        return str(many[0]) if isinstance(many, list) else self.ids.get("run_id", "")

    def ask(self, endpoint: Endpoint, *, client: Client | None = None, **headers: str) -> Response:
        """Send the request; an underscore in a header's name stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(self.body).encode() if endpoint.body is not None else None
        path = endpoint.path.format(**self.ids) + self.query
        return (client or self.scene.client).send(endpoint.method, path, body, named)


def _number() -> str:
    return str(next(_numbers))


def _nothing(scene: Scene) -> Ready:
    return Ready(scene=scene)


def _project(scene: Scene) -> Ready:
    return Ready(scene=scene, query=f"?project_id={scene.project.id}")


def _a_new_one(scene: Scene) -> Ready:
    own: dict[str, Json] = {"project_id": scene.project.id, "name": "Orders", "slug": f"new-{_number()}"}
    return Ready(scene=scene, body={**own, "steps": [a_step("only")]})


def _a_workflow(scene: Scene) -> Ready:
    """A workflow of two versions, of which nothing runs."""
    workflow = saved(scene)
    later = revised(scene, workflow, steps=[a_step("only"), a_step("more", "only")])
    ids = {
        "workflow_id": workflow["id"],
        "version_id": workflow["version_id"],
        "other_version_id": later["version_id"],
    }
    return Ready(scene=scene, ids=ids)


def _a_copy(scene: Scene) -> Ready:
    body: Json = {"project_id": scene.project.id, "slug": f"copy-{_number()}"}
    return Ready(scene=scene, ids=_a_workflow(scene).ids, body=body)


def _waiting(scene: Scene, step: str = "ok") -> Ready:
    """A run that waits for an approval, an event and a job."""
    key = f"{scene.project.id}-{_number()}"
    run = v1_run(
        scene,
        a_step("ok", step_type="approval", approval_approvers=["*"]),
        a_step("wait", step_type="wait_for_event", event_key=key),
        a_step("work", step_type="job", job_id=key),
    )
    [job] = scene.client.get(f"/v1/job-runs?job_id={key}").json
    ids = {"run_id": run.id, "step_ref": step, "event_key": key, "job_run_id": job["id"]}
    return Ready(scene=scene, ids=ids)


def _waiting_for_an_event(scene: Scene) -> Ready:
    return _waiting(scene, "wait")


def _paused(scene: Scene) -> Ready:
    waits = _waiting(scene)
    assert scene.client.post(f"/v1/workflow-runs/{waits.ids['run_id']}/pause", {}).status == 200
    return waits


def _ended(scene: Scene) -> Ready:
    """A run whose two steps have completed."""
    run = v1_run(scene, a_step("only"), a_step("more", "only"), payload={"order": 7}, tags={"team": "a"})
    return Ready(scene=scene, ids={"run_id": run.id, "step_ref": "only", "workflow_id": run.workflow_id})


def _several(state: Callable[[Scene], Ready]) -> Callable[[Scene], Ready]:
    def several(scene: Scene) -> Ready:
        return Ready(scene=scene, body={"workflow_run_ids": [state(scene).ids["run_id"] for _ in range(2)]})

    return several


def _claimed(scene: Scene) -> Ready:
    waits = _waiting(scene)
    assert scene.client.post(f"/v1/job-runs/{waits.ids['job_run_id']}/claim", {}).status == 200
    return waits


def _failing(scene: Scene) -> Ready:
    return Ready(scene=scene, ids=_waiting(scene).ids, body={"error": "no paper"})


#: By the name of the view.
READY: Mapping[str, Callable[[Scene], Ready]] = {
    "who_am_i": _nothing,
    "publish_workflow": _a_new_one,
    "list_project_workflows": _project,
    "list_project_runs": _project,
    "clone_workflow": _a_copy,
    **dict.fromkeys(
        (
            "show_workflow",
            "revise_workflow",
            "remove_workflow",
            "list_workflow_versions",
            "show_version",
            "list_version_steps",
            "compare_versions",
            "show_workflow_graph",
            "try_steps",
            "plan_workflow",
            "trigger_workflow",
        ),
        _a_workflow,
    ),
    **dict.fromkeys(
        (
            "show_run",
            "show_run_labels",
            "show_run_graph",
            "show_run_timeline",
            "show_run_history",
            "explain_run",
            "ask_why",
            "show_run_cost",
            "list_workflow_runs",
            "list_step_runs",
            "show_step_run",
            "retry_run",
            "retry_step",
            "replay_steps",
        ),
        _ended,
    ),
    **dict.fromkeys(
        (
            "cancel_run",
            "pause_workflow_run",
            "approve_step",
            "reject_step",
            "get_event",
            "send_event",
            "cancel_event",
            "get_job_run",
            "claim_job_run",
            "complete_job_run",
        ),
        _waiting,
    ),
    **dict.fromkeys(("skip_step", "force_complete_step"), _waiting_for_an_event),
    **dict.fromkeys(("list_events", "list_job_runs", "list_approvals"), _nothing),
    "resume_workflow_run": _paused,
    "bulk_cancel": _several(_waiting),
    "bulk_replay": _several(_ended),
    "keep_job_run": _claimed,
    "fail_job_run": _failing,
}
