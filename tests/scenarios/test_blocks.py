"""Loops, `break` and `try_catch`, and each within another, run end to end."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, a_wait

pytestmark = pytest.mark.store

ONCE: Json = {"retries": {"limit": 0}}


def a_loop(ref: str, **data: Json) -> dict[str, Json]:
    """A loop; give `loopType` and what it needs."""
    return a_node(ref, "loop", **{"count": ..., **data})  # type: ignore[arg-type] # ... leaves the builder's count out


def a_call(web: Web, ref: str, path: str = "") -> dict[str, Json]:
    """A request that is made once."""
    return a_node(ref, "http_request", url=f"{web.url}/{path}", config=ONCE)


def test_a_loop_over_a_list_answers_what_its_last_step_did_for_each_item(scene: Scene) -> None:
    nodes = [
        a_loop("each", loopType="forEach", collection="{{ payload.items }}", itemVar="order", indexVar="at"),
        a_node("double", value="{{ order.n }}"),
        a_node("label", value={"at": "{{ at }}", "n": "{{ double }}", "id": "{{ item.id }}"}),
        a_node("after", value="{{ each[*].n }}"),
    ]
    graph = a_graph(nodes, ["each double body", "double label", "each after then"])
    items: Json = [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
    assert scene.result(graph, {"items": items})["output"] == [1, 2]
    alone = a_graph(nodes[:3], ["each double body", "double label"])
    expected = [{"at": 0, "n": 1, "id": "a"}, {"at": 1, "n": 2, "id": "b"}]
    assert scene.result(alone, {"items": items})["output"] == expected
    assert scene.result(alone, {"items": []})["output"] == []


def test_a_loop_over_what_is_no_list_fails(scene: Scene) -> None:
    graph = a_graph(
        [a_loop("each", loopType="forEach", collection="payload.items"), a_node("body")], ["each body body"]
    )
    row = scene.result(graph, {"items": 5})
    assert (row["status"], row["error"]) == ("errored", "the collection is a number, not a list")


def test_a_loop_goes_on_while_its_condition_holds(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(
        headers={"Content-Type": "application/json"}, body=json.dumps(len(web.asked)).encode()
    )
    nodes = [a_loop("poll", loopType="while", condition="!ask || ask.body < `3`"), a_call(web, "ask")]
    row = scene.result(a_graph(nodes, ["poll ask body"]))
    assert [one["body"] for one in row["output"]] == [1, 2, 3]


@pytest.mark.parametrize(("count", "output"), [(3, [0, 1, 2]), (0, [])])
def test_a_loop_goes_round_so_many_times(scene: Scene, count: int, output: list[int]) -> None:
    graph = a_graph([a_loop("l", loopType="times", count="{{ payload }}"), a_node("b", value="{{ i }}")], ["l b body"])
    assert scene.result(graph, count)["output"] == output


def test_a_break_ends_its_loop_and_what_was_answered_counts(scene: Scene) -> None:
    nodes = [
        a_loop("each", loopType="forEach", collection="payload"),
        a_node("show", value="{{ item }}"),
        a_node("enough", "break", condition="item == 'stop'"),
        a_node("keep", value="kept {{ item }}"),
        a_node("after", value="{{ each }}"),
    ]
    graph = a_graph(nodes, ["each show body", "show enough", "enough keep", "each after then"])
    output = scene.result(graph, ["a", "b", "stop", "never"])["output"]
    assert output[:2] == ["kept a", "kept b"]
    assert "kept never" not in output
    assert len(output) <= 3


def test_a_break_outside_a_loop_ends_the_run_as_complete(scene: Scene) -> None:
    row = scene.result(a_chain(a_node("a"), a_node("stop", "break"), a_wait("never")))
    assert (row["status"], row["error"]) == ("complete", None)


def test_a_loop_can_wait_in_each_round(scene: Scene) -> None:
    graph = a_graph([a_loop("l", loopType="times", count=2), a_wait("w")], ["l w body"])
    run = scene.started(graph)
    scene.told(run, "go", "first")
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "go", "second")
    assert scene.ended(run)["output"] == ["first", "second"]
    assert len(scene.executions(run)) == 2


def test_a_loop_within_a_loop_sees_the_outer_ones_item(scene: Scene) -> None:
    nodes = [
        a_loop("rows", loopType="forEach", collection="payload", itemVar="row", indexVar="r"),
        a_loop("cells", loopType="forEach", collection="{{ row }}", itemVar="cell", indexVar="c"),
        a_node("at", value="{{ r }}/{{ c }}: {{ cell }}"),
    ]
    row = scene.result(a_graph(nodes, ["rows cells body", "cells at body"]), [["a", "b"], ["c"]])
    assert row["output"] == [["0/0: a", "0/1: b"], ["1/0: c"]]


def a_try(web: Web, *, parts: str) -> dict[str, Json]:
    """`try` makes a call; then as many of catch, finally and then as said."""
    nodes = {
        "try": a_call(web, "call", "try"),
        "catch": a_node("mend", value="{{ error.code }} of {{ error.step }}"),
        "finally": a_call(web, "close", "finally"),
        "then": a_node("after", value={"try": "{{ t }}"}),
    }
    used = ["try", *parts.split()]
    refs = {part: nodes[part]["id"] for part in used}
    return a_graph(
        [a_node("t", "try_catch"), *(nodes[part] for part in used)], [f"t {refs[one]} {one}" for one in used]
    )


@pytest.mark.parametrize(
    ("parts", "status", "run", "asked"),
    [
        ("catch finally then", 404, "complete", ["/try", "/finally"]),
        ("catch finally then", 200, "complete", ["/try", "/finally"]),
        ("finally then", 404, "errored", ["/try", "/finally"]),
        ("finally then", 200, "complete", ["/try", "/finally"]),
        ("catch", 404, "complete", ["/try"]),
    ],
)
def test_what_is_tried_is_caught_and_closed(
    scene: Scene, web: Web, parts: str, status: int, run: str, asked: list[str]
) -> None:
    web.answer = lambda asked: Answer(status=status if asked.path == "/try" else 200)
    row = scene.result(a_try(web, parts=parts))
    assert row["status"] == run, row
    assert [one.path for one in web.asked] == asked
    if "catch" in parts and status == 404:
        caught = "http_status of call"
        assert row["output"] == ({"try": caught} if "then" in parts else caught)


def test_a_finally_that_fails_fails_what_went_well(scene: Scene, web: Web) -> None:
    web.answer = lambda asked: Answer(status=400 if asked.path == "/finally" else 200)
    row = scene.result(a_try(web, parts="catch finally then"))
    assert (row["status"], row["error"]) == ("errored", "the server answered 400")


def test_a_failure_within_a_loop_within_a_try_is_caught(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=404 if len(web.asked) == 2 else 200)
    nodes = [
        a_node("t", "try_catch"),
        a_loop("l", loopType="times", count=3),
        a_call(web, "call"),
        a_node("mend", value="mended"),
        a_node("after", value="{{ t }}"),
    ]
    graph = a_graph(nodes, ["t l try", "l call body", "t mend catch", "t after then"])
    assert scene.result(graph)["output"] == "mended"
    assert len(web.asked) == 2
