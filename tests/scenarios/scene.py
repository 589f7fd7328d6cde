"""A project on the running stack, as its user sees it: workflows deployed, runs started and polled, all over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chalicelib.domain.value import Json
from infra.local import LocalStack
from tests.api.http import Client, Response
from tests.conftest import Project
from tests.domain.graphs import a_graph, a_node

CONNECTION = "conn_default"
ENDED = ("complete", "errored", "terminated")


def quickly(**retries: Json) -> dict[str, Json]:
    """Return a node's ``config``: as many retries as said, a hundredth of a second apart."""
    return {"retries": {"limit": 2, "delay": "10 ms", "backoff": "constant", **retries}}


def a_chain(*nodes: dict[str, Json]) -> dict[str, Json]:
    """Return a graph of nodes one after the other."""
    refs = [str(node["id"]) for node in nodes]
    return a_graph(nodes, [f"{one} {two}" for one, two in pairwise(refs)])


def a_wait(ref: str = "wait", event: str = "go", **data: Json) -> dict[str, Json]:
    """Return a node that waits for an event."""
    return a_node(ref, "wait_for_event", eventType=event, **data)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A workflow or a function that is deployed."""

    id: str
    #: `/api/workflows/<id>`.
    path: str
    #: What starts it, as the deployment answered.
    url: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A project and its client."""

    stack: LocalStack
    project: Project
    client: Client

    @classmethod
    def of(cls, stack: LocalStack, project: Project) -> Scene:
        """Return the scene of a project."""
        return cls(stack=stack, project=project, client=Client(url=stack.url, key=project.key))

    def draft(self, *, kind: str = "workflow", trigger_code: str | None = None) -> str:
        """Create a workflow without a version and return its path."""
        code = {} if trigger_code is None else {"triggerCode": trigger_code}
        created = self.client.post("/api/workflows", {"name": "w", "kind": kind, **code})
        assert created.status == 201, created.text
        return f"/api/workflows/{created.json['id']}"

    def deploy(
        self,
        graph: Json,
        *,
        kind: str = "workflow",
        trigger_code: str | None = None,
        connection: str = CONNECTION,
        path: str | None = None,
    ) -> Deployed:
        """Have the graph deployed, as a new workflow unless one's path is given."""
        path = path or self.draft(kind=kind, trigger_code=trigger_code)
        saved = self.client.post(f"{path}/versions", {"ir": graph})
        assert saved.status in {200, 201}, saved.text
        answered = self.client.post(f"{path}/deploy", {"connectionId": connection})
        assert answered.status == 200, answered.text
        return Deployed(id=path.rpartition("/")[2], path=path, url=answered.json["url"])

    def trigger(self, workflow: Deployed, params: Json = None, **headers: str) -> Response:
        """Ask for a run."""
        body = {"connectionId": CONNECTION, "params": params}
        return self.client.post(f"{workflow.path}/trigger", body, **headers)

    def start(self, workflow: Deployed, params: Json = None, *, connection: str = CONNECTION) -> str:
        """Start a run and return its path."""
        started = self.client.post(f"{workflow.path}/trigger", {"connectionId": connection, "params": params})
        assert (started.status, started.json["status"]) == (201, "queued"), started.text
        return f"{workflow.path}/runs/{started.json['id']}"

    def started(self, graph: Json, params: Json = None) -> str:
        """Deploy a graph, start a run of it, let it come as far as it can, and return its path."""
        run = self.start(self.deploy(graph), params)
        self.settle()
        return run

    def result(self, graph: Json, params: Json = None) -> Any:
        """Deploy a graph, run it to its end, and return the run's row."""
        return self.ended(self.start(self.deploy(graph), params))

    def row(self, run: str) -> Any:
        """Return a run's row."""
        polled = self.client.get(run)
        assert polled.status == 200, polled.text
        return polled.json

    def settle(self) -> None:
        """Let everything that can go on by itself go on until it waits or has ended."""
        assert self.stack.wait_idle(30)

    def ended(self, run: str) -> Any:
        """Return a run's row once it has ended."""
        return self.until(run, *ENDED)

    def until(self, run: str, *statuses: str) -> Any:
        """Return a run's row once it shows as one of the statuses."""
        deadline = time.monotonic() + 20
        while (row := self.row(run))["status"] not in statuses:
            assert time.monotonic() < deadline, row
            self.stack.functions.wait_for_change(0.05)
        self.settle()
        return row

    def send(self, run: str, event: str, payload: Json = None) -> Response:
        """Send a run an event."""
        path, _, run_id = run.partition("/runs/")
        params = {"instanceId": run_id, "eventType": event, "payload": payload}
        return self.client.post(f"{path}/trigger", {"connectionId": CONNECTION, "params": params})

    def told(self, run: str, event: str, payload: Json = None) -> None:
        """Send a run an event, which it must take, and let it go on."""
        sent = self.send(run, event, payload)
        assert (sent.status, sent.json) == (200, {"instanceId": run.rpartition("/")[2]}), sent.text
        self.settle()

    def do(self, run: str, *verbs: str) -> list[int]:
        """Ask for verbs one after the other; return the statuses of the answers."""
        return [self.client.send("POST", f"{run}/{verb}").status for verb in verbs]

    def executions(self, run: str) -> Sequence[Any]:
        """Return the Step Functions executions that were started for a run, the oldest first."""
        machine = self.stack.resources.park
        listed = self.stack.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
        described = [self.stack.stepfunctions.describe_execution(executionArn=one["executionArn"]) for one in listed]
        run_id = run.rpartition("/")[2]
        mine = [one for one in described if run_id in one.get("input", "")]
        return sorted(mine, key=lambda one: one["startDate"])
