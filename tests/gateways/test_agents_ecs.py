"""Agents on ECS: what a task is given, how it is found again, and what becomes of ECS's refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from chalicelib.gateways import clients
from chalicelib.gateways.clients import OWN_ACCESS, AccessKeys, AwsAccess
from chalicelib.gateways.errors import CallFailed, Unavailable
from tests.gateways.agents_ecs_cluster import BUCKET, CLUSTER, EcsCluster, an_order, ecs_agents
from tests.gateways.servers import Answer, Asked, http_server

THEIRS = AwsAccess(region="us-west-2", keys=AccessKeys(key_id="AKIATHEIRS", secret="s", session_token="t"))
TASK = f"arn:aws:ecs:eu-west-1:123456789012:task/{CLUSTER}/0123456789abcdef"


def the_failure(do: Callable[[], object]) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        do()
    return failed.value


def test_a_task_has_its_size_its_place_and_what_it_must_know(ecs_cluster: EcsCluster) -> None:
    handle = ecs_agents().start(OWN_ACCESS, an_order("one", token="hush"), again=False)
    task, told = ecs_cluster.task(handle), ecs_cluster.environment(handle)
    assert (task["overrides"]["cpu"], task["overrides"]["memory"]) == ("4096", "16384")
    assert task["startedBy"] == "ticket-one"
    assert task["launchType"] == "FARGATE"
    assert task["taskDefinitionArn"].endswith("task-definition/stepwell-agent-default:1")
    assert told.pop("STEPWELL_WORK_URL")
    assert told == {
        "STEPWELL_CALLBACK_URL": "https://flows.example.com/api/v1/agents/ticket",
        "STEPWELL_CALLBACK_TOKEN": "hush",
        "STEPWELL_CLI": "claude",
        "STEPWELL_TIMEOUT_SECONDS": "3600",
    }


def test_the_work_lies_in_the_projects_part_of_the_bucket_behind_a_url_that_ends(ecs_cluster: EcsCluster) -> None:
    handle = ecs_agents().start(OWN_ACCESS, an_order("one", work='{"prompt": "é"}'), again=False)
    url = ecs_cluster.environment(handle)["STEPWELL_WORK_URL"]
    kept = clients.s3().get_object(Bucket=BUCKET, Key="agent-work/proj_1/ticket-one.json")["Body"].read()
    assert json.loads(kept) == {"prompt": "é"}
    # Signed for the region's own address: the general one answers with a redirect, which no signature survives.
    assert url.startswith(f"https://{BUCKET}.s3.eu-west-1.amazonaws.com/agent-work/proj_1/ticket-one.json?")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=3600" in url


def test_an_agent_that_is_asked_for_again_is_looked_for_before_it_is_run(ecs_cluster: EcsCluster) -> None:
    first = ecs_agents().start(OWN_ACCESS, an_order("one"), again=False)
    ecs_agents().start(OWN_ACCESS, an_order("two"), again=False)
    assert ecs_agents().start(OWN_ACCESS, an_order("one"), again=True) == first
    assert ecs_cluster.count() == 2


def test_a_stopped_task_tells_why(ecs_cluster: EcsCluster) -> None:
    handle = ecs_agents().start(OWN_ACCESS, an_order("one"), again=False)
    ecs_agents(agent_cluster="another-by-now").stop(OWN_ACCESS, handle, reason="the run was canceled: " + "a" * 300)
    task = ecs_cluster.task(handle)
    assert task["lastStatus"] == "STOPPED"
    assert task["stoppedReason"].startswith("the run was canceled: aaa")
    assert len(task["stoppedReason"]) == 255


@pytest.mark.parametrize(
    ("missing", "variable"),
    [({"agent_cluster": ""}, "STEPWELL_AGENT_CLUSTER"), ({"agent_subnets": ()}, "STEPWELL_AGENT_SUBNETS")],
)
def test_what_is_not_configured_is_named(missing: dict[str, object], variable: str) -> None:
    failure = the_failure(lambda: ecs_agents(**missing).start(OWN_ACCESS, an_order(), again=False))
    assert (failure.code, failure.retryable) == ("agents_not_configured", False)
    assert variable in failure.message


def test_a_template_that_is_not_there_is_named(ecs_cluster: EcsCluster) -> None:
    failure = the_failure(lambda: ecs_agents().start(OWN_ACCESS, an_order(template_id="huge"), again=False))
    assert (failure.code, failure.retryable) == ("template_not_found", False)
    assert failure.message == "ECS has no task definition stepwell-agent-huge"


def test_a_cluster_that_is_not_there_is_a_matter_of_configuration(ecs_cluster: EcsCluster) -> None:
    failure = the_failure(lambda: ecs_agents(agent_cluster="no").start(OWN_ACCESS, an_order(), again=False))
    assert (failure.code, failure.retryable) == ("agents_not_configured", False)


def test_a_bucket_that_does_not_answer_is_not_the_steps_fault(ecs_cluster: EcsCluster) -> None:
    with pytest.raises(Unavailable):
        ecs_agents(bucket="not-there").start(OWN_ACCESS, an_order(), again=False)
    assert ecs_cluster.count() == 0


class Ecs:
    """An ECS that says what a test wants, by operation; its S3 takes everything."""

    def __init__(self) -> None:
        self.says: dict[str, tuple[int, dict[str, object]]] = {}
        self.asked: list[tuple[str, Asked]] = []

    def __call__(self, asked: Asked) -> Answer:
        operation = asked.headers.get("x-amz-target", "s3").rpartition(".")[2]
        self.asked.append((operation, asked))
        if operation == "s3":
            return Answer()
        status, body = self.says.get(operation, (200, {}))
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        return Answer(status=status, headers=headers, body=json.dumps(body).encode())

    def refuse(self, operation: str, status: int, code: str, **parts: object) -> None:
        self.says[operation] = status, {"__type": code, "message": f"says {code}", **parts}


@pytest.fixture
def ecs(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Ecs:
    """What every call to AWS of the test meets; between its attempts botocore does not wait."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    return Ecs()


