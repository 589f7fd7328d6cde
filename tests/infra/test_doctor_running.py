"""Checks of alarms, subscribers, dead letters, health and sweep, on moto's CloudWatch, SNS and SQS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra import checks_running as checks
from infra.checks import Site
from infra.local.aws import ACCOUNT, REGION, aws
from infra.local.wsgi import KeepAliveServer
from tests.infra.site import NAME, a_site, a_stack, lines, session, stub

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _moto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws().url)


def alarm(name: str, state: str, *, tells: bool = True) -> str:
    cloudwatch = session().client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmDescription="Drives fail. First: read the log.",
        Namespace="Stepwell",
        MetricName="OverdueRuns",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        ActionsEnabled=tells,
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="as the test says")
    return name


def with_alarms(*names: str) -> Site:
    # moto's CloudFormation builds no alarms.
    resources = [
        {
            "LogicalResourceId": f"Alarm{number}",
            "PhysicalResourceId": name,
            "ResourceType": "AWS::CloudWatch::Alarm",
            "LastUpdatedTimestamp": datetime.now(UTC),
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for number, name in enumerate(names)
    ]
    cloudformation = stub("cloudformation", ("list_stack_resources", {"StackResourceSummaries": resources}))
    return a_site(stack=a_stack(), stubs={"cloudformation": cloudformation})


def test_alarms_that_are_on_are_told_with_what_to_do_first() -> None:
    alarm("stepwell-prod-eu-drives", "ALARM")  # another stage's
    quiet = alarm("stepwell-prod-quiet", "OK")
    new = alarm("stepwell-prod-new", "INSUFFICIENT_DATA")
    loud = alarm("stepwell-prod-loud", "ALARM")
    mute = alarm("stepwell-prod-mute", "OK", tells=False)

    assert lines(with_alarms(quiet, new), checks.alarms) == ["ok it: none of 2 is on"]
    assert lines(with_alarms(quiet, loud), checks.alarms) == [
        "bad it: stepwell-prod-loud is on | mend: Drives fail. First: read the log."
    ]
    assert lines(with_alarms(mute), checks.alarms)[0].startswith(
        "warn it: stepwell-prod-mute tells nobody | mend: aws cloudwatch enable-alarm-actions --alarm-names"
    )


def test_a_stack_without_alarms_is_told() -> None:
    [gone] = lines(with_alarms(), checks.alarms)
    [off] = lines(a_site(stack=a_stack(parameters={"Alarms": "false"})), checks.alarms)

    assert gone.startswith("bad it: the stack has none, though it was deployed with alarms")
    assert off.startswith("warn it: the stack has none | mend: make deploy STAGE=prod PARAMETERS=")
    assert lines(a_site(stack=a_stack(parameters={"Alarms": "false"})), checks.subscribers) == []


def subscribed(*arns: str) -> list[str]:
    entries = [{"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "a@example.com"} for arn in arns]
    sns = stub("sns", ("list_subscriptions_by_topic", {"Subscriptions": entries}))
    site = a_site(stack=a_stack(outputs={"AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:x"}), stubs={"sns": sns})
    return lines(site, checks.subscribers)


def test_whether_anybody_hears_of_alarms_is_told() -> None:
    # moto confirms every subscription at once.
    confirmed = f"arn:aws:sns:{REGION}:{ACCOUNT}:x:1"

    assert subscribed(confirmed, "PendingConfirmation") == ["ok it: 1 hear of alarms"]
    assert subscribed("PendingConfirmation")[0].startswith("warn it: nobody hears of alarms: the subscription is not")
    assert subscribed()[0].startswith("warn it: nobody hears of alarms | mend: make deploy STAGE=prod PARAMETERS=")


def test_dead_letters_are_told_where_they_wait_and_where_a_reader_holds_them() -> None:
    sqs = session().client("sqs")
    url = sqs.create_queue(QueueName=f"dead-{next(_numbers)}")["QueueUrl"]
    site = a_site(stack=a_stack(outputs={"DeadLetterQueueUrl": url}))

    none = lines(site, checks.dead_letters)
    sqs.send_message(QueueUrl=url, MessageBody="1")
    sqs.send_message(QueueUrl=url, MessageBody="2")
    sqs.receive_message(QueueUrl=url)
    [two] = lines(site, checks.dead_letters)
    sqs.delete_queue(QueueUrl=url)
    [gone] = lines(site, checks.dead_letters)

    assert none == ["ok it: none"]
    assert two.startswith("bad it: 2 invocations failed for good")
    assert f"aws sqs purge-queue --queue-url {url}" in two
    assert gone.startswith("bad it: is not there (")


class Api:
    """An API that answers what it is told to."""

    def __init__(self) -> None:
        self.status, self.body = "200 OK", ""
        self.url = KeepAliveServer(self).url

    def __call__(self, _environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(self.status, [("Content-Type", "application/json")])
        return [self.body.encode()]


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        ("200 OK", {"parts": {"table": "ok", "bucket": "ok"}}, "ok it: {url}/healthz answers: table, bucket ok"),
        (
            "503 No",
            {"parts": {"table": "unavailable", "bucket": "ok"}},
            "bad it: {url}/healthz says that it cannot use: table",
        ),
        ("503 No", {"parts": {"table": "ok"}}, "bad it: {url}/healthz answers 503, and not as Stepwell does"),
        ("403 No", {"message": "Forbidden"}, "bad it: {url}/healthz answers 403, and not as Stepwell does"),
        ("200 OK", "a page", "bad it: {url}/healthz answers 200, and not as Stepwell does"),
        ("200 OK", {"parts": {}}, "bad it: {url}/healthz answers 200, and not"),
    ],
)
def test_the_apis_own_word_on_its_health_is_told(api: Api, status: str, body: Any, line: str) -> None:
    api.status, api.body = status, body if isinstance(body, str) else json.dumps(body)

    [found] = lines(a_site(stack=a_stack(outputs={"Url": api.url})), checks.health)

    assert found.startswith(line.format(url=api.url))


def test_an_api_that_does_not_answer_is_bad() -> None:
    [found] = lines(a_site(stack=a_stack(outputs={"Url": "http://127.0.0.1:9"})), checks.health)

    assert found.startswith(
        "bad it: http://127.0.0.1:9/healthz does not answer: NewConnectionError | mend: the network"
    )


def put(name: str, metric: str, value: float, *, ago: timedelta) -> None:
    session().client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": f"{name}-sweep"}],
                "Timestamp": datetime.now(UTC) - ago,
                "Value": value,
            }
        ],
    )


def test_whether_the_sweep_comes_is_told_by_its_metric() -> None:
    site = a_site(stack=a_stack())
    put(NAME, "Invocations", 1, ago=timedelta(minutes=20))
    put(f"{NAME}-eu", "Invocations", 1, ago=timedelta(minutes=1))
    [absent] = lines(site, checks.sweep)
    put(NAME, "Invocations", 14, ago=timedelta(minutes=1))
    [coming] = lines(site, checks.sweep)
    put(NAME, "Errors", 2, ago=timedelta(minutes=1))
    [failing] = lines(site, checks.sweep)

    assert absent.startswith(f"bad it: {NAME}-sweep has not run in 15 minutes (")
    assert coming == f"ok it: {NAME}-sweep ran 14 times in 15 minutes"
    assert failing.startswith(f"warn it: {NAME}-sweep ran 14 times in 15 minutes and failed 2 times | mend: aws logs")
