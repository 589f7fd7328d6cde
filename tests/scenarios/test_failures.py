"""What a person or an upgrade does to Step Functions under a run that waits, and what its user sees of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.upload import FileStatus
from chalicelib.gateways import clients
from chalicelib.store import files, runs
from chalicelib.store.table import connection
from tests.domain.graphs import a_node
from tests.pictures import a_png
from tests.scenarios.scene import Scene, a_chain, a_wait
from tests.scenarios.test_waiting import overdue
from tests.scenarios.uploading import announce, post, shown


def aborted(scene: Scene, run: str) -> str:
    """Stop the run's execution by hand; return its status."""
    client = scene.stack.stepfunctions
    [execution] = scene.executions(run)
    client.stop_execution(executionArn=execution["executionArn"])
    held = runs.load(run.rpartition("/")[2])
    assert held is not None
    assert held.park_token is not None
    # moto sees that it was stopped only when its token is answered; it goes no further, and the token is used up.
    client.send_task_success(taskToken=held.park_token, output="{}")
    scene.settle()
    [execution] = scene.executions(run)
    return str(execution["status"])


def test_a_run_whose_execution_was_stopped_by_hand_takes_its_event(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait(), a_node("after", value="{{ wait }}")))
    assert aborted(scene, run) == "ABORTED"
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "go", 7)
    assert scene.ended(run)["output"] == 7


def test_a_run_whose_execution_was_stopped_by_hand_is_held_anew_by_the_sweep(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait()))
    assert aborted(scene, run) == "ABORTED"
    overdue(scene, run)
    scene.stack.invoke("sweep")
    scene.settle()
    assert [one["status"] for one in scene.executions(run)] == ["ABORTED", "RUNNING"]


def test_a_run_that_an_older_state_machine_holds_is_woken_after_an_upgrade(scene: Scene) -> None:
    old = scene.started(a_chain(a_wait()))
    client, machine = scene.stack.stepfunctions, scene.stack.resources.park
    before = client.describe_state_machine(stateMachineArn=machine)["definition"]
    newer = json.loads(before)
    newer["States"] = {**newer["States"], "Settle": {"Type": "Pass", "End": True}}
    newer["States"]["Drive"] = {**newer["States"]["Drive"], "Next": "Settle"}
    del newer["States"]["Drive"]["End"]
    client.update_state_machine(stateMachineArn=machine, definition=json.dumps(newer))
    try:
        new = scene.started(a_chain(a_wait()))
        for run in (old, new):
            scene.told(run, "go", 7)
            assert scene.ended(run)["output"] == 7
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=before)
    [execution] = scene.executions(old)
    assert execution["status"] == "SUCCEEDED"


@contextmanager
def declined(client: Any, operation: str) -> Iterator[list[str]]:
    """Have AWS throttle every call of an operation meanwhile, beyond all of botocore's own tries."""
    asked: list[str] = []

    def decline(model: Any, **_: object) -> None:
        if model.name == operation:
            asked.append(operation)
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "rate exceeded"}}, operation)

    client.meta.events.register("before-call", decline)
    try:
        yield asked
    finally:
        client.meta.events.unregister("before-call", decline)


def test_a_trigger_is_answered_although_lambda_takes_no_invocation_and_its_run_is_found(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_node("only", value="done")))
    with declined(clients.own_lambda(), "Invoke") as asked:
        run = scene.start(workflow)
        scene.settle()
    assert asked == ["Invoke"]
    assert scene.row(run)["status"] == "queued"
    overdue(scene, run)
    scene.stack.invoke("sweep")
    assert scene.ended(run)["output"] == "done"


#: What is throttled while a run with a large payload is asked for.
THROTTLED: Mapping[str, tuple[Callable[[], Any], str]] = {
    "reads": (lambda: connection().connection.client, "GetItem"),
    "writes": (lambda: connection().connection.client, "PutItem"),
    "bucket": (clients.s3, "PutObject"),
}


@pytest.mark.parametrize("what", THROTTLED)
def test_a_request_that_table_or_bucket_do_not_answer_is_told_to_try_later_and_has_started_nothing(
    scene: Scene, what: str
) -> None:
    workflow = scene.deploy(a_chain(a_node("only", value="done")))
    client, operation = THROTTLED[what]
    params = "x" * 40_000
    with declined(client(), operation) as asked:
        answered = scene.trigger(workflow, params)
    assert asked
    assert answered.status == 503, answered.text
    assert scene.client.get(f"{workflow.path}/runs").json["data"] == []
    assert scene.trigger(workflow, params).status == 201
    scene.settle()


def test_an_upload_stays_pending_while_the_bucket_does_not_answer_and_who_asks_is_told_to_try_later(
    scene: Scene,
) -> None:
    content = a_png()
    upload = announce(scene, content)
    file_id = str(upload["storageId"])
    with declined(clients.s3(), "GetObject") as asked:
        assert post(upload, content).status == 201
        scene.settle()
        answered = scene.client.get(f"/api/v1/files/get?storageId={file_id}")
        held = files.load(file_id)
    assert [one.error for one in scene.stack.lambda_log if file_id in str(one.payload)] == ["InvocationFailed"] * 3
    assert len(asked) == 4
    assert (answered.status, answered.json["error"]["code"]) == (503, "UNAVAILABLE")
    assert held is not None
    assert held.status is FileStatus.PENDING
    assert shown(scene, file_id)["status"] == "ready"
