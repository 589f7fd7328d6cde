from __future__ import annotations

import time
from datetime import timedelta

import pytest

from chalicelib.domain.definition import Edge, StepType
from chalicelib.domain.graph_fields import FIELDS
from chalicelib.domain.retry import Backoff, RetryPolicy
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind
from tests.domain.graphs import LEAST, a_graph, a_node, compiled, edges_of, problems

#: The edges that each container needs beside those to a step after it.
WAYS = {"parallel": ["s x"], "race": ["s x"], "loop": ["s x body"], "try_catch": ["s x try", "s y catch"]}


@pytest.mark.parametrize("step_type", FIELDS)
def test_each_type_compiles_with_the_least_of_its_data(step_type: StepType) -> None:
    ways = WAYS.get(step_type, [])
    others = [a_node(way.split()[1]) for way in ways]
    definition = compiled(a_graph([a_node("s", step_type), *others], ways))
    assert definition.steps["s"].type is step_type
    assert definition.steps["s"].name == "S"
    assert set(LEAST[step_type]) <= set(definition.steps["s"].config)


def test_a_chain_keeps_its_order_and_its_edges() -> None:
    definition = compiled(a_graph([a_node("a"), a_node("b"), a_node("c")], ["a b", "b c"]))
    assert list(definition.steps) == ["a", "b", "c"]
    assert definition.edges == (Edge(source="a", target="b"), Edge(source="b", target="c"))
    assert definition.answer is None


def test_branch_and_error_edges_keep_their_labels() -> None:
    nodes = [a_node("b", "branch"), a_node("x"), a_node("y"), a_node("h")]
    definition = compiled(a_graph(nodes, ["b x yes", "b y no", "x h error", "y h error"]))
    assert edges_of(definition) == {"b x yes", "b y no", "x h error", "y h error"}


@pytest.mark.parametrize(
    ("step_type", "field", "value"),
    [
        ("wait_for_event", "timeout", "24 hours"),
        ("approval", "timeout", "24 hours"),
        ("sub_workflow", "waitForCompletion", True),
    ],
)
def test_defaults_are_filled_in(step_type: str, field: str, value: Json) -> None:
    assert compiled(a_graph([a_node("s", step_type)])).steps["s"].config[field] == value


def test_a_loop_names_its_item_and_its_index() -> None:
    config = compiled(a_graph([a_node("s", "loop"), a_node("x")], ["s x body"])).steps["s"].config
    assert (config["itemVar"], config["indexVar"]) == ("item", "i")


def test_null_is_a_value_for_a_transform_and_not_given_for_a_timeout() -> None:
    nodes = [a_node("t", value=None), a_node("w", "wait_for_event", timeout=None)]
    steps = compiled(a_graph(nodes, ["t w"])).steps
    assert steps["t"].config == {"value": None}
    assert steps["w"].config["timeout"] == "24 hours"


def test_an_empty_condition_is_a_branchs_else() -> None:
    ways: Json = [{"label": "a", "condition": "payload.a"}, {"label": "b", "condition": "  "}]
    steps = compiled(a_graph([a_node("s", "branch", branches=ways)])).steps
    assert steps["s"].config["branches"] == [
        {"label": "a", "condition": "payload.a"},
        {"label": "b", "condition": ""},
    ]


def test_a_request_is_retried_unless_it_says_otherwise_and_nothing_else_is() -> None:
    steps = compiled(a_graph([a_node("h", "http_request"), a_node("t")], ["h t"])).steps
    assert steps["h"].retry == RetryPolicy(limit=5, delay=timedelta(seconds=10), backoff=Backoff.EXPONENTIAL)
    assert steps["t"].retry.limit == 0
    assert steps["h"].timeout is None


def test_retries_and_the_timeout_are_read_from_the_config() -> None:
    config: Json = {"retries": {"limit": 2, "delay": "2 hours", "backoff": "linear"}, "timeout": "30 seconds"}
    spec = compiled(a_graph([a_node("t", config=config)])).steps["t"]
    assert spec.retry == RetryPolicy(
        limit=2,
        delay=timedelta(hours=2),
        backoff=Backoff.LINEAR,
        longest=timedelta(hours=2),
    )
    assert spec.timeout == timedelta(seconds=30)


def test_what_the_config_leaves_out_is_the_types_own() -> None:
    spec = compiled(a_graph([a_node("h", "http_request", config={"retries": {"limit": 1}})])).steps["h"]
    assert (spec.retry.limit, spec.retry.delay, spec.retry.backoff) == (1, timedelta(seconds=10), "exponential")


def test_a_script_retries_nothing() -> None:
    ir = a_graph([a_node("h", "http_request", config={"retries": {"limit": 3}})])
    assert compiled(ir, kind=WorkflowKind.SCRIPT).steps["h"].retry.limit == 0


