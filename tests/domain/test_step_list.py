from __future__ import annotations

import time

import pytest

from chalicelib.domain.definition import Edge
from chalicelib.domain.graph_order import MOST_CYCLES
from chalicelib.domain.step_list import MOST_EDGES, compile_steps
from chalicelib.domain.value import Json
from tests.domain.step_lists import a_list_step, depends_on, refused, step_problems


def test_a_chain_is_its_steps_and_the_edges_that_each_requires() -> None:
    definition = compile_steps([a_list_step("a"), a_list_step("b", "job", "a"), a_list_step("c", "sleep", "a", "b")])
    assert list(definition.steps) == ["a", "b", "c"]
    assert definition.edges == (
        Edge(source="a", target="b", required=True),
        Edge(source="a", target="c", required=True),
        Edge(source="b", target="c", required=True),
    )
    assert definition.answers_by_step
    assert {spec.block for spec in definition.steps.values()} == {""}


def test_a_step_may_come_before_those_it_depends_on() -> None:
    definition = compile_steps([a_list_step("b", "job", "a"), a_list_step("a")])
    assert depends_on(definition) == {"b": ["a"], "a": []}


@pytest.mark.parametrize(
    ("steps", "path", "message"),
    [
        (None, "steps", "steps must be a list"),
        ({"a": 1}, "steps", "steps must be a list"),
        ([], "steps", "1 to 1000 steps; this one has 0"),
        ([a_list_step(f"s{at}") for at in range(1001)], "steps", "1 to 1000 steps; this one has 1001"),
        ([None], "steps.0", "a step is an object"),
        (["a"], "steps.0", "a step is an object"),
        ([{}], "steps.0.step_ref", "step_ref is required"),
        ([a_list_step("a"), a_list_step("a")], "steps.1.step_ref", 'another step with the step_ref "a"'),
        ([a_list_step("a", "job", "a")], "steps.0.depends_on.0", "cannot depend on itself"),
        ([a_list_step("a", "job", "b")], "steps.0.depends_on.0", 'there is no step "b"'),
        ([a_list_step("a"), a_list_step("b", "job", "a", "a")], "steps.1.depends_on.1", '"a" is there twice'),
        ([a_list_step("a", depends_on="b")], "steps.0.depends_on", "must be a list"),
        ([a_list_step("a", depends_on=[["b"]])], "steps.0.depends_on.0", "a step_ref is text, not a list"),
        ([a_list_step("a", depends_on=[{}])], "steps.0.depends_on.0", "a step_ref is text, not an object"),
    ],
)
def test_a_bad_list_is_refused_and_the_message_says_where(steps: Json, path: str, message: str) -> None:
    refusal = refused(steps)
    (detail,) = refusal.details
    assert detail.path == path
    assert message in detail.message
    assert refusal.message == f"{path}: {detail.message}"


def test_all_faults_are_told_at_once() -> None:
    faults = step_problems(
        a_list_step("a", sleep_duration_secs=5),
        a_list_step("b", "sleep", "c", sleep_duration_secs=0),
        a_list_step("d", "transform", "a", payload="{{ b }}"),
        {"step_ref": "1x"},
    )
    assert [detail.path for detail in faults] == [
        "steps.0.sleep_duration_secs",
        "steps.1.sleep_duration_secs",
        "steps.3.step_ref",
        "steps.1.depends_on.0",
        "steps.2.payload",
    ]


def test_a_cycle_is_named_by_its_way() -> None:
    (detail,) = step_problems(a_list_step("a", "job", "c"), a_list_step("b", "job", "a"), a_list_step("c", "job", "b"))
    assert detail.path == "steps.0.depends_on"
    assert '"a" → "b" → "c" → "a"' in detail.message


def test_many_cycles_are_not_all_named() -> None:
    pairs = [a_list_step(f"{one}{at}", "job", f"{other}{at}") for at in range(400) for one, other in ("ab", "ba")]
    assert len(step_problems(*pairs)) == MOST_CYCLES


def test_among_steps_in_a_cycle_only_what_is_nowhere_is_missed() -> None:
    steps = [a_list_step("a", "transform", "b", payload="{{ [b, nowhere, payload.x, steps.b.output, steps.gone.x] }}")]
    found = step_problems(*steps, a_list_step("b", "job", "a", condition={"exists": {"step_ref": "a"}}))
    assert [detail.path for detail in found] == ["steps.0.depends_on", "steps.0.payload", "steps.0.payload"]
    assert 'no step "nowhere"' in found[1].message
    assert 'no step "gone"' in found[2].message


