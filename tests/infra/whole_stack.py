"""A stack gone through from end to end: whatever its functions can be asked for, in as few runs as that takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import boto3
import pytest
from mypy_boto3_ecs import ECSClient

from chalicelib.domain.value import Json
from chalicelib.gateways.agents import Order
from chalicelib.gateways.agents_ecs import EcsAgents
from chalicelib.gateways.clients import AwsAccess
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import trash
from chalicelib.store import runs, workflows
from infra.local import LocalStack
from infra.local.aws import aws
from tests.api.http import Client
from tests.domain.graphs import a_graph, a_node
from tests.pictures import a_png
from tests.scenarios.pipelines import a_pipeline, done
from tests.scenarios.scene import CONNECTION, Scene, a_chain, a_wait
from tests.scenarios.steps import a_step, saved
from tests.scenarios.uploading import announce, post, shown, uploaded
from tests.scenarios.v1_runs import V1Run, v1_started

#: The template's parameters for a stack whose agents are tasks.
PARAMETERS: Final = {"AgentCluster": "agents", "AgentSubnets": "subnet-1"}
#: More of them than one invocation makes side by side.
MANY: Final = 33
#: More than a record holds.
_LARGE: Final[Json] = ["x" * 1000] * 40
_numbers: Final = itertools.count()
_ROLE: Final = "arn:aws:iam::123456789012:role/stepwell-connection-steps"
_TASK_ROLE: Final = "arn:aws:iam::123456789012:role/stepwell-agent-task"


def go_through(scene: Scene) -> None:
    """Have everything done."""
    _furnish(scene.stack)
    for part in PARTS:
        part(scene)
        scene.settle()


def _furnish(stack: LocalStack) -> None:
    """Make what is the user's own: a function, a cluster, a task definition."""
    stack.register("workflow-echo", lambda event, _context: event)
    ecs: ECSClient = boto3.Session().client("ecs")
    ecs.create_cluster(clusterName=PARAMETERS["AgentCluster"])
    ecs.register_task_definition(
        family="stepwell-agent-default",
        networkMode="bridge",
        cpu="1024",
        memory="2048",
        taskRoleArn=_TASK_ROLE,
        executionRoleArn=_TASK_ROLE,
        containerDefinitions=[{"name": "agent", "image": "agent:1", "memory": 2048}],
    )


def _a_connection(scene: Scene) -> str:
    """Make a connection of a role that nobody has assumed: this process is all functions, and would remember."""
    role = f"{_ROLE}-{next(_numbers)}"
    made = scene.client.post("/api/connections", {"name": "theirs", "region": "us-east-1", "roleArn": role})
    assert made.status == 201, made.text
    return str(made.json["id"])


def _an_echo(ref: str) -> dict[str, Json]:
    return a_node(ref, "lambda", functionName="workflow-echo", payload="{{ payload }}")


def _many_echoes() -> dict[str, Json]:
    arms = [_an_echo(f"arm-{number}") for number in range(MANY)]
    return a_graph([a_node("first"), *arms], [f"first arm-{number}" for number in range(MANY)])


def _an_agent(ref: str, **config: Json) -> dict[str, Json]:
    return a_step(ref, step_type="agent", payload={"cliId": "claude", "prompt": "A poster", **config})


def _ask_health(scene: Scene) -> None:
    assert scene.client.get("/healthz").status == 200


def _wait_and_wake(scene: Scene) -> None:
    run = scene.started(a_chain(_an_echo("big"), a_wait(), a_node("end", value="{{ big }}")), _LARGE)
    assert scene.do(run, "pause", "resume") == [200, 200]
    scene.settle()
    scene.told(run, "go", {"ok": True})
    assert scene.ended(run)["output"] == _LARGE


def _have_a_child_wake_its_parent(scene: Scene) -> None:
    child = scene.deploy(a_chain(a_wait()))
    run = scene.started(a_chain(a_node("sub", "sub_workflow", workflowId=child.id)))
    (row,) = scene.client.get(f"{child.path}/runs").json["data"]
    scene.told(f"{child.path}/runs/{row['id']}", "go")
    assert scene.ended(run)["status"] == "complete"


def _call_under_a_role(scene: Scene) -> None:
    for graph in (a_chain(_an_echo("call")), _many_echoes()):
        connection = _a_connection(scene)
        workflow = scene.deploy(graph, connection=connection)
        assert scene.ended(scene.start(workflow, _LARGE, connection=connection))["status"] == "complete"


def _run_wide(scene: Scene) -> None:
    assert scene.result(_many_echoes(), _LARGE)["status"] == "complete"


def _emit_from_many(scene: Scene) -> None:
    waits = v1_started(scene, a_step("wait", step_type="wait_for_event", event_key="made"))
    scene.settle()
    call: dict[str, Json] = {"step_type": "lambda", "payload": {"functionName": "workflow-echo", "payload": 7}}
    many = (a_step(f"make-{number}", event_emit_key="made", **call) for number in range(MANY))
    v1_started(scene, *many, max_parallel_steps=MANY).until("completed")
    waits.until("completed")


def _call_functions(scene: Scene) -> None:
    for used in (CONNECTION, _a_connection(scene)):
        node = {**_an_echo("call"), "name": "EXPORT_call"}
        function = scene.deploy(a_chain(node), kind="script", connection=used)
        path = function.url.removeprefix(scene.stack.url)
        answered = Client(url=scene.stack.url, key=None).post(path, {"n": 1})
        assert (answered.status, answered.json) == (200, {"call": {"n": 1}})


