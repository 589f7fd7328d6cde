from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node, compiled, problems

#: A loop with a race, a try and another loop around it all, and a step before and after.
#: first → L {m → R {x | y → y2} → T {t1 → t2 ! c1 f f1} → M {n} → o} → last
EDGES = [
    *("first L", "L m body", "m R", "R x", "R y", "y y2", "R T then", "T t1 try", "t1 t2", "T c1 catch"),
    *("T f1 finally", "T M then", "M n body", "M o then", "L last then", "first aside"),
]


def a_world(reader: str, text: str) -> dict[str, Json]:
    nodes: dict[str, dict[str, Json]] = {
        "first": a_node("first"),
        "L": a_node("L", "loop", loopType="forEach", collection="payload.items", count=..., itemVar="order"),
        "R": a_node("R", "race"),
        "T": a_node("T", "try_catch"),
        "M": a_node("M", "loop", loopType="while", condition="payload", count=..., indexVar="round"),
    }
    for ref in ("m", "x", "y", "y2", "t1", "t2", "c1", "f1", "n", "o", "last", "aside"):
        nodes[ref] = a_node(ref)
    if reader == "L":
        nodes["L"] = a_node("L", "loop", loopType="forEach", collection=text, count=..., itemVar="order")
    elif reader == "M":
        nodes["M"] = a_node("M", "loop", loopType="while", condition=text, count=..., indexVar="round")
    else:
        nodes[reader] = a_node(reader, value=f"{{{{ {text} }}}}")
    return a_graph(list(nodes.values()), EDGES)


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        *(("first", root) for root in ("event.payload", "payload.x", "steps", "run.id", "error.message")),
        ("m", "first"),
        ("m", "steps.first.output"),
        *(("m", name) for name in ("order.id", "i", "item", "index")),
        *(("n", name) for name in ("order", "item", "round", "first", "m", "x", "t1", "T")),
        ("x", "m"),
        ("y2", "y"),
        ("t1", "x"),
        ("t1", "y2"),
        ("t1", "R.winner"),
        ("t2", "t1"),
        ("c1", "t2"),
        ("c1", "t1"),
        ("f1", "c1"),
        ("f1", "t2"),
        ("o", "t1"),
        ("o", "c1"),
        ("o", "f1"),
        ("o", "M[0]"),
        ("last", "L[0].x"),
        ("last", "first"),
        ("L", "first.items"),
        ("L", "steps.first.output.items"),
        ("M", "n.more"),
        ("M", "round == `0` || n.more"),
        ("M", "m.x"),
        ("M", "order.x"),
    ],
)
def test_a_step_may_refer_to_what_is_over_when_it_starts(reader: str, text: str) -> None:
    assert reader in compiled(a_world(reader, text)).steps


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        ("first", "nowhere.x", 'there is no step "nowhere"'),
        ("first", "steps.nowhere.output", 'there is no step "nowhere"'),
        ("first", "first", "cannot refer to itself"),
        ("first", "last", '"last" does not come before "first"'),
        ("first", "steps.last.output", '"last" does not come before "first"'),
        ("first", "item", 'there is no step "item"'),
        ("last", "order", 'there is no step "order"'),
        ("m", "round", 'there is no step "round"'),
        ("last", "aside", '"aside" does not come before "last"'),
        ("m", "aside", '"aside" does not come before "m"'),
        ("m", "L", '"L" contains "m"'),
        ("t1", "T", '"T" contains "t1"'),
        ("m", "o", '"o" does not come before "m"'),
        ("x", "y", '"y" does not come before "x"'),
        ("t1", "c1", '"c1" does not come before "t1"'),
        ("t1", "f1", '"f1" does not come before "t1"'),
        ("c1", "f1", '"f1" does not come before "c1"'),
        ("m", "t1", '"t1" does not come before "m"'),
        ("last", "m", '"m" is inside the loop "L"; use the loop\'s output'),
        ("last", "n", '"n" is inside the loop "L"; use the loop\'s output'),
        ("o", "n", '"n" is inside the loop "M"; use the loop\'s output'),
        ("aside", "t1", 'inside the loop "L"'),
        ("L", "m.items", '"m" is inside "L", and starts after it'),
        ("L", "L", "cannot refer to itself"),
        ("L", "order", 'there is no step "order"'),
        ("M", "M", "cannot refer to itself"),
        ("M", "o", '"o" does not come before "M"'),
        ("first", "payload.n > 100", "numbers are written in backticks, `100`"),
        ("first", "payload.ok == true", "written in backticks, as in `true`"),
        ("first", "payload.n > 1e5", "written in backticks, as in `1e5`"),
        ("first", 'payload.s == "paid"', "text is written in single quotes, as in 'paid'"),
        ("first", "payload.a || total-tax", "a hyphen is part of a name, never a minus"),
    ],
)
def test_a_step_may_not_refer_to_what_is_missing_later_or_hidden(reader: str, text: str, message: str) -> None:
    (detail,) = problems(a_world(reader, text))
    assert message in detail.message
    assert detail.node_id == reader
    assert detail.path.endswith({"L": "data.collection", "M": "data.condition"}.get(reader, "data.value"))


def test_a_branchs_conditions_are_read_as_expressions() -> None:
    ways: Json = [{"label": "a", "condition": "first.ok"}, {"label": "b", "condition": "{{ late.ok }}"}, {"label": "c"}]
    nodes = [a_node("first"), a_node("b", "branch", branches=ways), a_node("late")]
    (detail,) = problems(a_graph(nodes, ["first b", "b late a"]))
    assert detail.path == "nodes.1.data.branches.1.condition"


def test_words_that_are_no_templates_refer_to_nothing() -> None:
    ways: Json = [{"label": "nowhere", "condition": "payload.a"}]
    nodes = [
        a_node("a", value=["nowhere.at.all", {"{{ nowhere }}": 1}]),
        a_node("b", "branch", branches=ways),
        a_node("c", "break", condition=""),
        a_node("d", "loop", collection=..., count="payload.n"),
        a_node("e"),
    ]
    assert len(compiled(a_graph(nodes, ["a b", "b c nowhere", "c d", "d e body"])).steps) == 5


def test_an_http_answer_and_a_hyphenated_ref_are_referred_to_by_id() -> None:
    nodes = [a_node("fetch-order", "http_request"), a_node("b", value="{{ fetch-order.body.x }}")]
    assert compiled(a_graph(nodes, ["fetch-order b"])).steps["b"].config == {"value": "{{ fetch-order.body.x }}"}


def test_an_answer_is_joined_through_the_implied_edges_of_a_parallel_step() -> None:
    nodes = [a_node("p", "parallel"), a_node("x"), a_node("y"), a_node("t", value="{{ [x, y] }}")]
    assert compiled(a_graph(nodes, ["p x", "p y", "p t then"])).steps["t"].block == ""


def test_a_step_refers_to_no_other_arm_of_a_race_whatever_the_arms_are_called() -> None:
    nodes = [a_node("r", "race"), a_node("try"), a_node("catch", value="{{ try }}")]
    (detail,) = problems(a_graph(nodes, ["r try", "r catch"]))
    assert '"try" does not come before "catch"' in detail.message
