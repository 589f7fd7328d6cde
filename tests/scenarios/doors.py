"""Every endpoint of every API, with a good request for each, and whether anything was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.awsrequest import AWSPreparedRequest

from chalicelib.api import catalog
from chalicelib.api.dialects import WORKFLOWS_API
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.access import Scope
from chalicelib.domain.value import Json
from chalicelib.store import table
from tests.api.http import Client, Response
from tests.domain.graphs import a_node
from tests.scenarios.scene import CONNECTION, Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, revised, saved

ENDPOINTS = tuple(catalog.endpoints())
CLOSED = tuple(endpoint for endpoint in ENDPOINTS if not endpoint.public)
#: Those that ask for a scope, where others ask for any key or none.
SCOPED = tuple(endpoint for endpoint in CLOSED if isinstance(endpoint.scope, Scope))
#: Those that take a body, whatever it is about; agents' are not read before their token (see test_agent_callbacks).
WITH_BODY = tuple(endpoint for endpoint in ENDPOINTS if endpoint.body is not None and not endpoint.guarded)
WITH_QUERY = tuple(endpoint for endpoint in ENDPOINTS if endpoint.query is not None)
WITH_IDS = tuple(endpoint for endpoint in CLOSED if endpoint.parameters)

#: DynamoDB's operations that change nothing.
_READS = frozenset({"GetItem", "BatchGetItem", "Query"})
#: Stands for the id of the project that asks; any other name in braces, alone, for that id of what the house has.
_PROJECT = "{project_id}"

#: A body that the endpoint would take, by the name of its view.
BODIES: Mapping[str, dict[str, Json]] = {
    "create_workflow": {"name": "n"},
    "change_workflow": {"name": "n"},
    "save_version": {"ir": a_chain(a_node("only"))},
    "deploy": {"connectionId": CONNECTION},
    "take_down": {"connectionId": CONNECTION},
    "create_connection": {"name": "n", "region": "eu-west-1"},
    "trigger_run": {"connectionId": CONNECTION, "params": {"a": 1}},
    "call_function": {},
    "publish_workflow": {"project_id": _PROJECT, "name": "n", "slug": "s", "steps": [a_step("only")]},
    "revise_workflow": {"name": "n"},
    "clone_workflow": {"project_id": _PROJECT},
    "try_steps": {"steps": [a_step("only")]},
    "plan_workflow": {},
    "trigger_workflow": {"payload": {"a": 1}},
    "pause_workflow_run": {"reason": "r"},
    "resume_workflow_run": {"reason": "r"},
    "retry_run": {"reason": "r"},
    "approve_step": {"comment": "c"},
    "reject_step": {"reason": "r"},
    "skip_step": {"reason": "r"},
    "force_complete_step": {"result": {"a": 1}},
    "retry_step": {"reason": "r"},
    "replay_steps": {"reason": "r"},
    "bulk_cancel": {"workflow_run_ids": ["nowhere"]},
    "bulk_replay": {"workflow_run_ids": ["nowhere"]},
    "claim_job_run": {"lease_secs": 60},
    "keep_job_run": {"lease_secs": 60},
    "complete_job_run": {"output": 1},
    "fail_job_run": {"error": "e"},
    "send_event": {"payload": 1},
    "start_run": {"workflowId": "{workflow_id}", "prompt": "draw"},
    "create_persona": {"name": "n", "type": "designer", "cliId": "claude"},
    "update_persona": {"personaId": "{persona_id}", "name": "n"},
    "delete_persona": {"personaId": "{persona_id}"},
    "duplicate_persona": {"personaId": "{persona_id}"},
    "toggle_persona": {"personaId": "{persona_id}"},
    "create_library_workflow": {"name": "n", "pipelineSteps": [{"type": "designer", "cliId": "claude"}]},
    "update_library_workflow": {"workflowId": "{pipeline_id}", "name": "n"},
    "rename_workflow": {"workflowId": "{pipeline_id}", "name": "n"},
    "duplicate_workflow": {"workflowId": "{pipeline_id}"},
    "revert_workflow": {"workflowId": "{pipeline_id}", "versionId": "{pipeline_version_id}"},
    "trash_workflow": {"workflowId": "{pipeline_id}"},
    "restore_workflow": {"workflowId": "{pipeline_id}"},
    "purge_workflow": {"workflowId": "{pipeline_id}"},
    "trash_workflows": {"workflowIds": ["{pipeline_id}"]},
    "request_upload": {"fileName": "a.png", "contentType": "image/png", "size": 1},
}
#: What a query must hold at least.
QUERIES: Mapping[str, str] = {
    "list_project_workflows": f"project_id={_PROJECT}",
    "list_project_runs": f"project_id={_PROJECT}",
    "get_persona": "id={persona_id}",
    "get_library_workflow": "id={pipeline_id}",
    "list_library_versions": "id={pipeline_id}",
    "show_related": "id={workflow_id}",
    "list_runs_of_workflow": "id={workflow_id}",
    "look_at_run": "id={run_id}",
    "get_file": "storageId={file_id}",
    "show_analytics": "id={workflow_id}",
}


def named(endpoint: Endpoint) -> str:
    """What a test about an endpoint is called."""
    return f"{endpoint.method} {endpoint.path}"


def api_of(endpoint: Endpoint) -> str:
    """Which API an endpoint is of: ``api``, ``v1``, ``library``, ``functions``."""
    return "library" if endpoint.dialect is WORKFLOWS_API else endpoint.path.split("/")[1]


@dataclass(frozen=True, kw_only=True)
class House:
    """A project with one of everything, and how to knock at its doors."""

    scene: Scene
    #: An id that there is, by the path parameter's name, for the trigger API and for function URLs.
    ids: Mapping[str, str]
    #: The same for the workflow-runs API.
    v1_ids: Mapping[str, str]
    #: What bodies and queries name: ids that there are, by the name that stands for them.
    named: Mapping[str, str]

    @classmethod
    def of(cls, scene: Scene) -> House:
        """Have one of everything."""
        workflow = scene.deploy(a_chain(a_wait()))
        run = scene.start(workflow)
        scene.settle()
        [version] = scene.client.get(f"{workflow.path}/versions").json["data"]
        function = scene.deploy(a_chain(a_node("only")), kind="script")
        ids = {
            "workflow_id": workflow.id,
            "version_id": version["id"],
            "run_id": run.rpartition("/")[2],
            "token": function.url.rpartition("/")[2],
        }
        persona = scene.client.post("/api/v1/personas/create", BODIES["create_persona"])
        upload = scene.client.post("/api/v1/files/upload-url", BODIES["request_upload"])
        pipeline = scene.client.post("/api/v1/workflows/create", BODIES["create_library_workflow"]).json["data"]
        history = scene.client.get(f"/api/v1/workflows/versions?id={pipeline['id']}").json["data"]
        named = {
            "project_id": scene.project.id,
            "pipeline_id": pipeline["id"],
            "pipeline_version_id": history["versions"][0]["versionId"],
            "persona_id": persona.json["data"]["id"],
            "workflow_id": workflow.id,
            "run_id": ids["run_id"],
            "file_id": upload.json["data"]["storageId"],
        }
        return cls(scene=scene, ids=ids, v1_ids=ids_of_everything(scene), named=named)

    def good_body(self, endpoint: Endpoint) -> dict[str, Json]:
        """Return a body that the endpoint would take."""
        return {name: self._named(value) for name, value in BODIES[endpoint.view.__name__].items()}

    def body(self, endpoint: Endpoint) -> bytes | None:
        """Return a body that the endpoint would take, as it is sent; None where it takes none."""
        return json.dumps(self.good_body(endpoint)).encode() if endpoint.body is not None else None

    def query(self, endpoint: Endpoint) -> str:
        """Return a query that the endpoint would take."""
        return QUERIES.get(endpoint.view.__name__, "").format(**self.named)

    def _named(self, value: Json) -> Json:
        """Return what a value of a body stands for."""
        if isinstance(value, list):
            return [self._named(one) for one in value]
        if not isinstance(value, str) or not (value.startswith("{") and value.endswith("}")):
            return value
        return self.named.get(value[1:-1], value)

    def ids_for(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Return an id that there is for each of the endpoint's path parameters."""
        return self.v1_ids if api_of(endpoint) == "v1" else self.ids

    def knock(
        self,
        endpoint: Endpoint,
        *,
        body: bytes | None = None,
        key: str | None = None,
        query: str | None = None,
        headers: Mapping[str, str] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> Response:
        """Send the endpoint a request; an id, and a query, is the house's own unless one is given."""
        path = endpoint.path.format(**{**self.ids_for(endpoint), **(ids or {})})
        sent = {"Content-Type": "application/json"} if headers is None else headers
        asked = self.query(endpoint) if query is None else query
        whole = f"{path}?{asked}" if asked else path
        return Client(url=self.scene.stack.url, key=key).send(endpoint.method, whole, body, sent)


def ids_of_everything(scene: Scene) -> Mapping[str, str]:
    """Have a workflow of two versions, and a run of it that waits for an approval, an event and a job."""
    event = f"event-of-{scene.project.id}"
    workflow = saved(
        scene,
        a_step("ok", step_type="approval", approval_approvers=["*"]),
        a_step("wait", step_type="wait_for_event", event_key=event),
        a_step("work", step_type="job"),
    )
    later = revised(scene, workflow, description="changed")
    started = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", {})
    assert started.status == 201, started.text
    scene.settle()
    [job] = scene.client.get("/v1/job-runs").json
    return {
        "workflow_id": workflow["id"],
        "version_id": workflow["version_id"],
        "other_version_id": later["version_id"],
        "run_id": started.json["id"],
        "step_ref": "ok",
        "event_key": event,
        "job_run_id": job["id"],
    }


@contextmanager
def writes() -> Iterator[list[str]]:
    """Note what is sent to DynamoDB meanwhile but reads, by whichever thread of the app.

    The whole table, compared before and after, would tell the same, and take moto a second each time.
    """
    sent: list[str] = []

    def note(request: AWSPreparedRequest, **_: object) -> None:
        target = request.headers["X-Amz-Target"]
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        sent.extend([operation] if operation not in _READS else [])

    events = table.connection().connection.client.meta.events
    events.register("before-send.dynamodb", note)
    try:
        yield sent
    finally:
        events.unregister("before-send.dynamodb", note)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Hold what is done meanwhile to have sent DynamoDB nothing but reads."""
    with writes() as sent:
        yield
    assert not sent


def refused_as(endpoint: Endpoint, answered: Response) -> Json:
    """Return what a refusal says, whatever request it answers."""
    told: Json = answered.json["error"] if api_of(endpoint) in {"v1", "library"} else answered.json
    return told


def details_of(endpoint: Endpoint, answered: Response) -> list[dict[str, str]]:
    """Return the faults that a refusal lists."""
    told = refused_as(endpoint, answered)
    assert isinstance(told, dict)
    details = told.get("details", [])
    assert isinstance(details, list)
    return [{name: str(value) for name, value in dict(one).items()} for one in details if isinstance(one, dict)]


def said_properly(endpoint: Endpoint, answered: Response) -> bool:
    """Whether a refusal is worded as the endpoint's dialect words it, and carries its request's id."""
    request_id = answered.headers.get("x-request-id")
    details = all({"path", "message"} <= detail.keys() for detail in details_of(endpoint, answered))
    whole = answered.json
    if api_of(endpoint) == "v1":
        same_id = whole.keys() == {"error", "request_id"} and whole["request_id"] == request_id
        told, words = whole["error"], {"code", "message"}
        return bool(same_id and details and words <= told.keys() <= {*words, "details"} and all(told.values()))
    if api_of(endpoint) == "library":
        same_id = whole.keys() == {"error", "requestId"} and whole["requestId"] == request_id
        told, words = whole["error"], {"code", "message"}
        more = {*words, "field", "details"}
        return bool(same_id and details and words <= told.keys() <= more and all(told.values()))
    word = "message" if api_of(endpoint) == "functions" else "error"
    return bool(isinstance(whole.get(word), str) and whole.keys() <= {word, "details"} and details and request_id)
