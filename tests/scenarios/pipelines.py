"""Workflows of the workflow library over HTTP: what asks for them, in as few words as a test needs."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.scenarios.scene import Scene

#: What every workflow's endpoint begins with.
LIBRARY = "/api/v1/workflows"
DESIGNER: dict[str, Json] = {"type": "designer", "cliId": "claude"}
CHECKER: dict[str, Json] = {"type": "checker", "cliId": "codex"}


def ask(scene: Scene, verb: str, /, **body: Json) -> Response:
    """Ask for something to be done to a workflow."""
    return scene.client.post(f"{LIBRARY}/{verb}", body)


def done(scene: Scene, verb: str, /, **body: Json) -> Any:
    """Have something done to a workflow, and return what was answered of it."""
    answered = ask(scene, verb, **body)
    assert answered.status in {200, 201}, answered.text
    return answered.json["data"]


def a_pipeline(scene: Scene, /, **fields: Json) -> Any:
    """Create a workflow of one step, unless more is said, and return it."""
    return done(scene, "create", **{"name": "Posters", "pipelineSteps": [DESIGNER], **fields})


def look(scene: Scene, tab: str, workflow_id: str, more: str = "") -> Response:
    """Ask for a tab of a workflow's page."""
    return scene.client.get(f"{LIBRARY}/{tab}?id={workflow_id}{more}")


def seen(scene: Scene, tab: str, workflow_id: str) -> Any:
    """Return a tab of a workflow's page."""
    answered = look(scene, tab, workflow_id)
    assert answered.status == 200, answered.text
    return answered.json["data"]


def versions(scene: Scene, workflow_id: str) -> list[Any]:
    """Return a workflow's versions, the newest first."""
    return list(seen(scene, "versions", workflow_id)["versions"])