def test_a_script_answers_with_its_trigger_code() -> None:
    ir = a_graph([a_node("a")], kind="script")
    assert compiled(ir, kind=WorkflowKind.SCRIPT, trigger_code="{{ a }}").answer == "{{ a }}"
    assert compiled(a_graph([a_node("a")]), trigger_code="{{ nowhere }}").answer is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("{{ nowhere }}", 'there is no step "nowhere"'),
        ("{{ b }}", 'inside the loop "l"'),
        ("{{ a", "not closed"),
        ("{{ item }}", 'there is no step "item"'),
    ],
)
def test_trigger_code_is_checked_with_the_graph(code: str, message: str) -> None:
    ir = a_graph([a_node("a"), a_node("l", "loop"), a_node("b")], ["a l", "l b body"])
    (detail,) = problems(ir, kind=WorkflowKind.SCRIPT, trigger_code=code)
    assert detail.path == "triggerCode"
    assert message in detail.message


def test_a_graph_may_say_its_kind_its_metadata_and_its_trigger() -> None:
    ir = a_graph([a_node("a")], kind="workflow", trigger={"type": "manual"}, metadata={"name": "N"})
    assert list(compiled(ir).steps) == ["a"]


@pytest.mark.parametrize("ir", [None, [], "graph", 1])
def test_what_is_no_object_is_refused(ir: Json) -> None:
    (detail,) = problems(ir)
    assert (detail.path, detail.message) == ("ir", "the graph must be an object")


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"colour": "red"}, "colour", "the fields here are kind, metadata"),
        ({"kind": "script"}, "kind", "the workflow's kind is workflow"),
        ({"kind": 1}, "kind", "the workflow's kind is workflow"),
        ({"metadata": []}, "metadata", "must be an object"),
        ({"metadata": {"name": "n" * 256}}, "metadata.name", "255 characters"),
        ({"metadata": {"name": 7}}, "metadata.name", "255 characters"),
        ({"nodes": None}, "nodes", "must be a list"),
        ({"nodes": {}}, "nodes", "must be a list"),
        ({"nodes": []}, "nodes", "at least one node"),
        ({"nodes": [a_node(f"n{at}") for at in range(1001)]}, "nodes", "1000 nodes at most"),
        ({"edges": None}, "edges", "must be a list"),
        ({"edges": [{}] * 10_001}, "edges", "10000 edges at most"),
        ({"entryNodeId": None}, "entryNodeId", "is required"),
        ({"entryNodeId": ["a"]}, "entryNodeId", "is required"),
        ({"entryNodeId": "z"}, "entryNodeId", 'no node "z"'),
        ({"entryNodeId": "b"}, "entryNodeId", "an edge leads to it"),
    ],
)
def test_a_bad_frame_is_refused(fields: dict[str, Json], path: str, message: str) -> None:
    ir = {**a_graph([a_node("a"), a_node("b")], ["a b"]), **fields}
    found = {detail.path: detail.message for detail in problems(ir)}
    assert message in found[path]


def test_a_graph_without_edges_or_entry_is_refused_for_both() -> None:
    assert {detail.path for detail in problems({"nodes": [a_node("a")]})} == {"edges", "entryNodeId"}


def test_a_cycle_is_named_by_its_nodes() -> None:
    nodes = [a_node(ref) for ref in "abcde"]
    found = problems(a_graph(nodes, ["a b", "b c", "c d", "d b", "d e"]))
    (detail,) = found
    assert '"b" → "c" → "d" → "b"' in detail.message
    assert (detail.path, detail.node_id) == ("nodes.1", "b")


def test_nodes_that_the_entry_does_not_reach_are_named() -> None:
    found = problems(a_graph([a_node("a"), a_node("b"), a_node("c")], ["b c"]))
    assert [(detail.path, detail.node_id) for detail in found] == [("nodes.1", "b"), ("nodes.2", "c")]
    assert all("not reachable" in detail.message for detail in found)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    nodes = [
        a_node("a", value="{{ missing }}"),
        a_node("b", "sleep", duration="soon"),
        a_node("b"),
        a_node("c", value="{{ x > 1 }}"),
    ]
    found = problems(a_graph(nodes, ["a b", "b a", "a z", "c c"], colour=1))
    assert {detail.path for detail in found} == {
        "colour",
        "nodes.0",
        "nodes.0.data.value",
        "nodes.1.data.duration",
        "nodes.2.id",
        "nodes.3",
        "nodes.3.data.value",
        "edges.2.target",
        "edges.3",
        "entryNodeId",
    }


def test_the_work_of_compiling_grows_with_the_graph_and_not_with_its_square() -> None:
    count = 1000
    nodes = [a_node("n0"), *(a_node(f"n{at}", value=f"{{{{ n{at - 1}.x }}}} {{{{ n0 }}}}") for at in range(1, count))]
    edges = [f"n{at} n{to}" for at in range(count) for to in range(at + 1, min(count, at + 6))]
    began = time.process_time()
    assert len(compiled(a_graph(nodes, edges)).edges) == len(edges)
    # It takes a quarter of a second; a quadratic pass over nodes, edges or references takes a minute.
    assert time.process_time() - began < 5
