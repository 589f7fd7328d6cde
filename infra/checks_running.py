"""Checks of what a stack does now: its alarms, who hears of them, dead letters, its health, its sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import urllib3

from infra.checks import Check, Finding, Site, bad, ok, warn

#: The sweep comes every minute, and CloudWatch tells of it some minutes later.
_LATELY: Final = timedelta(minutes=15)
#: Longer than API Gateway waits for the function.
_HEALTH_SECONDS: Final = 30
_PAGE: Final = 100


def alarms(site: Site) -> Iterator[Finding]:
    """Look which of the stack's alarms are on."""
    if site.parameter("Alarms") == "false":
        yield warn("the stack has none", f'make deploy STAGE={site.stage} PARAMETERS="Alarms=true"')
        return
    names = _physical_ids(site, "AWS::CloudWatch::Alarm")
    client = site.aws.client("cloudwatch")
    found: list[dict[str, Any]] = []
    for start in range(0, len(names), _PAGE):
        answer = client.describe_alarms(AlarmNames=names[start : start + _PAGE], AlarmTypes=["MetricAlarm"])
        found += answer["MetricAlarms"]
    for alarm in found:
        if alarm["StateValue"] == "ALARM":
            yield bad(
                f"{alarm['AlarmName']} is on", alarm.get("AlarmDescription", "its page in the CloudWatch console")
            )
        elif not alarm.get("ActionsEnabled", True):
            command = f"aws cloudwatch enable-alarm-actions --alarm-names {alarm['AlarmName']}"
            yield warn(f"{alarm['AlarmName']} tells nobody", command)
    if not found:
        yield bad("the stack has none, though it was deployed with alarms", site.anew)
    elif not any(alarm["StateValue"] == "ALARM" for alarm in found):
        yield ok(f"none of {len(found)} is on")


def subscribers(site: Site) -> Iterator[Finding]:
    """Look whether anybody hears of alarms."""
    if site.parameter("Alarms") == "false":
        return
    topic = site.deployed.output("AlarmTopicArn")
    pages = site.aws.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
    confirmed = [arn for arn in found if arn.startswith("arn:")]
    if confirmed:
        yield ok(f"{len(confirmed)} hear of alarms")
    elif found:
        yield warn("nobody hears of alarms: the subscription is not confirmed", "the link in the e-mail of AWS")
    else:
        yield warn("nobody hears of alarms", f'make deploy STAGE={site.stage} PARAMETERS="AlarmEmail=you@example.com"')


def dead_letters(site: Site) -> Iterator[Finding]:
    """Look whether there are invocations that failed for good."""
    url = site.deployed.output("DeadLetterQueueUrl")
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = site.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    waiting = sum(int(found[name]) for name in names)
    if waiting:
        said = f"{waiting} invocations failed for good, and say of what in {url}"
        yield bad(
            said, f"aws sqs receive-message --queue-url {url}; once mended, aws sqs purge-queue --queue-url {url}"
        )
        return
    yield ok("none")


def health(site: Site) -> Iterator[Finding]:
    """Ask the API how it is, as any of its users could."""
    url = f"{site.deployed.output('Url')}/healthz"
    try:
        answer = urllib3.request("GET", url, timeout=_HEALTH_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        yield bad(
            f"{url} does not answer: {type(error).__name__}", "the network from here; the log of the function api"
        )
        return
    try:
        parts = json.loads(answer.data)["parts"]
    except (ValueError, KeyError, TypeError):
        parts = {}
    down = [name for name, word in parts.items() if word != "ok"]
    if answer.status == 200 and parts and not down:  # noqa: PLR2004 - as HTTP has it
        yield ok(f"{url} answers: {', '.join(parts)} ok")
    elif down:
        yield bad(f"{url} says that it cannot use: {', '.join(down)}", "the log of the function api says why")
    else:
        yield bad(
            f"{url} answers {answer.status}, and not as Stepwell does", "the Url of the stack; its stage in API Gateway"
        )


def sweep(site: Site) -> Iterator[Finding]:
    """Look whether the sweep, which every run relies on, has come lately and well.

    By its metric: a log stream's own time may be an hour late.
    """
    name = f"{site.deployed.name}-sweep"
    came, failed = (_sum(site, name, metric) for metric in ("Invocations", "Errors"))
    minutes = _LATELY // timedelta(minutes=1)
    if not came:
        yield bad(
            f"{name} has not run in {minutes} minutes (the first may be as late after a deployment)",
            "the rule that invokes it, in the EventBridge console, must be enabled",
        )
    elif failed:
        yield warn(
            f"{name} ran {came} times in {minutes} minutes and failed {failed} times",
            f"aws logs tail /aws/lambda/{name}",
        )
    else:
        yield ok(f"{name} ran {came} times in {minutes} minutes")


def _sum(site: Site, function: str, metric: str) -> int:
    found = site.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=site.now - _LATELY,
        EndTime=site.now,
        Period=int(_LATELY.total_seconds()),
        Statistics=["Sum"],
    )
    return int(sum(point["Sum"] for point in found["Datapoints"]))


def _physical_ids(site: Site, kind: str) -> list[str]:
    pages = site.aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=site.deployed.name)
    return [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == kind and each["ResourceStatus"] != "DELETE_COMPLETE"
    ]


CHECKS: Final = (
    Check(about="alarms", look=alarms, wants="cloudformation:ListStackResources, cloudwatch:DescribeAlarms"),
    Check(about="subscribers", look=subscribers, wants="sns:ListSubscriptionsByTopic"),
    Check(about="dead letters", look=dead_letters, wants="sqs:GetQueueAttributes"),
    Check(about="health", look=health, wants="nothing"),
    Check(about="sweep", look=sweep, wants="cloudwatch:GetMetricStatistics"),
)
