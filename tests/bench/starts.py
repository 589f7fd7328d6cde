"""Starts of runs through each API: how often each asks AWS for something, the run's own driving apart."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.services.clock import SystemClock
from chalicelib.store import files
from infra.local import LocalStack
from tests.bench import workflows
from tests.bench.client import Client, deploy, publish
from tests.bench.meter import Counts, metered
from tests.bench.verbs import undriven

_PATIENCE: Final = 60.0

#: Where a start is sent to, and its body.
_Start: TypeAlias = tuple[str, Any]


def _of_the_trigger_api(client: Client) -> _Start:
    path = deploy(client, workflows.chain(1))
    return f"{path}/trigger", {"connectionId": "conn_default", "params": {"orderId": "ord_001"}}


def _of_the_workflow_runs_api(client: Client) -> _Start:
    workflow_id = publish(client, workflows.steps_side_by_side(1)).rpartition("/")[2]
    return f"/v1/workflows/{workflow_id}/trigger", {"payload": {"orderId": "ord_001"}}


def _of_the_workflows_api(client: Client) -> _Start:
    """A start that needs all that a start can need: a persona, and an image that a run was started with before."""
    persona = {"name": "Ada", "type": "designer", "cliId": "claude", "instructions": "Draw."}
    persona_id = client.post("/api/v1/personas/create", persona)["data"]["id"]
    steps = [{"personaId": persona_id}, {"personaId": persona_id}]
    workflow = client.post("/api/v1/workflows/create", {"name": "bench", "personaPipelineSteps": steps})
    image_id, now = str(uuid.uuid4()), SystemClock().now()
    files.put(
        StoredFile(
            id=image_id,
            project_id=client.get("/v1/whoami")["project_id"],
            name="image.png",
            content_type="image/png",
            size=1000,
            status=FileStatus.READY,
            created_by="bench",
            created_at=now,
            used_at=now,
        )
    )
    body = {"workflowId": workflow["data"]["id"], "prompt": "A poster.", "referenceImageIds": [image_id]}
    return "/api/v1/runs/start", body


#: By name: what has something to start, and says how that is asked for.
STARTS: Final[Mapping[str, Callable[[Client], _Start]]] = MappingProxyType(
    {
        "trigger": _of_the_trigger_api,
        "v1 trigger": _of_the_workflow_runs_api,
        "runs/start": _of_the_workflows_api,
    },
)


def measure(stack: LocalStack) -> dict[str, Counts]:
    """Return what each start asks of AWS, without and with an idempotency key. Nobody drives what is started."""
    with ExitStack() as until:
        client = until.enter_context(Client(stack.url, stack.key))
        until.enter_context(undriven(stack))
        counted: dict[str, Counts] = {}
        for name, prepare in STARTS.items():
            path, body = prepare(client)
            _counted(stack, client, path, body)  # the first one: the definition is kept, and the key has been read
            counted[name] = _counted(stack, client, path, body)
            counted[f"{name}, with a key"] = _counted(stack, client, path, body, key=uuid.uuid4().hex)
        return counted


def _counted(stack: LocalStack, client: Client, path: str, body: Any, *, key: str | None = None) -> Counts:
    with metered(stack) as counts:
        run_id = _started(stack, client, path, body, key)
    client.delete(f"/v1/workflow-runs/{run_id}")
    return counts


def _started(stack: LocalStack, client: Client, path: str, body: Any, key: str | None = None) -> str:
    """Start a run and return its id, which each API calls otherwise."""
    answer = client.post(path, body, key=key)
    assert stack.wait_idle(_PATIENCE)
    said = answer.get("data", answer)
    return str(said.get("instanceId") or said.get("runId") or said["id"])
