"""Runs of the workflow-runs API that wait for somebody, and who that may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.value import Json
from chalicelib.services import keys
from tests.api.http import Client, Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import saved


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that has come as far as it can by itself."""

    id: str
    workflow_id: str

    @property
    def path(self) -> str:
        """Where the trigger API has it."""
        return f"/api/workflows/{self.workflow_id}/runs/{self.id}"


def begun(scene: Scene, *steps: Json, payload: Json = None) -> Begun:
    """Save a workflow, start a run, and let it come as far as it can."""
    workflow = saved(scene, *steps)
    started = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", {"payload": payload})
    assert started.status == 201, started.text
    scene.settle()
    return Begun(id=started.json["id"], workflow_id=workflow["id"])


def terminated(scene: Scene, run: Begun) -> None:
    """Cancel a run, and let everything come of it that does."""
    assert scene.do(run.path, "terminate") == [200]
    scene.settle()


def with_scopes(scene: Scene, *words: str, name: str = "other") -> Client:
    """Return a client with another key of the project."""
    made = keys.create(scene.project.id, name=name, scopes=list(words), now=datetime.now(UTC))
    return Client(url=scene.stack.url, key=made.text)


def shown(scene: Scene, look: Callable[[], Any]) -> Any:
    """Return what a look shows once it shows anything."""
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline
        scene.stack.functions.wait_for_change(0.05)
    return found


def message_of(refused: Response) -> tuple[int, str]:
    """Return a refusal's status and what it says."""
    return refused.status, refused.json["error"]["message"]
