from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import template

#: What IAM takes of a role's own policies together, white space not counted.
_LONGEST = 10_240

ROLES = {name: each for name, each in template.load()["Resources"].items() if each.get("Type") == "AWS::IAM::Role"}


def policies(role: str) -> list[Any]:
    """Return a role's policies, those too that only some stacks have."""
    return [each.get("Fn::If", ["", each])[1] for each in ROLES[role]["Properties"]["Policies"]]


def statements(role: str) -> Iterator[Any]:
    """Yield what a role's policies say, whether or not under a condition."""
    for policy in policies(role):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement.get("Fn::If", ["", statement])[1]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_its_own_policies_and_fewer_characters_of_them_than_iam_takes(role: str) -> None:
    # Names and ARNs come out at about the length that their references have here.
    size = sum(len(json.dumps(each["PolicyDocument"], separators=(",", ":"))) for each in policies(role))

    assert "ManagedPolicyArns" not in ROLES[role]["Properties"]
    assert len({each["PolicyName"] for each in policies(role)}) == len(policies(role)) > 0
    assert size < _LONGEST


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_a_pattern(role: str) -> None:
    found = list(statements(role))

    assert len(found) > 2
    assert [action for each in found for action in listed(each["Action"]) if "*" in action] == []


def test_whatever_is_allowed_on_every_resource_has_its_reason_beside_it() -> None:
    for part in template.PARTS:
        assert unreasoned(part.read_text()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('# Why.\n- {Effect: Allow, Action: a, Resource: "*"}', []),
        ('# Why.\n- Effect: Allow\n  Action:\n    - a\n    - b\n  Resource: "*"', []),
        ('# Why.\n- !If\n  - IsTraced\n  - Effect: Allow\n    Action: a\n    Resource: "*"', []),
        ('a:\n- Effect: Allow\n  # Why the action.\n  Action: a\n  Resource: "*"', [2]),
        ('# Of another.\n- {Effect: Allow}\n- {Effect: Allow, Resource: "*"}', [3]),
        ("a:\n- Effect: Allow\n  Resource: '*'", [2]),
        ('a:\n- Effect: Allow\n  Resource: [b, "*"]', [2]),
        ('a:\nb: &c !If\n  - IsTraced\n  - Effect: Allow\n    Resource: "*"\n  - no\nd: *c', [2]),
    ],
)
def test_a_reason_is_a_comment_above_the_statement(text: str, found: list[int]) -> None:
    assert unreasoned(text) == found


def unreasoned(text: str) -> list[int]:
    """Return the lines of the statements that allow something on every resource without a comment above them."""
    lines = text.splitlines()
    bare = {first for first in everywhere(yaml.compose(text)) if not lines[first - 1].lstrip().startswith("#")}
    return sorted(first + 1 for first in bare)


def everywhere(node: yaml.Node | None, first: int | None = None) -> Iterator[int]:
    """Yield the first lines of such statements; of one under a condition, that is where the condition is."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from everywhere(item, node.start_mark.line if node.tag == "!If" else None)
    elif isinstance(node, yaml.MappingNode):
        values = {key.value: value for key, value in node.value}
        resource = values.get("Resource")
        found = [each.value for each in resource.value] if isinstance(resource, yaml.SequenceNode) else []
        if "Effect" in values and values["Effect"].value == "Allow" and "*" in [*found, resource and resource.value]:
            yield node.start_mark.line if first is None else first
        for value in values.values():
            yield from everywhere(value)


def test_the_function_that_looks_at_uploads_may_read_no_record_but_files() -> None:
    [records] = [each for each in statements("UploadedRole") if "dynamodb:GetItem" in listed(each["Action"])]

    assert records["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["FILE#*"]}}
    assert not [each for each in statements("UploadedRole") if set(listed(each["Action"])) & {"lambda:InvokeFunction"}]


@pytest.mark.parametrize("function", ["Drive", "Uploaded"])
def test_a_function_with_dead_letters_may_send_them(function: str) -> None:
    config = template.load()["Resources"][function]["Properties"]["EventInvokeConfig"]
    sent = [each["Resource"] for each in statements(f"{function}Role") if each["Action"] == "sqs:SendMessage"]

    assert sent == [config["DestinationConfig"]["OnFailure"]["Destination"]]


def test_the_roles_own_part_is_read_by_this_test() -> None:
    assert Path(template.__file__).with_name("roles.yaml") in template.PARTS
    assert {"ApiRole", "DriveRole", "WorkRole", "SweepRole", "UploadedRole", "ParkRole"} <= ROLES.keys()
