from __future__ import annotations

import pytest

from chalicelib.domain.definition import Definition
from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node, blocks_of, compiled, edges_of, problems


def steps(refs: str) -> list[Json]:
    """Return nodes by their refs; a ref's first letter tells its type."""
    types = {"L": "loop", "R": "race", "T": "try_catch", "P": "parallel", "B": "branch", "K": "break"}
    return [a_node(ref, types.get(ref[0], "transform")) for ref in refs.split()]


def built(refs: str, *edges: str) -> Definition:
    return compiled(a_graph(steps(refs), edges))


def refused(refs: str, *edges: str) -> list[tuple[str, str]]:
    return [(detail.path, detail.message) for detail in problems(a_graph(steps(refs), edges))]


def test_a_loops_body_is_what_its_edge_leads_to_and_nothing_after_it() -> None:
    definition = built("a L b c z", "a L", "L b body", "b c", "L z then")
    assert blocks_of(definition) == {"b": "L/body", "c": "L/body"}
    assert edges_of(definition) == {"a L", "b c", "L z"}


def test_an_edge_out_of_a_body_is_where_the_loop_goes_on() -> None:
    drawn = built("a L b c z", "a L", "L b body", "b c", "L z then", "c z")
    assert edges_of(drawn) == {"a L", "b c", "L z"}


def test_an_edge_out_of_a_body_past_the_next_step_becomes_the_loops() -> None:
    definition = built("L b y z", "L b body", "L y then", "y z", "b z")
    assert edges_of(definition) == {"L y", "y z", "L z"}
    assert blocks_of(definition) == {"b": "L/body"}


def test_each_arm_of_a_race_is_a_block_of_its_own() -> None:
    definition = built("R x y y2 z", "R x", "R y", "y y2", "R z then", "x z")
    assert blocks_of(definition) == {"x": "R/x", "y": "R/y", "y2": "R/y"}
    assert edges_of(definition) == {"R z", "y y2"}
    assert definition.container_blocks["R"] == ("R/x", "R/y")


def test_the_parts_of_a_try_are_blocks() -> None:
    definition = built("T x c f z", "T x try", "T c catch", "T f finally", "T z then")
    assert blocks_of(definition) == {"x": "T/try", "c": "T/catch", "f": "T/finally"}
    assert edges_of(definition) == {"T z"}


def test_where_the_parts_of_a_try_come_together_is_after_it() -> None:
    definition = built("T x c f z", "T x try", "T c catch", "T f finally", "x z", "c z", "f z")
    assert blocks_of(definition) == {"x": "T/try", "c": "T/catch", "f": "T/finally"}
    assert edges_of(definition) == {"T z"}


def test_an_error_edge_of_a_container_stays_its_own() -> None:
    definition = built("L b h", "L b body", "L h error")
    assert edges_of(definition) == {"L h error"}
    assert blocks_of(definition) == {"b": "L/body"}


def test_an_error_edge_inside_a_body_leads_to_a_step_of_the_body() -> None:
    definition = built("L b h z", "L b body", "b h error", "L z then")
    assert blocks_of(definition) == {"b": "L/body", "h": "L/body"}
    assert edges_of(definition) == {"b h error", "L z"}


def test_blocks_stand_in_blocks() -> None:
    definition = built(
        "L1 T1 L2 x y c z",
        *("L1 T1 body", "T1 L2 try", "L2 x body", "L2 y then", "T1 c catch", "L1 z then"),
    )
    assert blocks_of(definition) == {"T1": "L1/body", "L2": "T1/try", "x": "L2/body", "y": "T1/try", "c": "T1/catch"}
    assert edges_of(definition) == {"L2 y", "L1 z"}


def test_an_edge_out_of_several_blocks_is_the_outermosts() -> None:
    definition = built("L1 L2 x z", "L1 L2 body", "L2 x body", "L1 z then", "x z")
    assert edges_of(definition) == {"L1 z"}


def test_a_branch_may_leave_a_block_for_the_step_that_comes_next_anyway() -> None:
    definition = built("L B x z", "L B body", "B x yes", "B z no", "L z then")
    assert edges_of(definition) == {"B x yes", "L z"}


def test_what_follows_a_parallel_step_waits_for_the_end_of_every_arm() -> None:
    definition = built("P x y y2 t", "P x", "P y", "y y2", "P t then")
    assert edges_of(definition) == {"P x", "P y", "y y2", "P t", "x t", "y2 t"}
    assert blocks_of(definition) == {}


def test_a_parallel_step_without_a_then_joins_nothing() -> None:
    assert edges_of(built("P x y", "P x", "P y")) == {"P x", "P y"}


def test_an_arm_that_ends_in_a_loop_is_joined_by_the_loop() -> None:
    definition = built("P x L b t", "P x", "P L", "L b body", "P t then")
    assert edges_of(definition) == {"P x", "P L", "P t", "x t", "L t"}


def test_a_step_with_nothing_but_an_error_edge_ends_its_arm_as_its_handler_does() -> None:
    definition = built("P x h y t", "P x", "P y", "x h error", "P t then")
    assert edges_of(definition) == {"P x", "P y", "x h error", "P t", "x t", "h t", "y t"}


def test_parallel_steps_in_parallel_steps_join_from_the_inside() -> None:
    definition = built("P1 x P2 y z t2 t1", "P1 x", "P1 P2", "P2 y", "P2 z", "P2 t2 then", "P1 t1 then")
    assert edges_of(definition) == {
        *("P1 x", "P1 P2", "P1 t1", "x t1"),
        *("P2 y", "P2 z", "P2 t2", "y t2", "z t2", "t2 t1"),
    }


