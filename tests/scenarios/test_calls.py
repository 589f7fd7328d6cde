"""Steps that call the world outside: HTTP with its retries, Lambda functions, roles, and large values on the way."""

from __future__ import annotations

import json

import pytest
from moto.sts.models import sts_backends
from mypy_boto3_lambda import LambdaClient

from chalicelib.domain.value import Json
from chalicelib.gateways import clients
from chalicelib.gateways.clients import AwsAccess
from infra.local.aws import ACCOUNT
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, quickly

pytestmark = pytest.mark.store

JSON = {"Content-Type": "application/json"}


def test_a_request_is_sent_as_rendered_and_its_answer_can_be_read_both_ways(scene: Scene, web: Web) -> None:
    call = a_node(
        "call",
        "http_request",
        method="PUT",
        url=f"{web.url}/orders/{{{{ payload.id }}}}",
        headers={"X-Tenant": "{{ payload.tenant }}"},
        queryParams={"dry": "{{ payload.dry }}"},
        body={"id": "{{ payload.id }}", "n": "{{ payload.n }}"},
    )
    after = a_node("after", value={"short": "{{ call.n }}", "long": "{{ call.body.n }}", "status": "{{ call.status }}"})
    row = scene.result(a_chain(call, after), {"id": "o1", "tenant": "t", "dry": True, "n": 5})
    assert row["output"] == {"short": 5, "long": 5, "status": 200}
    [asked] = web.asked
    assert (asked.method, asked.path, asked.headers["x-tenant"]) == ("PUT", "/orders/o1?dry=true", "t")
    assert json.loads(asked.body) == {"id": "o1", "n": 5}
    assert asked.headers["idempotency-key"].split("/")[0] == row["id"]


def test_a_failure_that_may_pass_is_tried_again_with_the_same_idempotency_key(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=503 if len(web.asked) < 3 else 200)
    row = scene.result(a_chain(a_node("call", "http_request", url=web.url, config=quickly())))
    assert (row["status"], len(web.asked)) == ("complete", 3)
    assert len({asked.headers["idempotency-key"] for asked in web.asked}) == 1


def test_a_failure_that_stays_fails_the_run_once_its_retries_are_used(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=500)
    row = scene.result(a_chain(a_node("call", "http_request", url=web.url, config=quickly())))
    assert (row["status"], row["error"], len(web.asked)) == ("errored", "the server answered 500", 3)


@pytest.mark.parametrize(("status", "asked"), [(400, 1), (404, 1), (422, 1), (408, 3), (425, 3), (429, 3)])
def test_a_status_of_4xx_is_tried_again_only_where_it_may_pass(scene: Scene, web: Web, status: int, asked: int) -> None:
    web.answer = lambda _: Answer(status=status)
    row = scene.result(a_chain(a_node("call", "http_request", url=web.url, config=quickly())))
    assert (row["error"], len(web.asked)) == (f"the server answered {status}", asked)


def test_the_far_ends_retry_after_is_honoured(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=503, headers={"Retry-After": "6"}) if len(web.asked) < 2 else Answer()
    run = scene.started(a_chain(a_node("call", "http_request", url=web.url, config=quickly())))
    # Longer than a driver waits, so the run is parked until then; without the header it would be done by now.
    assert (scene.row(run)["status"], len(web.asked), len(scene.executions(run))) == ("running", 1, 1)
    assert scene.do(run, "terminate") == [200]


def test_a_function_is_called_and_its_answer_kept(scene: Scene) -> None:
    scene.stack.register("workflow-double", lambda event, _context: {"twice": event["n"] * 2})
    call = a_node("call", "lambda", functionName="workflow-double", payload={"n": "{{ payload.n }}"})
    assert scene.result(a_chain(call, a_node("after", value="{{ call.twice }}")), {"n": 21})["output"] == 42


