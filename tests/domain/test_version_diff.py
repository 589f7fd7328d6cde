from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.definition import Definition, OnFailure
from chalicelib.domain.retry import RetryPolicy
from chalicelib.domain.version_diff import difference
from tests.domain.building import a_definition, a_step


def changed(before: Definition, after: Definition) -> list[str]:
    return list(difference(before, after).changed)


def test_steps_are_added_removed_and_kept() -> None:
    before = a_definition([a_step("kept"), a_step("gone")])
    after = a_definition([a_step("new"), a_step("kept")])
    found = difference(before, after)
    assert (found.added, found.removed, found.changed) == (["new"], ["gone"], [])


def test_a_version_differs_from_itself_in_nothing() -> None:
    one = a_definition([a_step("a"), a_step("b")], ("a", "b"))
    found = difference(one, one)
    assert (found.added, found.removed, found.changed) == ([], [], [])


def test_a_step_that_does_something_else_has_changed() -> None:
    before = a_definition([a_step("a", config={"value": 1}), a_step("b")])
    assert changed(before, a_definition([a_step("a", config={"value": 2}), a_step("b")])) == ["a"]
    assert changed(before, a_definition([a_step("a", config={"value": True}), a_step("b")])) == ["a"]
    continues = a_step("b", on_failure=OnFailure.CONTINUE)
    assert changed(before, a_definition([a_step("a", config={"value": 1}), continues])) == ["b"]


def test_a_step_that_follows_another_than_before_has_changed() -> None:
    steps = [a_step("a"), a_step("b"), a_step("c")]
    assert changed(a_definition(steps, ("a", "c")), a_definition(steps, ("b", "c"))) == ["c"]


def test_the_order_of_keys_and_of_steps_is_no_change() -> None:
    before = a_definition([a_step("a", config={"x": 1, "y": 2}), a_step("b")], ("a", "b"))
    after = a_definition([a_step("b"), a_step("a", config={"y": 2, "x": 1})], ("a", "b"))
    assert changed(before, after) == []


def test_another_retry_policy_is_a_change() -> None:
    spec = a_step("a")
    slower = type(spec)(
        ref="a", name="a", type=spec.type, config={}, retry=RetryPolicy(limit=3, delay=timedelta(seconds=5))
    )
    assert changed(a_definition([spec]), a_definition([slower])) == ["a"]
