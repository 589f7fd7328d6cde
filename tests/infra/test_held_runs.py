"""A stack is destroyed while Step Functions holds runs of it."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from chalicelib.store import runs
from infra import destroy, progress, stacks
from infra.local import LocalStack
from infra.progress import Event
from infra.stacks import Aws
from tests.conftest import Project
from tests.scenarios.scene import Scene, a_chain, a_wait


def settled(scene: Scene, run: str) -> list[str]:
    """Return how the run's executions stand, once moto has seen what was done to them: it looks when a token comes."""
    held = runs.load(run.rpartition("/")[2])
    assert held is not None
    assert held.park_token is not None
    scene.stack.stepfunctions.send_task_success(taskToken=held.park_token, output="{}")
    scene.settle()
    return [each["status"] for each in scene.executions(run)]


def test_executions_are_ended_and_their_runs_wait_on_by_their_records(stack: LocalStack, project: Project) -> None:
    scene = Scene.of(stack, project)
    started = [scene.started(a_chain(a_wait())) for _ in range(2)]
    aws = Aws(boto3.Session())

    for _ in range(2):  # again finds nothing left
        destroy._release(aws, stacks.load(aws, stack.resources.stack_name))

    for run in started:
        assert settled(scene, run) == ["ABORTED"]
        scene.told(run, "go", 7)
        assert scene.ended(run)["output"] == 7


def test_those_that_begin_while_the_stack_goes_are_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = iter(["DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"])

    def events(_aws: Aws, _stack_id: str) -> Iterator[Event]:
        status = next(statuses)
        yield Event(
            id=status, logical_id="s", physical_id="id", type="AWS::CloudFormation::Stack", status=status, reason=""
        )

    monkeypatch.setattr(progress, "_newest_first", events)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0)
    looked: list[bool] = []

    status, _ = progress.follow(Aws(boto3.Session()), "id", after=None, meanwhile=lambda: looked.append(True))

    assert (status, len(looked)) == ("DELETE_COMPLETE", 2)
