from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError
from mypy_boto3_lambda import LambdaClient

from infra import template
from infra.local import LocalStack
from infra.local.dynamodb import PROJECT
from tests.conftest import Project


@pytest.fixture
def lambda_client(stack: LocalStack) -> LambdaClient:
    client: LambdaClient = boto3.Session().client("lambda")
    return client


def test_it_is_healthy(stack: LocalStack) -> None:
    answer = urllib3.request("GET", f"{stack.url}/healthz")

    assert answer.status == 200, answer.data


def test_the_key_of_a_new_project_opens_the_api_and_another_does_not(stack: LocalStack, project: Project) -> None:
    url = f"{stack.url}/api/workflows"

    assert urllib3.request("GET", url, headers={"Authorization": f"Bearer {project.key}"}).status == 200
    assert urllib3.request("GET", url, headers={"Authorization": f"Bearer {project.key}x"}).status == 401


def test_the_table_is_the_templates(stack: LocalStack) -> None:
    wanted = template.load()["Resources"]["Table"]["Properties"]
    table = stack.dynamodb.describe_table(TableName=stack.resources.table)["Table"]
    ttl = stack.dynamodb.describe_time_to_live(TableName=stack.resources.table)["TimeToLiveDescription"]

    assert table["KeySchema"] == wanted["KeySchema"]
    assert {index["IndexName"]: index["KeySchema"] for index in table["GlobalSecondaryIndexes"]} == {
        index["IndexName"]: index["KeySchema"] for index in wanted["GlobalSecondaryIndexes"]
    }
    assert {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]} == {"KEYS_ONLY"}
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("ttl", "ENABLED")


def test_the_bucket_answers_browsers_as_the_template_says(stack: LocalStack) -> None:
    [rule] = stack.s3.get_bucket_cors(Bucket=stack.resources.bucket)["CORSRules"]

    assert rule == {
        "AllowedHeaders": ["*"],
        "AllowedMethods": ["POST"],
        "AllowedOrigins": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


def test_the_apps_own_clients_reach_the_stack(stack: LocalStack) -> None:
    session = boto3.Session()

    tables = session.client("dynamodb").list_tables()["TableNames"]
    machines = session.client("stepfunctions").list_state_machines()["stateMachines"]

    assert stack.resources.table in tables
    assert [machine["stateMachineArn"] for machine in machines] == [os.environ["STEPWELL_PARK_STATE_MACHINE_ARN"]]


def test_a_users_function_answers_a_call(stack: LocalStack, lambda_client: LambdaClient) -> None:
    stack.register("workflow-greet", lambda event, _context: {"text": f"Hello, {event['name']}"})

    answer = lambda_client.invoke(FunctionName="workflow-greet", Payload=b'{"name": "Ada"}')

    assert json.load(answer["Payload"]) == {"text": "Hello, Ada"}
    assert "FunctionError" not in answer


def test_a_users_function_that_raises_answers_a_function_error(stack: LocalStack, lambda_client: LambdaClient) -> None:
    def fail(_event: object, _context: object) -> None:
        raise ValueError("no such order")

    stack.register("workflow-fail", fail)

    answer = lambda_client.invoke(FunctionName="workflow-fail", Payload=b"{}")

    assert answer["FunctionError"] == "Unhandled"
    told = json.load(answer["Payload"])
    assert (told["errorType"], told["errorMessage"]) == ("ValueError", "no such order")


def test_an_unknown_function_is_not_found_as_on_aws(stack: LocalStack, lambda_client: LambdaClient) -> None:
    with pytest.raises(ClientError) as caught:
        lambda_client.invoke(FunctionName="workflow-nobody", Payload=b"{}")

    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_invocation_without_json_is_refused(stack: LocalStack, lambda_client: LambdaClient) -> None:
    stack.register("workflow-echo", lambda event, _context: event)

    with pytest.raises(ClientError, match="Could not parse request body"):
        lambda_client.invoke(FunctionName="workflow-echo", Payload=b"{")


def test_an_asynchronous_invocation_is_accepted_at_once(stack: LocalStack, lambda_client: LambdaClient) -> None:
    stack.register("workflow-echo", lambda event, _context: event)

    answer = lambda_client.invoke(FunctionName="workflow-echo", InvocationType="Event", Payload=b'{"n": 1}')

    assert answer["StatusCode"] == 202
    assert stack.wait_idle(5)
    [invocation] = [each for each in stack.lambda_log if each.function == "workflow-echo" and each.payload == {"n": 1}]
    assert invocation.request_id == answer["ResponseMetadata"]["RequestId"]


def test_one_connection_serves_many_requests(stack: LocalStack) -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", stack.port, maxsize=1) as pool:
        for _ in range(20):
            assert pool.request("GET", "/healthz").status == 200
        assert pool.num_connections == 1


def test_many_clients_connect_at_once(stack: LocalStack) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    def ask(_number: int) -> int:
        return urllib3.request("GET", f"{stack.url}/openapi-that-is-not-there").status

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(ask, range(64))) == {404}


def test_the_sweep_runs_by_the_clock() -> None:
    with _second_stack(sweep_seconds=0.05) as stack:
        seen: list[object] = []
        name = stack.resources.functions["Sweep"]
        real = stack.functions.find(name)
        stack.functions.register(replace(real, handler=lambda event, _context: seen.append(event)))
        deadline = time.monotonic() + 10
        while len(seen) < 2 and time.monotonic() < deadline:
            stack.functions.wait_for_change(0.1)

    assert len(seen) >= 2
    assert seen[0]["detail-type"] == "Scheduled Event"  # type: ignore[index]


def _second_stack(**settings: float) -> LocalStack:
    return LocalStack(**settings)  # type: ignore[arg-type]


def test_stacks_one_after_the_other_share_nothing() -> None:
    before = dict(os.environ)
    seen = []
    for _ in range(2):
        with LocalStack(sweep_seconds=None) as stack:
            assert urllib3.request("GET", f"{stack.url}/healthz").status == 200
            seen.append((stack.resources.table, stack.key))
            scanned = stack.dynamodb.scan(TableName=stack.resources.table)
            assert scanned["Count"] > 0
            assert len(stack.dynamodb.list_tables()["TableNames"]) == 1

    assert len(set(seen)) == 2
    assert dict(os.environ) == before


def test_a_stack_that_cannot_start_leaves_nothing_behind() -> None:
    before = dict(os.environ)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"), LocalStack(port=taken.getsockname()[1]):
            pass

    assert dict(os.environ) == before


@pytest.fixture
def served(tmp_path: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STEPWELL_", "DYNAMODB_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=PROJECT,
        env={**environment, "PORT": "0", "STEPWELL_DEV_KEY": "ask_mine_" + "0" * 32},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout, process.stderr or process.stdout:
        told = ""
        while "/runs" not in told.rpartition("trigger")[2] and process.poll() is None:
            told += process.stdout.readline()
        yield process, told
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_make_dev_serves_with_the_key_it_was_given_and_stops_cleanly(
    served: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, told = served
    found = re.search(r"Stepwell on (http://127.0.0.1:\d+)", told)
    assert found, told
    headers = {"Authorization": "Bearer ask_mine_" + "0" * 32}
    assert urllib3.request("GET", f"{found[1]}/healthz").status == 200
    assert urllib3.request("GET", f"{found[1]}/api/workflows", headers=headers).status == 200

    began = time.monotonic()
    process.send_signal(number)

    assert process.wait(10) == 0
    assert time.monotonic() - began < 2