def test_there_may_be_only_so_many_dependencies() -> None:
    most = round((2 * MOST_EDGES) ** 0.5) + 2
    steps = [a_list_step(f"s{at}", "job", *(f"s{one}" for one in range(at))) for at in range(most)]
    (detail,) = step_problems(*steps)
    assert (detail.path, detail.message[:43]) == ("steps", "steps may name 50000 dependencies at most, ")


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"deep": ["{{ late.x }}"]}},
        {"output_transform": {"deep": ["{{ late.x }}"]}},
        {"output_transform": "late.x"},
        {"event_emit_key": "paid-{{ late.x }}"},
        {"condition": {"eq": {"left": {"deep": ["{{ late.x }}"]}, "right": 1}}},
        {"condition": {"not": {"exists": "{{ late.x }}"}}},
        {"condition": {"type": "step_status", "step_ref": "late", "status": "completed"}},
        {"condition": {"in": {"left": {"step_ref": "late"}, "right": ["completed"]}}},
        {"step_type": "wait_for_event", "event_key": "{{ late.x }}"},
        {"step_type": "sub_workflow", "sub_workflow_id": "{{ late.x }}"},
        {"step_type": "approval", "approval_approvers": ["{{ late.x }}"]},
        {"step_type": "approval", "approval_approvers": ["ann"], "payload": {"message": "{{ late.x }}"}},
        {"step_type": "http_request", "payload": {"method": "GET", "url": "https://example.com/{{ late.x }}"}},
        {"step_type": "lambda", "payload": {"functionName": "f", "payload": {"x": "{{ steps.late.output }}"}}},
    ],
)
def test_a_step_may_only_look_at_what_comes_before_it(fields: dict[str, Json]) -> None:
    def steps(*after: str) -> list[Json]:
        return [a_list_step("late"), {"step_ref": "s", "depends_on": list(after), **fields}]

    assert len(compile_steps(steps("late")).steps) == 2
    (detail,) = step_problems(*steps())
    assert detail.path.startswith("steps.1.")
    assert '"late" does not come before "s"' in detail.message


def test_what_comes_before_by_way_of_others_may_be_looked_at() -> None:
    steps = [a_list_step("a"), a_list_step("b", "job", "a"), a_list_step("c", "job", "b", payload="{{ a.x }}")]
    assert compile_steps(steps).steps["c"].config["payload"] == "{{ a.x }}"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"payload": {"a": ["{{ a b }}"]}}, "payload.a.0", "cannot be read at character 3"),
        ({"payload": "{{ payload.x"}, "payload", "is not closed"),
        ({"payload": "{{ s.x }}"}, "payload", "cannot refer to itself"),
        ({"payload": "{{ nowhere.x }}"}, "payload", 'there is no step "nowhere"'),
        ({"payload": "{{ output.x }}"}, "payload", 'there is no step "output"'),
        ({"event_emit_key": "{{ output.x }}"}, "event_emit_key", 'there is no step "output"'),
        ({"output_transform": "{{ steps.s.output }}"}, "output_transform", "cannot refer to itself"),
        ({"output_transform": "one two"}, "output_transform", "cannot be read at character 5"),
        ({"output_transform": "a }} b"}, "output_transform", "cannot be read at character 3"),
        ({"condition": {"exists": "{{ a b }}"}}, "condition.exists", "cannot be read at character 3"),
        ({"condition": {"exists": {"step_ref": "s"}}}, "condition.exists.step_ref", "its own status"),
        ({"condition": {"exists": {"step_ref": "x"}}}, "condition.exists.step_ref", 'there is no step "x"'),
    ],
)
def test_a_template_that_cannot_be_worked_out_is_refused(fields: dict[str, Json], path: str, message: str) -> None:
    (detail,) = step_problems({**a_list_step("s"), **fields})
    assert detail.path == f"steps.0.{path}"
    assert message in detail.message


@pytest.mark.parametrize("given", ["output.items[0]", "{{ output.items[0] }}"])
def test_an_output_transform_sees_the_steps_own_output_with_braces_or_without(given: str) -> None:
    definition = compile_steps([a_list_step("s", output_transform=given)])
    assert definition.steps["s"].output_transform == "{{ output.items[0] }}"


def test_a_thousand_steps_compile_in_no_time() -> None:
    steps = [
        a_list_step(
            f"s{at}",
            "transform",
            *(f"s{one}" for one in range(max(0, at - 20), at)),
            payload={"a": f"{{{{ steps.s{at - 1}.output }}}}", "b": f"{{{{ s{at // 2}.x }}}}"} if at else 0,
            condition={"eq": {"left": {"step_ref": "s0"}, "right": "completed"}} if at else None,
        )
        for at in range(1000)
    ]
    started = time.process_time()
    assert len(compile_steps(steps).edges) == 19_790
    assert time.process_time() - started < 2
