"""A run as a client of the workflow-runs API has it: started, looked at, acted upon."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.value import Json
from infra.local.functions import Function
from tests.api.http import Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import saved

#: The settings of a workflow that a test's keywords may name; the others are the trigger's.
_SETTINGS = frozenset({"max_parallel_steps", "timeout_secs", "max_concurrent_runs"})


@dataclass(frozen=True, kw_only=True)
class V1Run:
    """A run."""

    scene: Scene
    id: str
    workflow_id: str

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/v1/workflow-runs/{self.id}"

    def get(self, part: str = "") -> Any:
        """Return the run, or a part of it: `/steps`."""
        answered = self.scene.client.get(f"{self.path}{part}")
        assert answered.status == 200, answered.text
        return answered.json

    def ask(self, verb: str, step: str | None = None, **body: Json) -> Response:
        """Ask for a verb, of the run or of one of its steps."""
        if verb == "cancel":
            return self.scene.client.send("DELETE", self.path)
        where = self.path if step is None else f"{self.path}/steps/{step}"
        return self.scene.client.send("POST", f"{where}/{verb}", json.dumps(body).encode() if body else None)

    def do(self, verb: str, step: str | None = None, **body: Json) -> Any:
        """Do what must be taken, let the run go on, and return what was answered."""
        answered = self.ask(verb, step, **body)
        assert answered.status in {200, 204}, answered.text
        self.scene.settle()
        return answered.json if answered.text else None

    @property
    def status(self) -> str:
        """Where it stands."""
        return str(self.get()["status"])

    def statuses(self) -> dict[str, str]:
        """Where its steps stand."""
        return {step["step_ref"]: step["status"] for step in self.get("/steps")}

    def until(self, *statuses: str) -> V1Run:
        """Wait until it stands where it should."""
        deadline = time.monotonic() + 20
        while self.status not in statuses:
            assert time.monotonic() < deadline, self.get("/why")
            self.scene.stack.functions.wait_for_change(0.05)
        self.scene.settle()
        return self


def v1_started(scene: Scene, *steps: Json, **fields: Json) -> V1Run:
    """Save a workflow and start a run of it; nothing is waited for."""
    settings = {name: value for name, value in fields.items() if name in _SETTINGS}
    workflow = saved(scene, *steps, **settings)
    sent = {name: value for name, value in fields.items() if name not in _SETTINGS}
    answered = scene.client.post(f"/v1/workflows/{workflow['id']}/trigger", sent)
    assert answered.status == 201, answered.text
    return V1Run(scene=scene, id=answered.json["id"], workflow_id=workflow["id"])


def v1_run(scene: Scene, *steps: Json, **fields: Json) -> V1Run:
    """Save a workflow, start a run of it, and let it come as far as it can."""
    run = v1_started(scene, *steps, **fields)
    scene.settle()
    return run


def v1_undriven(scene: Scene, *steps: Json, **fields: Json) -> V1Run:
    """Start a run that nobody drives yet: its first invocation is lost."""
    drive = scene.stack.resources.functions["Drive"]
    real = scene.stack.functions.find(drive)
    scene.stack.functions.register(Function(name=drive, handler=lambda _event, _context: None))
    run = v1_run(scene, *steps, **fields)
    scene.stack.functions.register(real)
    return run
