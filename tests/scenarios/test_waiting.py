"""What a waiting run holds: nothing but a parked execution; and what a lost, late or doubled wake-up does: nothing."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.store import keys
from infra.local.functions import Function
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, a_wait, quickly
from tests.scenarios.states import queued

pytestmark = pytest.mark.store

#: Threads that a waiting run must not hold: Lambda's idle ones and the servers' own come and go with requests.
OURS = ("step", "attempt", "resolve", "ThreadPoolExecutor")


def overdue(scene: Scene, run: str) -> None:
    """Have the time at which somebody should look at the run lie in the past."""
    moment = datetime.now(UTC) - timedelta(minutes=1)
    scene.stack.dynamodb.update_item(
        TableName=scene.stack.resources.table,
        Key={"pk": {"S": keys.run(run.rpartition("/")[2]).pk}, "sk": {"S": "#RUN"}},
        UpdateExpression="SET next_check_at = :at",
        ExpressionAttributeValues={":at": {"N": str(int(moment.timestamp() * 1000))}},
    )


def drives(scene: Scene, run: str) -> int:
    """How often the run has been driven."""
    drive = scene.stack.resources.functions["Drive"]
    mine = [one for one in scene.stack.lambda_log if one.function == drive]
    return sum(one.payload["run_id"] == run.rpartition("/")[2] for one in mine)


def moves(scene: Scene, run: str) -> list[str]:
    """The states that the run's executions entered: Step Functions charges for each."""
    client = scene.stack.stepfunctions
    events = [
        event
        for execution in scene.executions(run)
        for event in client.get_execution_history(executionArn=execution["executionArn"])["events"]
    ]
    return [event["type"] for event in events if event["type"].endswith("StateEntered")]


def held() -> int:
    """How many threads there are beside the stack's own: its servers' and idle Lambda threads come with requests."""
    return sum(thread.name.startswith(OURS) for thread in threading.enumerate())


def test_a_run_that_never_waits_starts_no_execution(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=200 if len(web.asked) > 1 else 503)
    nodes = [
        a_node("first"),
        a_node("call", "http_request", url=web.url, config=quickly()),
        a_node("each", "loop", loopType="times", count=3),
        a_node("body", value="{{ i }}"),
    ]
    workflow = scene.deploy(a_graph(nodes, ["first call", "call each", "each body body"]))
    run = scene.start(workflow)
    assert scene.ended(run)["status"] == "complete"
    assert len(web.asked) == 2
    assert scene.executions(run) == []
    assert drives(scene, run) == 1


def test_waiting_runs_hold_no_thread_and_no_invocation(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait()))
    scene.start(workflow)
    scene.settle()
    before = held()
    runs = [scene.start(workflow) for _ in range(5)]
    scene.settle()
    assert not scene.stack.functions.busy
    assert held() == before
    for run in runs:
        [execution] = scene.executions(run)
        assert execution["status"] == "RUNNING"
        assert drives(scene, run) == 1


def test_a_wait_costs_at_most_three_transitions(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait(), a_node("after")))
    scene.told(run, "go")
    assert scene.ended(run)["status"] == "complete"
    assert moves(scene, run) == ["TaskStateEntered"] * 2
    late = scene.started(a_chain(a_wait(timeout=1)))
    assert scene.ended(late)["status"] == "errored"
    assert len(moves(scene, late)) <= 3


def test_several_waits_at_once_are_one_execution(scene: Scene) -> None:
    waits = [a_wait(f"w{number}", f"e{number}") for number in range(4)]
    run = scene.started(a_graph([a_node("first"), *waits], [f"first w{number}" for number in range(4)]))
    assert len(scene.executions(run)) == 1


def test_a_lost_invocation_is_found_by_the_sweep(scene: Scene, web: Web) -> None:
    run = queued(scene, web)
    scene.stack.invoke("sweep")
    scene.settle()
    assert scene.row(run)["status"] == "queued"  # it is not overdue yet
    overdue(scene, run)
    scene.stack.invoke("sweep")
    assert scene.ended(run)["status"] == "complete"


def test_a_lost_wake_up_is_found_by_the_sweep(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait()))
    drive = scene.stack.resources.functions["Drive"]
    real = scene.stack.functions.find(drive)
    scene.stack.functions.register(Function(name=drive, handler=lambda _event, _context: None))
    scene.told(run, "go", "kept")
    scene.stack.functions.register(real)
    assert scene.row(run)["status"] != "complete"
    overdue(scene, run)
    scene.stack.invoke("sweep")
    assert scene.ended(run)["output"] == "kept"


def test_a_driver_that_dies_is_made_good_by_lambdas_own_retry(scene: Scene) -> None:
    drive = scene.stack.resources.functions["Drive"]
    real = scene.stack.functions.find(drive)
    deaths: list[str] = []

    def dies_once(event: object, context: object) -> object:
        request = context.aws_request_id  # type: ignore[attr-defined] # Lambda's context
        if request not in deaths:
            deaths.append(request)
            raise MemoryError
        return real.handler(event, context)  # type: ignore[arg-type] # Lambda's context

    workflow = scene.deploy(a_chain(a_node("only", value="done")))
    scene.stack.functions.register(Function(name=drive, handler=dies_once))
    run = scene.start(workflow)
    scene.settle()
    scene.stack.functions.register(real)
    assert (scene.row(run)["output"], len(deaths)) == ("done", 1)


def test_doubled_and_late_invocations_do_nothing(scene: Scene, web: Web) -> None:
    call = a_node("call", "http_request", url=web.url)
    run = scene.started(a_chain(call, a_wait(), a_node("again", "http_request", url=f"{web.url}/again")))
    event = {"run_id": run.rpartition("/")[2]}
    row = scene.row(run)
    for _ in range(3):
        scene.stack.functions.start(scene.stack.resources.functions["Drive"], json.dumps(event))
    scene.stack.invoke("drive", event)
    scene.settle()
    assert scene.row(run) == row
    assert [one["status"] for one in scene.executions(run)] == ["RUNNING"]
    scene.told(run, "go")
    ended = scene.ended(run)
    for _ in range(2):
        scene.stack.invoke("drive", event)
    scene.stack.invoke("drive", {"run_id": "nowhere"})
    scene.stack.invoke("sweep")
    scene.settle()
    assert scene.row(run) == ended
    assert [one.path for one in web.asked] == ["/", "/again"]


def test_a_sweep_leaves_alone_what_waits_in_order(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait()))
    before = drives(scene, run)
    scene.stack.invoke("sweep")
    scene.settle()
    assert (drives(scene, run), len(scene.executions(run))) == (before, 1)


def test_a_swept_run_that_still_waits_is_parked_anew_and_can_be_woken(scene: Scene) -> None:
    run = scene.started(a_chain(a_wait()))
    overdue(scene, run)
    scene.stack.invoke("sweep")
    scene.settle()
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "go", 1)
    assert scene.ended(run)["output"] == 1
