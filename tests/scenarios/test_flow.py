"""The ways through a graph, each run end to end: branches, joins, error edges, parallel arms, races."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene, a_chain, a_wait, quickly

pytestmark = pytest.mark.store

SHOPS = [{"label": "big", "condition": "payload.amount > `100`"}, {"label": "small", "condition": ""}]


def a_fork() -> dict[str, Json]:
    """A branch to `big` (and what only that leads to) or `small`, joined by `end`."""
    nodes = [
        a_node("size", "branch", branches=SHOPS),
        a_node("review", value="reviewed"),
        a_node("sign", value="signed"),
        a_node("ship", value="shipped"),
        a_node(
            "end",
            value={
                "size": "{{ size.branch }}",
                "sign": "{{ sign }}",
                "ship": "{{ ship }}",
                "is": "{{ payload.amount }}",
            },
        ),
    ]
    return a_graph(nodes, ["size review big", "review sign", "size ship small", "sign end", "ship end"])


def failing(ref: str) -> dict[str, Json]:
    """A step that fails for good: its URL is none."""
    return a_node(ref, "http_request", url="{{ payload.nowhere }}", config={"retries": {"limit": 0}})


@pytest.mark.parametrize(
    ("amount", "output"),
    [
        (500, {"size": "big", "sign": "signed", "ship": None, "is": 500}),
        (5, {"size": "small", "sign": None, "ship": "shipped", "is": 5}),
    ],
)
def test_a_branch_runs_the_way_that_is_taken_and_nothing_that_only_the_other_leads_to(
    scene: Scene, amount: int, output: object
) -> None:
    row = scene.result(a_fork(), {"amount": amount})
    assert (row["status"], row["output"], row["error"]) == ("complete", output, None)


def test_a_branch_that_takes_no_way_ends_there(scene: Scene) -> None:
    ways = [{"label": "yes", "condition": "payload.ok"}]
    graph = a_graph([a_node("ask", "branch", branches=ways), a_node("after", value=1)], ["ask after yes"])
    row = scene.result(graph, {"ok": False})
    assert (row["status"], row["output"]) == ("complete", None)


def test_a_step_that_two_lead_to_runs_once_both_have_ended(scene: Scene) -> None:
    nodes = [
        a_node("first", value=1),
        a_node("left", value=["{{ first }}", "left"]),
        a_node("right", value=["{{ first }}", "right"]),
        a_node("join", value="{{ [left[1], right[1]] }}"),
    ]
    row = scene.result(a_graph(nodes, ["first left", "first right", "left join", "right join"]))
    assert row["output"] == ["left", "right"]


def test_the_outputs_of_several_last_steps_stand_by_their_names(scene: Scene) -> None:
    row = scene.result(a_graph([a_node("a"), a_node("b", value="b"), a_node("c", value="c")], ["a b", "a c"]))
    assert row["output"] == {"B": "b", "C": "c"}


def test_a_failed_step_goes_on_by_its_error_edge_and_the_run_completes(scene: Scene, web: Web) -> None:
    nodes = [
        a_node("call", "http_request", url=f"{web.url}/a", config={"retries": {"limit": 0}}),
        a_node("fine", value="fine"),
        a_node("sorry", value="{{ error.code }} at {{ error.step }}"),
    ]
    graph = a_graph(nodes, ["call fine", "call sorry error"])
    web.answer = lambda _: Answer(status=404)
    row = scene.result(graph)
    assert (row["status"], row["output"], row["error"]) == ("complete", {"SORRY": "http_status at call"}, None)


def test_without_an_error_edge_the_run_says_what_the_step_said(scene: Scene) -> None:
    row = scene.result(a_chain(failing("call"), a_node("after")))
    assert (row["status"], row["output"]) == ("errored", None)
    assert isinstance(row["error"], str)
    assert row["error"]


def test_parallel_arms_all_end_before_what_comes_then(scene: Scene) -> None:
    nodes = [
        a_node("fan", "parallel"),
        a_wait("one", "one"),
        a_node("two", value=2),
        a_node("three", value=3),
        a_node("after", value="{{ [one, two, three] }}"),
    ]
    graph = a_graph(nodes, ["fan one", "fan two", "two three", "fan after then"])
    run = scene.started(graph)
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "one", 1)
    assert scene.ended(run)["output"] == [1, 2, 3]


def test_the_first_arm_of_a_race_to_settle_goes_on_and_a_waiting_loser_is_dropped(scene: Scene) -> None:
    nodes = [
        a_node("race", "race"),
        a_wait("phone", "phone"),
        a_wait("mail", "mail"),
        a_node("read", value="{{ mail.text }}"),
        a_node("after", value={"winner": "{{ race.winner }}", "output": "{{ race.output }}"}),
    ]
    graph = a_graph(nodes, ["race phone", "race mail", "mail read", "race after then"])
    run = scene.started(graph)
    assert scene.row(run)["status"] == "paused"
    scene.told(run, "mail", {"text": "hello"})
    row = scene.ended(run)
    assert (row["status"], row["output"]) == ("complete", {"winner": "mail", "output": "hello"})
    assert scene.send(run, "phone").status == 409
    assert [one["status"] for one in scene.executions(run)] == ["SUCCEEDED"]


def test_a_race_that_its_first_arm_loses_by_failing_fails(scene: Scene) -> None:
    nodes = [a_node("race", "race"), failing("call"), a_wait("mail", "mail")]
    row = scene.result(a_graph(nodes, ["race call", "race mail"]))
    assert row["status"] == "errored"


def test_a_step_that_fails_ends_what_waits_beside_it(scene: Scene) -> None:
    nodes = [a_node("first"), failing("call"), a_wait("mail", "mail")]
    run = scene.started(a_graph(nodes, ["first call", "first mail"]))
    assert scene.ended(run)["status"] == "errored"
    assert scene.send(run, "mail").status == 409


def test_a_retried_step_of_a_diamond_holds_up_only_what_it_leads_to(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=200 if len(web.asked) > 2 else 503)
    nodes = [
        a_node("first"),
        a_node("call", "http_request", url=web.url, config=quickly()),
        a_node("quick", value="quick"),
        a_node("join", value="{{ [quick, call.status] }}"),
    ]
    row = scene.result(a_graph(nodes, ["first call", "first quick", "call join", "quick join"]))
    assert (row["output"], len(web.asked)) == (["quick", 200], 3)
