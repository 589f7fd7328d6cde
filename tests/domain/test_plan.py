from __future__ import annotations

from chalicelib.domain.definition import StepType
from chalicelib.domain.plan import dot, plan_of
from tests.domain.building import a_definition, a_step

DIAMOND = a_definition(
    [a_step(ref) for ref in ("end", "left", "right", "start")],
    ("start", "left"),
    ("start", "right"),
    ("left", "end"),
    ("right", "end"),
)


def test_a_plan_names_the_roots_and_what_follows_each_step() -> None:
    plan = plan_of(DIAMOND)
    assert plan.roots == ["start"]
    assert plan.adjacency == {"start": ["left", "right"], "left": ["end"], "right": ["end"], "end": []}


def test_each_step_comes_after_all_that_lead_to_it() -> None:
    order = plan_of(DIAMOND).order
    assert sorted(order) == ["end", "left", "right", "start"]
    assert order[0] == "start"
    assert order[-1] == "end"


def test_steps_without_dependencies_are_all_roots() -> None:
    assert plan_of(a_definition([a_step("b"), a_step("a")])).roots == ["b", "a"]


def test_two_edges_between_the_same_steps_are_one_line() -> None:
    twice = a_definition([a_step("a", StepType.BRANCH), a_step("b")], ("a", "b", "yes"), ("a", "b", "no"))
    assert plan_of(twice).adjacency["a"] == ["b"]


def test_a_containers_steps_follow_it_and_are_no_roots() -> None:
    looped = a_definition(
        [a_step("loop", StepType.LOOP), a_step("one", block="loop/body"), a_step("two", block="loop/body")],
        ("one", "two"),
    )
    plan = plan_of(looped)
    assert plan.roots == ["loop"]
    assert plan.order == ["loop", "one", "two"]


def test_a_name_in_the_picture_can_be_nothing_but_a_name() -> None:
    plan = plan_of(a_definition([a_step('a"; b -> c'), a_step("back\\slash"), a_step("two\nlines")]))
    lines = dot(plan, name='w"f').splitlines()
    assert lines == ['digraph "w\\"f" {', '  "a\\"; b -> c";', '  "back\\\\slash";', '  "two\\nlines";', "}"]
    assert '  "start" -> "left";' in dot(plan_of(DIAMOND), name="w").splitlines()
