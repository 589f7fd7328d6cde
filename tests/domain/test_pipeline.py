"""What a pipeline is compiled to, and how the engine runs that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chalicelib.domain import template
from chalicelib.domain.definition import Edge, StepType
from chalicelib.domain.persona import Role
from chalicelib.domain.pipeline import compile_pipeline
from chalicelib.domain.run import RunStatus
from chalicelib.domain.value import Json
from tests.domain.building import World
from tests.domain.graphs import a_graph, a_node
from tests.domain.pipelines import a_persona, a_pipeline, agents_of, an_agent, followed, piped, refused_for

PAGE = (Path(__file__).parents[2] / "docs/contracts/workflows-api-page.md").read_text()


def test_the_published_pages_update_compiles() -> None:
    begins = PAGE.index('{\n"workflowId"')
    update = json.JSONDecoder().raw_decode(PAGE, begins)[0]
    fields = ("defaultConfig", "pipelineSteps", "workflowGraph")
    definition = compile_pipeline({name: update[name] for name in fields})
    assert [(spec.ref, spec.config["model"]) for spec in definition.steps.values()] == [
        ("designer_1", "claude-opus-4-7"),
        ("checker_2", "claude-sonnet-4-6"),
    ]
    assert definition.steps["checker_2"].config["defaults"] == update["defaultConfig"]
    assert definition.edges == (Edge(source="designer_1", target="checker_2"),)


def test_a_step_carries_its_own_fields_its_defaults_and_where_it_finds_what_the_run_was_started_with() -> None:
    own: dict[str, Json] = {
        "model": "m",
        "thinkingEffort": "max",
        "templateId": "t",
        "timeoutMs": 1000,
        "cpuCount": 0.5,
    }
    definition = piped(an_agent("planner", name="Plan", **own), defaultConfig={"memoryMb": 512}, maxIterations=5)
    [spec] = definition.steps.values()
    assert (spec.ref, spec.name, spec.type) == ("planner_1", "Plan", StepType.AGENT)
    assert spec.config == {
        "role": "planner",
        "cliId": "claude",
        **own,
        "prompt": "{{ payload.prompt }}",
        "repository": "{{ payload.githubRepoUrl }}",
        "branchName": "{{ payload.branchName }}",
        "images": "{{ payload.referenceImageIds }}",
        "runConfig": "{{ payload.config }}",
        "before": [],
        "defaults": {"memoryMb": 512},
    }


@pytest.mark.parametrize("role", Role)
def test_each_role_gives_its_step_a_ref_that_templates_can_say(role: Role) -> None:
    [spec] = piped(an_agent(role)).steps.values()
    assert (spec.ref, spec.name) == (f"{role.value.replace('-', '_')}_1", role)


def test_a_personas_step_leaves_role_and_tool_to_the_persona() -> None:
    pipeline: dict[str, Json] = {"personaPipelineSteps": [a_persona("p_1", instructions="Be brief"), a_persona("p_2")]}
    first, second = agents_of(compile_pipeline(pipeline))
    assert (first.ref, second.ref) == ("persona_1", "persona_2")
    assert (first.config["personaId"], first.config["instructions"]) == ("p_1", "Be brief")
    assert not {"role", "cliId"} & first.config.keys()


def test_the_steps_of_personas_come_before_those_of_tools() -> None:
    definition = piped(an_agent(), personaPipelineSteps=[a_persona()])
    assert list(definition.steps) == ["persona_1"]
    assert list(piped(an_agent(), personaPipelineSteps=[]).steps) == ["designer_1"]


def test_a_tool_of_the_defaults_stands_in_for_a_steps_own() -> None:
    [spec] = piped({"type": "designer"}, defaultConfig={"tool": "pi"}).steps.values()
    assert spec.config["defaults"] == {"cliId": "pi"}
    assert "cliId" not in spec.config


def test_null_says_nothing() -> None:
    silent: dict[str, Json] = {"name": None, "loopId": None, "loopMaxIterations": None, "model": None}
    assert piped(an_agent(**silent), defaultConfig=None, workflowGraph=None, type=None) == piped(an_agent())


def test_instructions_are_given_to_agents_as_they_stand_braces_and_all() -> None:
    said = "Render {{ user.name }} and ${{ secrets.KEY }}, {{{ raw }}} and }} too"
    [spec] = piped(an_agent("checker", instructions=said), defaultCheckerInstructions=said).steps.values()
    assert template.render(spec.config["instructions"], {}) == said
    assert template.render(spec.config["roleInstructions"], {}) == {"checker": said}


def test_what_all_agents_of_a_role_are_told_is_carried_by_each_step() -> None:
    told: dict[str, Json] = {"defaultCheckerInstructions": "Be strict", "defaultOptimizerInstructions": "Be quick"}
    definition = compile_pipeline({"personaPipelineSteps": [a_persona(), a_persona()], **told})
    assert [spec.config["roleInstructions"] for spec in agents_of(definition)] == [
        {"checker": "Be strict", "optimizer": "Be quick"},
    ] * 2


def test_steps_that_share_a_loop_become_its_body_and_what_follows_comes_after_the_loop() -> None:
    definition = piped(
        an_agent("planner"), an_agent("designer", "polish"), an_agent("checker", "polish"), an_agent("judge")
    )
    assert {spec.ref: spec.block for spec in definition.steps.values()} == {
        "planner_1": "",
        "loop_1": "",
        "designer_2": "loop_1/body",
        "checker_3": "loop_1/body",
        "loop_1_end": "loop_1/body",
        "judge_4": "",
    }
    assert {(edge.source, edge.target) for edge in definition.edges} == {
        ("planner_1", "loop_1"),
        ("loop_1", "judge_4"),
        ("designer_2", "checker_3"),
        ("checker_3", "loop_1_end"),
    }
    assert definition.steps["loop_1"].name == "polish"
    before = {spec.ref: spec.config["before"] for spec in agents_of(definition)}
    assert before["judge_4"] == ["planner_1", "designer_2", "checker_3"]
    assert before["designer_2"] == ["planner_1"]


@pytest.mark.parametrize(
    ("workflows", "steps", "count"),
    [(None, (None, None), 3), (7, (None, None), 7), (7, (None, 4), 4), (7, (4, 4), 4), (None, (50, None), 50)],
)
def test_a_loop_goes_round_as_often_as_its_steps_say_else_the_workflow_else_three_times(
    workflows: int | None, steps: tuple[int | None, int | None], count: int
) -> None:
    looped = [an_agent("designer", "l", loopMaxIterations=said) for said in steps]
    definition = piped(*looped, maxIterations=workflows)
    assert definition.steps["loop_1"].config["count"] == count
    assert [spec.config["maxIterations"] for spec in agents_of(definition)] == [count, count]


def test_a_drawing_runs_where_there_are_no_steps() -> None:
    graph = a_graph([a_node("a"), a_node("b", "agent")], ["a b"])
    assert list(compile_pipeline({"workflowGraph": graph}).steps) == ["a", "b"]
    assert list(piped(an_agent(), workflowGraph=graph).steps) == ["designer_1"]


def test_a_drawing_is_the_builders_own_while_there_are_steps() -> None:
    assert piped(an_agent(), workflowGraph={"nodes": 5, "zoom": [1, 2]}) == piped(an_agent())


@pytest.mark.parametrize("empty", [{}, {"workflowGraph": {"nodes": [], "edges": []}}, {"personaPipelineSteps": []}])
def test_a_pipeline_of_nothing_is_refused(empty: dict[str, Json]) -> None:
    [detail] = refused_for(empty)
    assert (detail.path, detail.message[:23]) == ("pipelineSteps", "a pipeline needs a step")


def test_what_is_wrong_with_a_drawing_that_is_to_run_is_told_where_it_stands() -> None:
    [detail] = refused_for({"workflowGraph": a_graph([a_node("a", "agent", prompt=...)])})
    assert (detail.path, detail.node_id) == ("workflowGraph.nodes.0.data.prompt", "a")


LOOPED = a_pipeline(an_agent("designer", "l"), an_agent("checker", "l"), an_agent("reviewer"), maxIterations=4)


def test_a_loop_ends_once_its_checker_passes() -> None:
    world = World(compile_pipeline(LOOPED))
    verdicts = {"loop_1.0.checker_2": "fail", "loop_1.1.checker_2": "pass"}
    assert followed(world, verdicts.get) == [
        *("loop_1.0.designer_1", "loop_1.0.checker_2"),
        *("loop_1.1.designer_1", "loop_1.1.checker_2"),
        "reviewer_3",
    ]
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED
    assert world.records["loop_1"].output == [
        {"output": "loop_1.0.checker_2", "verdict": "fail"},
        {"output": "loop_1.1.checker_2", "verdict": "pass"},
    ]


@pytest.mark.parametrize("verdict", ["fail", None, "perhaps"])
def test_a_loop_that_nobody_passes_goes_round_as_often_as_it_may_and_the_run_goes_on(verdict: str | None) -> None:
    world = World(compile_pipeline(LOOPED))
    keys = followed(world, lambda key: verdict if "checker" in key else None)
    assert [key for key in keys if "checker" in key] == [f"loop_1.{at}.checker_2" for at in range(4)]
    assert keys[-1] == "reviewer_3"
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED


def test_of_two_checkers_in_a_loop_both_must_pass() -> None:
    world = World(piped(an_agent("designer", "l"), an_agent("checker", "l"), an_agent("judge", "l"), maxIterations=5))
    failing = {"loop_1.0.checker_2", "loop_1.1.judge_3"}
    keys = followed(world, lambda key: None if "designer" in key else "fail" if key in failing else "pass")
    assert keys[-1] == "loop_1.2.judge_3"


def test_a_checker_outside_a_loop_may_fail_what_it_looks_at_and_the_run_goes_on() -> None:
    world = World(piped(an_agent(), an_agent("checker"), an_agent("optimizer")))
    assert followed(world, {"checker_2": "fail"}.get) == ["designer_1", "checker_2", "optimizer_3"]
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED


def test_a_loop_of_the_most_steps_there_may_be_can_still_be_ended() -> None:
    world = World(piped(*(an_agent("investigator", "l") for _ in range(100))))
    assert len(followed(world, {"loop_1.0.investigator_100": "pass"}.get)) == 100
