"""What README.md tells those who run Stepwell is what the template, the functions and the tools are."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from chalicelib import logs, metrics
from infra import release, stacks, template
from tests.readme import GUIDES, README, rows, section

TEMPLATE = template.load()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]

PARAMETERS = "| parameter | default | is |"
ALARMS = "| alarm | means | do first |"


def properties(name: str) -> Any:
    return RESOURCES[name]["Properties"]


def test_every_parameter_of_the_template_is_listed_with_its_default() -> None:
    wanted = [
        [f"`{name}`", f"`{declared['Default']}`" if str(declared["Default"]) else "", declared["Description"]]
        for name, declared in TEMPLATE["Parameters"].items()
        if "Default" in declared
    ]

    assert sorted(rows(PARAMETERS)) == sorted(wanted)


def test_the_only_parameter_that_nobody_gives_is_the_secret() -> None:
    assert [name for name, declared in TEMPLATE["Parameters"].items() if "Default" not in declared] == ["KeyPepper"]
    assert stacks.pepper_name("stepwell-prod") in README


def test_every_alarm_is_listed_with_what_it_says_itself() -> None:
    wanted = []
    for name, resource in RESOURCES.items():
        if resource.get("Type") == "AWS::CloudWatch::Alarm":
            means, first, do = properties(name)["AlarmDescription"].partition(" First: ")
            assert first, name
            alarm = properties(name)["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
            wanted.append([f"`{alarm}`", means, do[0].upper() + do[1:]])

    assert list(rows(ALARMS)) == wanted


def test_what_is_said_to_be_kept_for_how_long_is_what_the_template_says() -> None:
    kept = {cells[1]: cells[2] for cells in rows("| what | where | how long |")}

    rules = {rule["Id"]: rule for rule in properties("Bucket")["LifecycleConfiguration"]["Rules"]}
    assert kept["bucket, `agent-work/`"] == f"{rules['agent-work']['ExpirationInDays']} days"
    assert {rules["uploads"]["ExpirationInDays"], rules["unused-files"]["ExpirationInDays"]} == {1}
    assert kept["bucket, `uploads/`, `files/`"] == "a day"
    assert kept["queue of dead letters"] == f"{properties('DeadLetters')['MessageRetentionPeriod'] // 86400} days"
    assert kept["CloudWatch"] == f"`LogRetentionDays`, {TEMPLATE['Parameters']['LogRetentionDays']['Default']} days"


@pytest.mark.parametrize("name", release.KEPT)
def test_what_a_destroyed_stack_leaves_is_said(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    assert name.lower() in section("## Deploy")


def test_the_commands_of_a_restoration_name_what_the_stack_has() -> None:
    restoring = section("### Restore the table")

    assert "RestoredTable=" in restoring
    assert set(re.findall(r"<(\w+)>", restoring)) <= set(TEMPLATE["Outputs"])


def test_every_line_that_is_written_and_every_metric_is_listed() -> None:
    told = [
        [f"`{action.name.lower()}`", logging.getLevelName(action.level).lower(), action.message]
        for action in logs.Action
    ]

    assert list(rows("| action | level | message |")) == told
    assert [cells[0] for cells in rows("| metric | counts |")] == [f"`{metric}`" for metric in metrics.Metric]
    for name in (*logs.Ids.__annotations__, "xray_trace_id"):
        assert f"`{name}`" in GUIDES["logs"], name
