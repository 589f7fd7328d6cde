"""The running stack, held to its own OpenAPI document: to whatever is sent, it answers as it says there."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chalicelib.api.openapi_document import document
from tests.conftest import Project
from tests.domain.graphs import a_node
from tests.scenarios.conftest import SharedStack
from tests.scenarios.pipelines import a_pipeline, versions
from tests.scenarios.scene import Scene, a_chain
from tests.scenarios.steps import a_step, saved

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: For each endpoint; most are about things that there are.
EXAMPLES = 8

schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def scene(_module_stack: SharedStack) -> Scene:
    stack = _module_stack.stack()
    return Scene.of(stack, Project(id="proj_openapi", key=stack.add_project("proj_openapi")))


def things(scene: Scene) -> dict[str, str]:
    """Return the ids of a run that waits in every way and of what it is made of, by the parameters' names."""
    workflow = saved(
        scene,
        a_step("first"),
        a_step("ask", "first", step_type="approval", approval_approvers=["*"]),
        a_step("hear", "first", step_type="wait_for_event", event_key="order-1"),
        a_step("work", "first", step_type="job", job_id="pack"),
    )
    run = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", {}).json
    scene.settle()
    [job, *_] = scene.client.get("/v1/job-runs").json
    pipeline = a_pipeline(scene)["id"]
    return {
        "id": pipeline,
        "workflowId": pipeline,
        "versionId": versions(scene, pipeline)[0]["versionId"],
        "workflow_id": workflow["id"],
        "version_id": workflow["version_id"],
        "other_version_id": "1",
        "run_id": run["id"],
        "step_ref": "ask",
        "event_key": "order-1",
        "job_run_id": job["id"],
        "project_id": scene.project.id,
        "token": scene.deploy(a_chain(a_node("EXPORT_a")), kind="script").url.rpartition("/")[2],
    }


def under_way(scene: Scene, made: dict[str, str]) -> bool:
    """Whether the workflow is still there and its run has not ended."""
    workflow = scene.client.get(f"/v1/workflows/{made['workflow_id']}")
    run = scene.client.get(f"/v1/workflow-runs/{made['run_id']}")
    return workflow.status == run.status == 200 and "finished_at" not in run.json


@pytest.fixture(scope="module")
def found() -> list[dict[str, str]]:
    """The things that were made, the newest last."""
    return []


@pytest.fixture
def there_is(scene: Scene, found: list[dict[str, str]]) -> dict[str, str]:
    """What there is by now: an endpoint before may have ended the run, or deleted the workflow."""
    if not found or not under_way(scene, found[-1]):
        found.append(things(scene))
    return found[-1]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_an_endpoint_answers_as_described(case: schemathesis.Case[Any], scene: Scene, there_is: dict[str, str]) -> None:
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: there_is[name] for name in place.keys() & there_is.keys() if _mostly(place[name])})
    if _mostly(case.query.get("cursor", "")):
        case.query.pop("cursor", None)  # none that is made up is one of ours
    case.call_and_validate(
        base_url=scene.stack.url, headers={"Authorization": f"Bearer {scene.project.key}"}, checks=CHECKS
    )


def _mostly(value: object) -> bool:
    """Three times in four, whatever the value, and the same for the same."""
    return len(str(value)) % 4 != 3