def test_a_function_that_raises_is_tried_again_and_then_fails_the_run(scene: Scene) -> None:
    calls: list[Json] = []

    def broken(event: Json, _context: object) -> None:
        calls.append(event)
        raise ValueError("no stock")

    scene.stack.register("workflow-broken", broken)
    row = scene.result(a_chain(a_node("call", "lambda", functionName="workflow-broken", payload=1, config=quickly())))
    assert (row["status"], calls) == ("errored", [1, 1, 1])
    assert "no stock" in row["error"]


def test_a_function_that_there_is_not_fails_the_run(scene: Scene) -> None:
    row = scene.result(a_chain(a_node("call", "lambda", functionName="workflow-nowhere")))
    assert row["status"] == "errored"


def test_the_stacks_own_functions_cannot_be_called_by_a_step(scene: Scene) -> None:
    own = scene.stack.resources.functions["Drive"]
    row = scene.result(a_chain(a_node("call", "lambda", functionName=own, payload={"run_id": "x"})))
    assert row["status"] == "errored"


def test_a_function_is_called_under_the_connections_role(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[AwsAccess] = []
    real = clients.users_lambda

    def client(access: AwsAccess, *, read_seconds: int) -> LambdaClient:
        seen.append(access)
        return real(access, read_seconds=read_seconds)

    monkeypatch.setattr(clients, "users_lambda", client)
    scene.stack.register("workflow-who", lambda event, _context: event)
    role = "arn:aws:iam::123456789012:role/stepwell-connection-steps"
    sent = {"name": "theirs", "region": "eu-west-1", "roleArn": role, "externalId": "ours"}
    made = scene.client.post("/api/connections", sent)
    assert (made.status, made.json["roleArn"]) == (201, role)
    connection = made.json["id"]
    workflow = scene.deploy(
        a_chain(a_node("call", "lambda", functionName="workflow-who", payload=7)), connection=connection
    )
    row = scene.ended(scene.start(workflow, connection=connection))
    assert (row["output"], row["connectionId"]) == (7, connection)
    [access] = seen
    [session] = [one for one in sts_backends[ACCOUNT]["aws"].assumed_roles if one.role_arn == role]
    assert (session.external_id, session.session_name) == ("ours", f"stepwell-{row['id']}")
    assert access.keys is not None
    assert (access.region, access.keys.key_id) == ("eu-west-1", session.access_key_id)
    assert scene.trigger(workflow).json == {"error": "No version deployed"}


def test_large_values_go_by_way_of_s3_and_nobody_notices(scene: Scene, web: Web) -> None:
    large = ["x" * 1000] * 90  # 90 KB: over what a record holds, under what params may be
    nodes = [
        a_node("copy", value={"all": "{{ payload }}"}),
        a_node("call", "http_request", url=web.url, method="POST", body="{{ copy.all }}"),
        a_node("after", value="{{ call.body }}"),
    ]
    before = _stored(scene)
    workflow = scene.deploy(a_chain(*nodes))
    row = scene.ended(scene.start(workflow, large))
    assert row["output"] == large
    assert _stored(scene) > before
    [listed] = scene.client.get(f"{workflow.path}/runs").json["data"]
    assert listed == {**row, "output": None}


def test_an_output_over_the_limit_is_an_error_that_can_be_caught(scene: Scene) -> None:
    twelve = a_node("twelve", value=["{{ payload }}"] * 12)
    caught = a_node("caught", value="{{ error.code }}")
    graph = a_graph([twelve, a_node("fine"), caught], ["twelve fine", "twelve caught error"])
    row = scene.result(graph, "x" * 100_000)
    assert (row["status"], row["output"]) == ("complete", {"CAUGHT": "output_too_large"})


def test_a_response_over_the_limit_fails_its_step_without_another_try(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(body=b"x" * 7_000_000)
    row = scene.result(a_chain(a_node("call", "http_request", url=web.url, config=quickly())))
    assert (row["status"], len(web.asked)) == ("errored", 1)


def _stored(scene: Scene) -> int:
    return int(scene.stack.s3.list_objects_v2(Bucket=scene.stack.resources.bucket)["KeyCount"])