@pytest.mark.parametrize(
    ("status", "aws_code", "code", "retryable"),
    [
        (400, "AccessDeniedException", "access_denied", False),
        (400, "UnrecognizedClientException", "access_denied", False),
        (400, "ClusterNotFoundException", "agents_not_configured", False),
        (400, "ClientException", "agent_start_failed", False),
        (400, "InvalidParameterException", "agent_start_failed", False),
        (400, "BlockedException", "agent_start_failed", False),
        (400, "ThrottlingException", "throttled", True),
        (500, "ServerException", "agent_start_failed", True),
    ],
)
def test_ecs_refusals_are_told_apart(
    ecs: Ecs,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    aws_code: str,
    code: str,
    retryable: bool,  # noqa: FBT001 - a table's column
) -> None:
    ecs.refuse("RunTask", status, aws_code)
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        failure = the_failure(lambda: ecs_agents().start(OWN_ACCESS, an_order(), again=False))
    assert (failure.code, failure.retryable) == (code, retryable)


@pytest.mark.parametrize("failures", [[{"arn": "a", "reason": "Capacity is unavailable at this time"}], []])
def test_a_lack_of_capacity_may_pass(ecs: Ecs, monkeypatch: pytest.MonkeyPatch, failures: list[dict[str, str]]) -> None:
    ecs.says["RunTask"] = 200, {"tasks": [], "failures": failures}
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        failure = the_failure(lambda: ecs_agents().start(OWN_ACCESS, an_order(), again=False))
    assert (failure.code, failure.retryable) == ("agent_start_failed", True)
    assert (failures[0]["reason"] if failures else "unknown") in failure.message


@pytest.mark.parametrize(
    ("conflict", "listed", "calls"),
    [({"resourceIds": [TASK]}, [], ["s3", "RunTask"]), ({}, [TASK], ["s3", "RunTask", "ListTasks"])],
)
def test_a_token_that_is_taken_names_the_task_that_is_there(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch, conflict: dict[str, object], listed: list[str], calls: list[str]
) -> None:
    ecs.refuse("RunTask", 400, "ConflictException", **conflict)
    ecs.says["ListTasks"] = 200, {"taskArns": listed}
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert ecs_agents().start(OWN_ACCESS, an_order(), again=False) == TASK
    assert [operation for operation, _ in ecs.asked] == calls


def test_a_task_is_run_as_the_connection_in_its_region_with_the_orders_token(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecs.says["RunTask"] = 200, {"tasks": [{"taskArn": TASK}], "failures": []}
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        ecs_agents().start(THEIRS, an_order("one"), again=False)
    (_, put), (_, run) = ecs.asked
    assert "Credential=a/" in put.headers["authorization"]
    assert "Credential=AKIATHEIRS/" in run.headers["authorization"]
    assert "/us-west-2/ecs/" in run.headers["authorization"]
    body = json.loads(run.body)
    assert body["clientToken"] == "ticket-one"
    assert body["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "ENABLED",
    }


@pytest.mark.parametrize("aws_code", ["InvalidParameterException", "ClusterNotFoundException"])
def test_a_task_that_is_gone_need_not_be_stopped(ecs: Ecs, monkeypatch: pytest.MonkeyPatch, aws_code: str) -> None:
    ecs.refuse("StopTask", 400, aws_code)
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        ecs_agents().stop(OWN_ACCESS, TASK, reason="over")


def test_a_task_that_may_not_be_stopped_is_told(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    ecs.refuse("StopTask", 400, "AccessDeniedException")
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        failure = the_failure(lambda: ecs_agents().stop(OWN_ACCESS, TASK, reason="over"))
    assert (failure.code, failure.retryable) == ("access_denied", False)


def test_an_ecs_that_cannot_be_reached_may_be_later(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(ecs) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    failure = the_failure(lambda: ecs_agents().stop(OWN_ACCESS, TASK, reason="over"))
    assert (failure.code, failure.retryable) == ("connection_failed", True)
