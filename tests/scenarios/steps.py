"""Workflows of the workflow-runs API over HTTP: step lists in as few words as a test needs, and what saves them."""

from __future__ import annotations

import itertools
import json
from typing import Any

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.scenarios.scene import Scene

_numbers = itertools.count(1)


def a_step(ref: str, *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that comes after others: a transform of its own name, unless told otherwise."""
    own: dict[str, Json] = {} if "step_type" in fields else {"step_type": "transform", "payload": f"{ref}!"}
    return {"step_ref": ref, **own, **({"depends_on": list(after)} if after else {}), **fields}


def save(scene: Scene, *steps: Json, **fields: Json) -> Response:
    """Ask for a workflow; it has a name and a slug of its own unless they are given."""
    body = {"project_id": scene.project.id, "name": "Orders", "slug": f"orders-{next(_numbers)}", "steps": list(steps)}
    return scene.client.post("/v1/workflows", {**body, **fields})


def saved(scene: Scene, *steps: Json, **fields: Json) -> Any:
    """Save a workflow and return it as it was answered."""
    answered = save(scene, *(steps or (a_step("only"),)), **fields)
    assert answered.status == 201, answered.text
    return answered.json


def revise(scene: Scene, workflow: Any, **fields: Json) -> Response:
    """Ask for a workflow's change."""
    path = f"/v1/workflows/{workflow['id']}"
    return scene.client.send("PATCH", path, json.dumps(fields).encode(), {"Content-Type": "application/json"})


def revised(scene: Scene, workflow: Any, **fields: Json) -> Any:
    """Change a workflow and return it as it was answered."""
    answered = revise(scene, workflow, **fields)
    assert answered.status == 200, answered.text
    return answered.json