def test_a_parallel_step_in_a_body_joins_within_it() -> None:
    definition = built("L P x y t z", "L P body", "P x", "P y", "P t then", "L z then")
    assert edges_of(definition) == {"P x", "P y", "P t", "x t", "y t", "L z"}


def test_every_edge_of_a_definition_joins_steps_of_one_block() -> None:
    definition = built("L1 R x P y t z", "L1 R body", "R x", "R P", "P y", "P t then", "x z", "t z", "L1 z then")
    for edge in definition.edges:
        assert definition.steps[edge.source].block == definition.steps[edge.target].block


@pytest.mark.parametrize(
    ("refs", "edges", "path", "message"),
    [
        ("a L b", ["a L", "L b body", "a b"], "edges.2", '"b" is inside "L"; only steps inside it can lead to it'),
        ("a L1 b L2 c", ["a L1", "a L2", "L1 b body", "L2 c body", "b c"], "edges.4", '"c" is inside "L2"'),
        ("L b", ["L b body", "L b then"], "edges.0", '"b" cannot begin its body of "L"'),
        ("L b z", ["L b body", "L z then", "z b"], "edges.0", '"b" cannot begin its body of "L"'),
        ("T x c", ["T x try", "T c catch", "x c"], "edges.1", '"c" cannot begin its catch of "T"'),
        ("T x f", ["T x try", "T f finally", "x f"], "edges.2", '"f" is inside "T"'),
        ("R x y z", ["R x", "R y", "x z", "y z"], "edges.1", '"z" is in two arms of "R"'),
        ("L b h z", ["L b body", "L z then", "z h", "b h error"], "edges.3", 'labelled "error" leaves "L"'),
        ("L B x y z", ["L B body", "B x yes", "B z no", "L y then", "y z"], "edges.2", 'labelled "no" leaves "L"'),
        ("P x t", ["P x", "P t", "P t then"], "edges.1", '"t" is no arm of "P"'),
        ("P1 P2 a T1 c T2", ["P1 P2", "P1 a"], "nodes.1", "needs at least one edge without a label, to an arm"),
        ("L z", ["L z then"], "nodes.0", 'a loop step needs an edge labelled "body"'),
        ("L a b", ["L a body", "L b body"], "edges.1", 'only one edge labelled "body"'),
        ("L a b c", ["L a body", "L b then", "L c then"], "edges.2", 'only one edge labelled "then"'),
        ("L a b", ["L a body", "L b"], "edges.1", "needs a label"),
        ("T a", ["T a try"], "nodes.0", 'an edge labelled "catch" or one labelled "finally"'),
        ("T a", ["T a catch"], "nodes.0", 'needs an edge labelled "try"'),
        ("T a b c", ["T a try", "T b catch", "T c else"], "edges.2", 'the label "else" means nothing on a try_catch'),
        ("R a", ["R a then"], "nodes.0", "to an arm"),
        ("a b", ["a b then"], "edges.0", 'the label "then" means nothing on a transform step; it knows "error"'),
        ("B a", ["B a"], "edges.0", 'needs a label; the branches of "B" are "yes", "no"'),
        ("B a", ["B a maybe"], "edges.0", 'there is no branch "maybe"'),
        ("a b", ["a b", "a b"], "edges.1", "another edge like this"),
        ("a b", ["a b", "b b"], "edges.1", 'from "b" to itself'),
        ("a b", ["a b", "b nowhere"], "edges.1.target", 'there is no node "nowhere"'),
        ("a b", ["a b", "nowhere b"], "edges.1.source", 'there is no node "nowhere"'),
    ],
)
def test_what_does_not_hang_together_is_refused(refs: str, edges: list[str], path: str, message: str) -> None:
    found = refused(refs, *edges)
    assert any(where == path and message in said for where, said in found), found


@pytest.mark.parametrize(
    ("edge", "path", "message"),
    [
        (None, "edges.0", "an edge is an object"),
        ({"source": "a"}, "edges.0.target", "the id of a node is required"),
        ({"source": 1, "target": "b"}, "edges.0.source", "the id of a node is required"),
        ({"source": "a", "target": "b", "label": 5}, "edges.0.label", "a label is text"),
        ({"source": "a", "target": "b", "when": "x"}, "edges.0.when", "the fields here are source, target, label"),
    ],
)
def test_a_bad_edge_is_refused(edge: Json, path: str, message: str) -> None:
    found = {detail.path: detail.message for detail in problems({**a_graph(steps("a b")), "edges": [edge]})}
    assert message in found[path]


def test_containers_stand_sixteen_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Json]:
        refs = [f"L{at}" for at in range(depth)]
        return a_graph(
            steps(" ".join([*refs, "x"])), [f"{a} {b} body" for a, b in zip(refs, [*refs[1:], "x"], strict=True)]
        )

    assert compiled(nested(16)).steps["x"].block == "L15/body"
    (detail,) = problems(nested(17))
    assert detail.path == "nodes.16"
    assert "16 deep in one another" in detail.message


def test_joins_that_wait_for_each_other_are_refused() -> None:
    found = refused(
        "a P1 P2 x y t1 t2",
        *("a P1", "a P2", "P1 x", "P2 y", "P1 t1 then", "P2 t2 then", "t1 y", "t2 x"),
    )
    assert found == [("edges", found[0][1])]
    assert "wait for each other" in found[0][1]