def _sweep(scene: Scene) -> None:
    stored = workflows.load(saved(scene, cron="*/5 * * * *", skip_if_running=True)["id"])
    assert stored is not None
    workflows.set_due(stored, datetime.now(UTC) - timedelta(minutes=3))
    overdue = v1_started(scene, a_step("wait", step_type="wait_for_event", event_key="never"))
    scene.settle()
    run = runs.load(overdue.id)
    assert run is not None
    runs.check_at(run, datetime.now(UTC) - timedelta(minutes=1))
    scene.stack.invoke("sweep")
    scene.settle()
    _canceled(overdue)


def _purge(scene: Scene) -> None:
    """Purge one workflow by request, and leave another to the sweep, as a request does that dies in between."""
    for lost in (False, True):
        workflow = a_pipeline(scene)["id"]
        done(scene, "delete", workflowId=workflow)
        with pytest.MonkeyPatch.context() as patient:
            if lost:
                patient.setattr(trash, "_remove", lambda _workflow: None)
            assert scene.client.post("/api/v1/workflows/permanent-delete", {"workflowId": workflow}).status == 200
    scene.stack.invoke("sweep")


def _upload(scene: Scene) -> None:
    """Upload a good file, a bad one, none, and one of which there is one already."""
    picture = a_png()
    uploaded(scene, picture)
    bad = announce(scene, picture)
    post(bad, bytes(len(picture)))
    scene.settle()
    assert shown(scene, bad["storageId"])["status"] == "rejected"
    nothing, again = announce(scene, picture), announce(scene, picture)
    key = again["fields"]["key"]
    scene.stack.s3.put_object(Bucket=scene.stack.resources.bucket, Key=key.replace("uploads/", "files/"), Body=picture)
    post(again, picture)
    scene.stack.invoke("uploaded", {"Records": [{"s3": {"object": {"key": nothing["fields"]["key"]}}}]})


@contextmanager
def _untold(scene: Scene) -> Iterator[None]:
    """Have the bucket be late with what it tells."""
    aws().tell([])
    yield
    aws().tell(scene.stack.resources.notifications)


@contextmanager
def _after_a_loss() -> Iterator[None]:
    """Have agents started as by attempts whose drivers were lost before: they ask whether the task is there."""
    start = EcsAgents.start

    def again_started(agents: EcsAgents, access: AwsAccess, order: Order, *, again: bool) -> str:
        del again
        return start(agents, access, order, again=True)

    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(EcsAgents, "start", again_started)
        yield


def _look_at_uploads(scene: Scene) -> None:
    """Look at uploads that the bucket has not told of: when they are asked for, and when steps need them."""
    picture = a_png()
    with _untold(scene), _after_a_loss():
        for use in (_asked, _one_agent_with, _many_agents_with):
            made = [announce(scene, picture) for _ in range(2)]
            # Of the second a copy is kept already, as by one who died before it was said.
            key = made[1]["fields"]["key"].replace("uploads/", "files/")
            scene.stack.s3.put_object(Bucket=scene.stack.resources.bucket, Key=key, Body=picture)
            for each in made:
                assert post(each, picture).status == 201
            use(scene, [each["storageId"] for each in made])


def _asked(scene: Scene, images: Sequence[str]) -> None:
    for image in images:
        assert shown(scene, image)["status"] == "ready"
    workflow = a_pipeline(scene)["id"]
    asked = {"workflowId": workflow, "prompt": "A poster", "referenceImageIds": list(images)}
    started = scene.client.post("/api/v1/runs/start", asked)
    assert started.status == 201, started.text
    scene.settle()
    _canceled(V1Run(scene=scene, id=started.json["data"]["runId"], workflow_id=workflow))
    assert shown(scene, announce(scene, a_png())["storageId"])["status"] == "pending"


def _one_agent_with(scene: Scene, images: Sequence[str]) -> None:
    _agents(scene, 1, images=list(images))


def _many_agents_with(scene: Scene, images: Sequence[str]) -> None:
    _agents(scene, MANY, images=list(images))


def _agents(scene: Scene, count: int, **config: Json) -> None:
    """Have so many agents set to work side by side, and canceled."""
    run = v1_started(scene, *(_an_agent(f"draw-{number}", **config) for number in range(count)), max_parallel_steps=50)
    scene.settle()
    assert set(run.statuses().values()) == {"running"}, run.get("/steps")
    _canceled(run)


def _canceled(run: V1Run) -> None:
    assert run.ask("cancel").status in {200, 204}
    run.scene.settle()


def _miss_images(scene: Scene) -> None:
    """Have agents need what has not been uploaded."""
    for count in (1, MANY):
        image = announce(scene, a_png())["storageId"]
        many = (_an_agent(f"draw-{number}", images=[image]) for number in range(count))
        v1_started(scene, *many, max_parallel_steps=50).until("failed")


def _end_agents(scene: Scene) -> None:
    """End agents whose time is over: as their run's is, or because a person goes on where that could not be done."""

    def unreached(*_: object, **__: object) -> None:
        raise CallFailed("connection_failed", "ECS: nobody answers", retryable=True)

    late = v1_started(scene, _an_agent("draw"), timeout_secs=1)
    left = v1_started(
        scene,
        _an_agent("draw", timeoutMs=1000) | {"on_failure": "continue"},
        a_step("wait", step_type="wait_for_event", event_key="never"),
    )
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(EcsAgents, "stop", unreached)
        while left.statuses()["draw"] != "failed":
            scene.stack.functions.wait_for_change(0.1)
        scene.settle()
    left.do("force-complete", "draw")
    _canceled(left)
    late.until("timed_out", "failed")


PARTS: Final[Sequence[Callable[[Scene], None]]] = (
    _ask_health,
    _wait_and_wake,
    _have_a_child_wake_its_parent,
    _call_under_a_role,
    _run_wide,
    _emit_from_many,
    _call_functions,
    _sweep,
    _purge,
    _upload,
    _look_at_uploads,
    _miss_images,
    _end_agents,
)
