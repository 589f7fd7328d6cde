from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import condition
from chalicelib.domain.condition import COMPARISONS, FIELDS, Condition, holds, same
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.refusal import Detail
from chalicelib.domain.step import StepStatus
from chalicelib.domain.template import TemplateError
from chalicelib.domain.value import Json

CONTEXT: Mapping[str, Json] = {
    "payload": {"n": 3, "name": "ann", "list": [1, "b", {"c": 2}], "none": None, "object": {"k": 1}, "yes": True},
    "a": {"total": 10},
}
STATUSES = {"a": StepStatus.COMPLETED, "b": StepStatus.FAILED, "c": StepStatus.SKIPPED}


def a_condition(value: Json) -> Condition:
    place = Place(path="condition")
    found = condition.read(value, place)
    assert place.details == []
    assert found is not None
    return found


def problems_of(value: Json) -> list[Detail]:
    place = Place(path="condition")
    assert condition.read(value, place) is None
    assert place.details
    return place.details


def asked(value: Json) -> bool:
    return holds(a_condition(value), CONTEXT, STATUSES.__getitem__)


def nested(levels: int) -> Json:
    value: Json = {"exists": 1}
    for _ in range(levels - 1):
        value = {"not": value}
    return value


@pytest.mark.parametrize(
    ("left", "comparison", "right", "expected"),
    [
        ("{{ payload.n }}", "eq", 3, True),
        (1, "eq", 1.0, True),
        (True, "eq", 1, False),
        (0, "eq", False, False),
        ([1, {"a": True}], "eq", [1.0, {"a": True}], True),
        ([1, {"a": True}], "eq", [1, {"a": 1}], False),
        ({"a": 1, "b": 2}, "eq", {"b": 2, "a": 1}, True),
        ({"a": 1}, "eq", {"a": 1, "b": None}, False),
        ([1], "eq", [1, 2], False),
        ([], "eq", {}, False),
        ("", "eq", None, False),
        ("1", "eq", 1, False),
        ("{{ payload.gone }}", "eq", None, True),
        ({"step_ref": "a"}, "eq", "completed", True),
        ({"step_ref": "b"}, "ne", "completed", True),
        ({"value": {"step_ref": "a"}}, "eq", {"value": {"step_ref": "a"}}, True),
        ({"value": "{{ payload.name }}"}, "eq", "ann", True),
        ("{{ a.total }}", "gt", 9.5, True),
        ("{{ a.total }}", "gt", 10, False),
        (10, "gte", "{{ a.total }}", True),
        (9, "lt", 10, True),
        ("b", "lt", "a", False),
        ("a", "lte", "a", True),
        ("10", "gt", 9, False),
        (10, "gt", "9", False),
        (True, "gt", 0, False),
        (None, "lt", 1, False),
        ([2], "gt", [1], False),
        ("{{ payload.name }}", "contains", "nn", True),
        ("{{ payload.name }}", "contains", 1, False),
        ("{{ payload.list }}", "contains", {"c": 2.0}, True),
        ("{{ payload.list }}", "contains", True, False),
        ("{{ payload.object }}", "contains", "k", True),
        ("{{ payload.object }}", "contains", 1, False),
        (5, "contains", 5, False),
        ("b", "in", "{{ payload.list }}", True),
        ({"step_ref": "c"}, "in", ["completed", "skipped"], True),
        ("x", "in", "{{ payload.gone }}", False),
        ("{{ payload.name }}", "regex", "^a.n$", True),
        ("{{ payload.name }}", "regex", "n", True),
        ("{{ payload.name }}", "regex", "^n", False),
        ("{{ payload.n }}", "regex", "3", False),
        ({"step_ref": "b"}, "regex", "fail|cancel", True),
        ("x", "regex", {"value": "x"}, True),
    ],
)
def test_two_operands_are_compared_in_either_spelling(
    left: Json, comparison: str, right: Json, expected: object
) -> None:
    assert asked({"type": comparison, "left": left, "right": right}) is expected
    assert asked({comparison: {"left": left, "right": right}}) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "step_status", "step_ref": "a", "status": "completed"}, True),
        ({"step_status": {"step_ref": "a", "status": "failed"}}, False),
        ({"type": "step_status_in", "step_ref": "b", "statuses": ["failed", "canceled"]}, True),
        ({"step_status_in": {"step_ref": "c", "statuses": ["failed", "canceled"]}}, False),
        ({"type": "exists", "operand": "{{ payload.n }}"}, True),
        ({"type": "exists", "operand": "{{ payload.none }}"}, False),
        ({"exists": {"operand": "{{ payload.gone }}"}}, False),
        ({"exists": "{{ payload.yes }}"}, True),
        ({"exists": {"step_ref": "a"}}, True),
        ({"exists": None}, False),
        ({"exists": 0}, True),
        ({"type": "not", "condition": {"exists": None}}, True),
        ({"not": {"condition": {"exists": None}}}, True),
        ({"not": {"exists": 1}}, False),
        ({"type": "all_of", "conditions": [{"exists": 1}, {"exists": 2}]}, True),
        ({"all_of": [{"exists": 1}, {"exists": None}]}, False),
        ({"all_of": {"conditions": [{"exists": 1}]}}, True),
        ({"any_of": [{"exists": None}, {"exists": 1}]}, True),
        ({"type": "any_of", "conditions": [{"exists": None}]}, False),
        (nested(20), False),
        ({"any_of": [{"exists": 1}] * 99}, True),
    ],
)
def test_a_question_is_answered_in_either_spelling(value: Json, expected: object) -> None:
    assert asked(value) is expected


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("payload.x", "", 'an object such as {"type"'),
        (None, "", 'an object such as {"type"'),
        ([], "", 'an object such as {"type"'),
        ({}, ".type", "must be one of step_status, step_status_in, not"),
        ({"type": "maybe"}, ".type", "must be one of step_status"),
        ({"type": ["eq"]}, ".type", "must be one of step_status"),
        ({"maybe": {}}, ".maybe", "must be one of step_status"),
        ({"eq": 1, "ne": 2}, ".type", "must be one of step_status"),
        ({"type": "eq", "left": 1}, ".right", "right is required in a condition of type eq"),
        ({"eq": [1, 2]}, ".eq.left", "left is required"),
        ({"type": "eq", "left": 1, "right": 1, "also": 1}, ".also", "the fields here are type, left, right"),
        ({"eq": {"left": 1, "right": 1, "type": "eq"}}, ".eq.type", "the fields here are left, right"),
        ({"not": {"eq": {"left": 1}}}, ".not.eq.right", "right is required"),
        ({"type": "not", "condition": 5}, ".condition", "an object such as"),
        ({"all_of": []}, ".all_of", "a list of conditions, and not empty"),
        ({"type": "any_of", "conditions": {}}, ".conditions", "a list of conditions, and not empty"),
        ({"all_of": [{"exists": 1}, 5]}, ".all_of.1", "an object such as"),
        ({"step_status": "a"}, ".step_status.step_ref", "step_ref is required"),
        ({"step_status": {"step_ref": 5, "status": "failed"}}, ".step_status.step_ref", "a step_ref is text"),
        ({"step_status": {"step_ref": "a", "status": "done"}}, ".step_status.status", 'no status "done"; a step'),
        ({"step_status": {"step_ref": "a", "status": ["failed"]}}, ".step_status.status", "no status a list"),
        ({"step_status_in": {"step_ref": "a", "statuses": "failed"}}, ".step_status_in.statuses", "list of statuses"),
        ({"step_status_in": {"step_ref": "a", "statuses": []}}, ".step_status_in.statuses", "list of statuses"),
        ({"step_status_in": {"step_ref": "a", "statuses": ["failed", 1]}}, ".step_status_in.statuses.1", "a number"),
        ({"exists": {"step_ref": "a", "path": "x"}}, ".exists", "an operand is a value"),
        ({"exists": {"step_ref": None}}, ".exists.step_ref", "a step_ref is text"),
        ({"exists": {"value": ["{{ a b }}"]}}, ".exists.value.0", "cannot be read at character 3"),
        ({"regex": {"left": "x", "right": "(a"}}, ".regex.right", "the regex cannot be read: "),
        ({"regex": {"left": "x", "right": "a" * 201}}, ".regex.right", "200 characters long at most"),
        ({"regex": {"left": "x", "right": "{{ payload.x }}"}}, ".regex.right", "is written out as text"),
        ({"regex": {"left": "x", "right": {"step_ref": "a"}}}, ".regex.right", "is written out as text"),
        ({"regex": {"left": "x", "right": {"value": 5}}}, ".regex.right.value", "is written out as text"),
        (nested(21), ".not" * 20, "20 deep in one another at most"),
        ({"any_of": [{"exists": 1}] * 500}, ".any_of.99", "100 conditions at most"),
    ],
)
def test_what_is_no_condition_is_refused(value: Json, path: str, message: str) -> None:
    (detail,) = problems_of(value)
    assert detail.path == f"condition{path}"
    assert message in detail.message


