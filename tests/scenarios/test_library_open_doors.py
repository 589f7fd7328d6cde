"""Every endpoint of the workflows API, asked in a state in which it succeeds: by whom, and how often."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.api.dialects import WORKFLOWS_API
from chalicelib.api.endpoints import Endpoint
from chalicelib.domain.access import Scope
from chalicelib.domain.value import Json
from chalicelib.services import keys
from tests.api.http import Client, Response
from tests.conftest import Project
from tests.pictures import a_png, announced
from tests.scenarios.conftest import SharedStack
from tests.scenarios.doors import SCOPED, named, said_properly, writes
from tests.scenarios.pipelines import DESIGNER, a_pipeline, done, versions
from tests.scenarios.scene import Scene
from tests.scenarios.steps import saved

OURS = tuple(endpoint for endpoint in SCOPED if endpoint.dialect is WORKFLOWS_API)
POSTS = tuple(endpoint for endpoint in OURS if endpoint.method == "POST")

_numbers = itertools.count(1)

#: What is sent to an endpoint: a body to one that takes one, else a query.
Sent = Mapping[str, Json]


def _a_persona(scene: Scene) -> dict[str, Any]:
    named = {"name": f"Ada {next(_numbers)}", "type": "designer", "cliId": "claude"}
    answered = scene.client.post("/api/v1/personas/create", named)
    assert answered.status == 201, answered.text
    persona: dict[str, Any] = answered.json["data"]
    return persona


def _a_start(scene: Scene) -> dict[str, Json]:
    """Return a start of a workflow without agents: one would report in the middle of another test."""
    return {"workflowId": saved(scene)["id"], "prompt": "a poster"}


def _a_run(scene: Scene) -> str:
    answered = scene.client.post("/api/v1/runs/start", _a_start(scene))
    assert answered.status == 201, answered.text
    scene.settle()
    return str(answered.json["data"]["runId"])


def _a_file(scene: Scene) -> str:
    return str(scene.client.post("/api/v1/files/upload-url", announced(a_png())).json["data"]["storageId"])


def _deleted(scene: Scene) -> str:
    workflow_id: str = a_pipeline(scene)["id"]
    done(scene, "delete", workflowId=workflow_id)
    return workflow_id


def _of_a_version(scene: Scene) -> Sent:
    workflow_id = a_pipeline(scene)["id"]
    return {"workflowId": workflow_id, "versionId": versions(scene, workflow_id)[0]["versionId"]}


#: By the name of the view, what it will take, and what has come to be for it.
READY: Mapping[str, Callable[[Scene], Sent]] = {
    "list_personas": lambda _: {},
    "get_persona": lambda scene: {"id": _a_persona(scene)["id"]},
    "create_persona": lambda _: {"name": f"Bob {next(_numbers)}", "type": "checker", "cliId": "codex"},
    "update_persona": lambda scene: {"personaId": _a_persona(scene)["id"], "name": "Eve"},
    "delete_persona": lambda scene: {"personaId": _a_persona(scene)["id"]},
    "duplicate_persona": lambda scene: {"personaId": _a_persona(scene)["id"]},
    "toggle_persona": lambda scene: {"personaId": _a_persona(scene)["id"]},
    "show_analytics": lambda scene: {"id": a_pipeline(scene)["id"]},
    "request_upload": lambda _: {**announced(a_png()), "fileName": f"{next(_numbers)}.png"},
    "get_file": lambda scene: {"storageId": _a_file(scene)},
    "list_library": lambda _: {},
    "get_library_workflow": lambda scene: {"id": a_pipeline(scene)["id"]},
    "create_library_workflow": lambda _: {"name": f"New {next(_numbers)}", "pipelineSteps": [DESIGNER]},
    "update_library_workflow": lambda scene: {"workflowId": a_pipeline(scene)["id"], "description": "d"},
    "rename_workflow": lambda scene: {"workflowId": a_pipeline(scene)["id"], "name": "Other"},
    "duplicate_workflow": lambda scene: {"workflowId": a_pipeline(scene)["id"]},
    "list_library_versions": lambda scene: {"id": a_pipeline(scene)["id"]},
    "revert_workflow": _of_a_version,
    "trash_workflow": lambda scene: {"workflowId": a_pipeline(scene)["id"]},
    "restore_workflow": lambda scene: {"workflowId": _deleted(scene)},
    "purge_workflow": lambda scene: {"workflowId": _deleted(scene)},
    "trash_workflows": lambda scene: {"workflowIds": [a_pipeline(scene)["id"]]},
    "start_run": _a_start,
    "list_runs_of_workflow": lambda scene: {"id": a_pipeline(scene)["id"]},
    "look_at_run": lambda scene: {"id": _a_run(scene)},
    "show_related": lambda scene: {"id": a_pipeline(scene)["id"]},
}


@pytest.fixture(scope="module")
def scene(_module_stack: SharedStack) -> Scene:
    stack = _module_stack.stack()
    return Scene.of(stack, Project(id="proj_library", key=stack.add_project("proj_library")))


def send(client: Client, endpoint: Endpoint, sent: Sent, **headers: str) -> Response:
    """Send what an endpoint takes; an underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if endpoint.body is not None:
        return client.send(endpoint.method, endpoint.path, json.dumps(sent).encode(), named)
    query = "&".join(f"{name}={value}" for name, value in sent.items())
    return client.send(endpoint.method, f"{endpoint.path}?{query}", None, named)


def test_every_endpoint_can_be_made_ready() -> None:
    assert {endpoint.view.__name__ for endpoint in OURS} == READY.keys()


@pytest.mark.parametrize("endpoint", OURS, ids=named)
def test_a_key_with_nothing_but_the_scope_is_let_in(scene: Scene, endpoint: Endpoint) -> None:
    assert isinstance(endpoint.scope, Scope)
    made = keys.create("proj_library", name="k", scopes=[endpoint.scope], now=datetime.now(UTC))
    answered = send(Client(url=scene.stack.url, key=made.text), endpoint, READY[endpoint.view.__name__](scene))
    assert answered.status == endpoint.status, answered.text
    assert "data" in answered.json


@pytest.mark.parametrize("endpoint", POSTS, ids=named)
def test_a_post_that_is_sent_again_under_its_key_does_nothing_more_and_is_answered_the_same(
    scene: Scene, endpoint: Endpoint
) -> None:
    ready, key = READY[endpoint.view.__name__], f"twice-{endpoint.view.__name__}"
    sent = ready(scene)
    first = send(scene.client, endpoint, sent, Idempotency_Key=key)
    assert first.status == endpoint.status, first.text
    assert "idempotency-replayed" not in first.headers
    scene.settle()
    with writes() as written:
        again = send(scene.client, endpoint, sent, Idempotency_Key=key)
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["idempotency-replayed"] == "true"
    # The key's, which is taken; a start looks at its key before it writes anything.
    assert written == (["PutItem"] if endpoint.takes_key else [])
    refused = send(scene.client, endpoint, ready(scene), Idempotency_Key=key)
    assert (refused.status, refused.json["error"]["code"]) == (409, "idempotency_mismatch")
    assert said_properly(endpoint, refused)
