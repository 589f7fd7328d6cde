from __future__ import annotations

from chalicelib.domain.definition import StepType
from chalicelib.domain.outcome import Completed
from chalicelib.domain.run import RunStatus
from chalicelib.domain.run_graph import Link, RunGraph, graph_of
from chalicelib.domain.value import Json
from tests.domain.building import World, a_definition, a_step, a_world
from tests.domain.looking import a_case, a_run


def graph(world: World, status: RunStatus = RunStatus.RUNNING) -> RunGraph:
    case = a_case(world, a_run(status))
    return graph_of(case.run, case.progress, case.entries)


def test_edges_carry_the_labels_of_branches_and_of_blocks() -> None:
    branches = {"branches": [{"label": "big", "condition": "x"}, {"label": "small", "condition": ""}]}
    steps = [
        a_step("choose", StepType.BRANCH, config=branches),
        a_step("guard", StepType.TRY_CATCH),
        a_step("risky", block="guard/try"),
        a_step("rescue", block="guard/catch"),
        a_step("small"),
    ]
    world = a_world(a_definition(steps, ("choose", "guard", "big"), ("choose", "small", "small")))
    world.end("choose", Completed(branch="big", output={"branch": "big"}))

    found = graph(world)

    assert found.links == [
        Link(source="choose", target="guard", label="big"),
        Link(source="guard", target="risky", label="try"),
        Link(source="guard", target="rescue", label="catch"),
        Link(source="choose", target="small", label="small"),
    ]
    assert found.roots == ["choose"]


def test_what_could_start_is_what_leads_nowhere_but_to_a_driver() -> None:
    world = a_world(a_definition([a_step("a"), a_step("b"), a_step("c")], ("a", "c")), status=RunStatus.PAUSED)

    assert graph(world, RunStatus.PAUSED).runnable == ["a", "b"]
    assert graph(world, RunStatus.CANCELED).runnable == []


def test_a_container_that_could_go_on_shows_the_iteration_that_it_would_go_on_with() -> None:
    config: dict[str, Json] = {"loopType": "times", "count": 2, "itemVar": "item", "indexVar": "i"}
    steps = [a_step("each", StepType.LOOP, config=config), a_step("one", block="each/body")]
    world = a_world(a_definition(steps))
    world.status = RunStatus.PAUSED
    world.complete("each.0.one")

    found = graph(world, RunStatus.PAUSED)

    assert [node.key for node in found.nodes] == ["each", "each.0.one", "each.1.one"]
    assert found.runnable == ["each.1.one"]
    assert Link(source="each", target="each.1.one", label="body") in found.links