def test_each_fault_is_told() -> None:
    found = problems_of({"all_of": [{"eq": {"left": "{{", "right": 1}}, {"exists": {"step_ref": 1}}, {}]})
    assert [detail.path for detail in found] == [
        "condition.all_of.0.eq.left",
        "condition.all_of.1.exists.step_ref",
        "condition.all_of.2.type",
    ]


def test_a_template_without_a_value_is_an_error() -> None:
    with pytest.raises(TemplateError, match="length"):
        asked({"exists": "{{ length(payload.n) }}"})


@pytest.mark.parametrize(("several", "first"), [("any_of", 1), ("all_of", None)])
def test_what_does_not_matter_any_more_is_not_asked(several: str, first: Json) -> None:
    assert asked({several: [{"exists": first}, {"exists": "{{ length(payload.n) }}"}]}) is (several == "any_of")


def test_all_that_is_looked_at_is_told_with_its_place() -> None:
    found = a_condition({"all_of": [{"not": {"exists": {"step_ref": "a"}}}, {"eq": {"left": "{{ b }}", "right": 1}}]})
    assert [(operand.step_ref, operand.value, operand.path) for operand in found.all_operands()] == [
        ("a", None, "condition.all_of.0.not.exists.step_ref"),
        (None, "{{ b }}", "condition.all_of.1.eq.left"),
        (None, 1, "condition.all_of.1.eq.right"),
    ]


def test_only_the_beginning_of_a_text_is_searched() -> None:
    found = a_condition({"regex": {"left": "{{ payload }}", "right": "x"}})
    assert not holds(found, {"payload": "a" * 10_000 + "x"}, STATUSES.__getitem__)
    assert holds(found, {"payload": "a" * 9_999 + "x"}, STATUSES.__getitem__)


JSON: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from("ab")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=5,
)


@given(JSON, JSON)
def test_comparisons_agree_with_one_another(left: Json, right: Json) -> None:
    found = {name: compare(left, right) for name, compare in COMPARISONS.items()}
    assert found["eq"] is same(right, left) is not found["ne"]
    assert same(left, left)
    assert found["gt"] is COMPARISONS["lt"](right, left)
    assert found["gte"] is COMPARISONS["lte"](right, left)
    assert found["in"] is COMPARISONS["contains"](right, left)
    assert not (found["gt"] and (found["eq"] or found["lt"]))


@given(st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from([*FIELDS, "type", "left"]), inner, max_size=3)))
@settings(deadline=None, max_examples=300)
def test_whatever_is_sent_is_a_condition_or_refused(value: Json) -> None:
    place = Place()
    assert (condition.read(value, place) is None) is bool(place.details)
