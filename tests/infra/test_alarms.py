"""Each alarm looks at a metric that there is, tells somebody, and says what to do first; the dashboard shows others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from chalicelib.metrics import NAMESPACE, Metric
from infra import template

#: AWS's metrics, by namespace and dimension, as the services' own documentation lists them.
EMITTED: dict[tuple[str, tuple[str, ...]], set[str]] = {
    (NAMESPACE, ("service",)): {metric.value for metric in Metric},
    ("AWS/Lambda", ("FunctionName",)): {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"},
    ("AWS/DynamoDB", ("TableName",)): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    },
    ("AWS/DynamoDB", ("TableName", "GlobalSecondaryIndexName")): {"ReadThrottleEvents", "WriteThrottleEvents"},
    ("AWS/ApiGateway", ("ApiName",)): {"4XXError", "5XXError", "Count", "Latency"},
    ("AWS/States", ("StateMachineArn",)): {
        "ExecutionThrottled",
        "ExecutionsFailed",
        "ExecutionsStarted",
        "ExecutionsSucceeded",
    },
    ("AWS/SQS", ("QueueName",)): {"ApproximateNumberOfMessagesVisible"},
}
STACK, TABLE = {"Ref": "AWS::StackName"}, {"Fn::If": ["HasRestoredTable", {"Ref": "RestoredTable"}, {"Ref": "Table"}]}
#: Of whom a dimension may tell.
MEANT: dict[str, list[template.Node]] = {
    "service": [STACK],
    "ApiName": [STACK],
    "FunctionName": [{"Ref": name} for name in ("APIHandler", "Drive", "Work", "Sweep", "Uploaded")],
    "TableName": [TABLE],
    "GlobalSecondaryIndexName": ["by-project", "by-workflow", "sweep"],
    "StateMachineArn": [{"Ref": "Park"}],
    "QueueName": [{"Fn::GetAtt": ["DeadLetters", "QueueName"]}],
}
#: A metric: namespace, name, dimensions.
Looked = tuple[str, str, dict[str, template.Node]]

DOCUMENT = template.load()
RESOURCES = DOCUMENT["Resources"]
ALARMS = {name: each for name, each in RESOURCES.items() if each.get("Type") == "AWS::CloudWatch::Alarm"}


def metrics_of(alarm: template.Node) -> Iterator[Looked]:
    """Yield what an alarm looks at."""
    properties = alarm["Properties"]
    metrics = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
    for metric in metrics or [properties]:
        dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        yield metric["Namespace"], metric["MetricName"], dimensions


def shown() -> Iterator[tuple[template.Node, list[str]]]:
    """Yield each widget of the dashboard with each line of its metrics, written out in full."""
    text, _ = RESOURCES["Board"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for widget in json.loads(text)["widgets"]:
        before: list[str] = []
        for line in widget["properties"]["metrics"]:
            words = [word for word in line if isinstance(word, str)]
            if words[0] == "...":
                words = [*before[: len(before) - len(words) + 1], *words[1:]]
            before = [before[at] if word == "." else word for at, word in enumerate(words)]
            yield widget["properties"], before


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_at_metrics_that_there_are(name: str) -> None:
    metrics = list(metrics_of(ALARMS[name]))

    assert 0 < len(metrics) <= 10, "CloudWatch's limit"
    for namespace, metric, dimensions in metrics:
        assert metric in EMITTED[namespace, tuple(dimensions)]
        for dimension, value in dimensions.items():
            assert value in MEANT[dimension]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_the_topic_of_its_end_too_and_says_what_to_do_first(name: str) -> None:
    alarm = ALARMS[name]["Properties"]

    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert " First: " in alarm["AlarmDescription"]
    assert len(alarm["AlarmDescription"]) <= 1024
    assert alarm["TreatMissingData"] in {"breaching", "ignore", "notBreaching"}
    assert ALARMS[name]["Condition"] == "HasAlarms"
    # The topic's policy lets in alarms of such names alone.
    assert alarm["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-")


def test_there_is_an_alarm_for_all_that_nothing_mends_by_itself() -> None:
    looked = {(namespace, metric) for each in ALARMS.values() for namespace, metric, _ in metrics_of(each)}

    assert looked >= {
        (NAMESPACE, "OverdueRuns"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Invocations"),
        ("AWS/ApiGateway", "5XXError"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/States", "ExecutionsFailed"),
    }


def test_throttles_are_seen_of_every_function_and_of_the_table_with_each_index() -> None:
    functions = [dimensions["FunctionName"]["Ref"] for _, _, dimensions in metrics_of(ALARMS["ThrottledFunctions"])]
    table = [
        (name, dimensions.get("GlobalSecondaryIndexName"))
        for _, name, dimensions in metrics_of(ALARMS["ThrottledTable"])
    ]

    assert sorted(functions) == sorted(name for name, each in RESOURCES.items() if "FunctionName" in each["Properties"])
    indexes = [each["IndexName"] for each in RESOURCES["Table"]["Properties"]["GlobalSecondaryIndexes"]]
    assert set(table) == {(f"{kind}ThrottleEvents", index) for kind in ("Read", "Write") for index in (None, *indexes)}


def test_the_functions_count_under_the_name_that_the_alarms_look_for() -> None:
    told = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"]

    assert told["POWERTOOLS_SERVICE_NAME"] == STACK
    assert told["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
    assert RESOURCES["RestAPI"]["Properties"]["Name"] == STACK


def test_the_dashboard_shows_metrics_that_there_are_in_the_stacks_own_region() -> None:
    _, own = RESOURCES["Board"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert own == {"table": TABLE}
    lines = list(shown())

    assert len(lines) > 30
    for properties, (namespace, metric, *pairs) in lines:
        assert properties["region"] == "${AWS::Region}"
        dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert metric in EMITTED[namespace, tuple(dimensions)]
        for dimension, value in dimensions.items():
            assert node_of(value) in MEANT[dimension]


def test_the_dashboard_shows_all_that_is_counted_of_runs() -> None:
    counted = {metric for _, (namespace, metric, *_) in shown() if namespace == NAMESPACE}

    assert {metric.value for metric in Metric} - counted == {"ScheduledRuns"}


def node_of(text: str) -> template.Node:
    """Return what a reference within a text is outside of one."""
    found = re.fullmatch(r"\$\{([^}]+)\}", text)
    if found is None:
        return text
    name, dot, attribute = found[1].partition(".")
    return TABLE if name == "table" else {"Fn::GetAtt": [name, attribute]} if dot else {"Ref": name}
