"""An agent step's fields: in a graph a node's ``data``, in a step list its ``payload``."""

from __future__ import annotations

import pytest

from chalicelib.domain.definition import StepType
from chalicelib.domain.persona import Effort, Role, Tool
from chalicelib.domain.refusal import Detail
from chalicelib.domain.step_list import compile_steps, show_steps
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind
from tests.domain.graphs import a_graph, a_node, compiled, problems
from tests.domain.pipelines import a_persona, a_pipeline, an_agent, piped
from tests.domain.step_lists import a_list_step, step_problems

LEAST: dict[str, Json] = {"cliId": "claude", "prompt": "Fix it"}
URL = "https://github.com/acme/shop"


def config_of(fields: dict[str, Json]) -> dict[str, Json]:
    """Return what a graph makes of an agent's fields, which is what a step list makes of them."""
    spec = compiled(a_graph([a_node("s", "agent", **fields)])).steps["s"]
    listed = compile_steps([a_list_step("s", "agent", payload={**LEAST, **fields})]).steps["s"]
    assert spec.config == {**listed.config, "prompt": spec.config["prompt"]}
    assert spec.type is listed.type is StepType.AGENT
    return dict(listed.config)


def refused_in_both(fields: dict[str, Json]) -> list[Detail]:
    """Return what a graph says is wrong with an agent's fields, which is what a step list says."""
    found = problems(a_graph([{**a_node("s", "agent"), "data": fields}]))
    listed = step_problems(a_list_step("s", "agent", payload=fields))
    assert [one.path.removeprefix("nodes.0.data.") for one in found] == [
        one.path.removeprefix("steps.0.payload.") for one in listed
    ]
    assert [one.message for one in found] == [one.message for one in listed]
    return [Detail(path=one.path.removeprefix("nodes.0.data."), message=one.message) for one in found]


@pytest.mark.parametrize(
    "fields",
    [
        *({"cliId": tool} for tool in Tool),
        *({"role": role} for role in Role),
        *({"thinkingEffort": effort} for effort in Effort),
        {"personaId": "p_1"},
        {"model": "claude-opus-4-7"},
        {"instructions": ""},
        {"instructions": "Mind {{ payload.style }}\nand the tests"},
        *({"repository": one} for one in (URL, "https://{{ payload.host }}/x", "{{ payload.url }}", "https://h:8443")),
        {"branchName": "fix/{{ payload.issue }}"},
        *({"images": one} for one in ([], ["st_1", "{{ payload.image }}"], "{{ payload.images }}")),
        {"templateId": "claude-2"},
        {"timeoutMs": 1000, "memoryMb": 122_880, "cpuCount": 0.25},
    ],
)
def test_good_fields_are_the_steps_configuration(fields: dict[str, Json]) -> None:
    known: dict[str, Json] = {} if "personaId" in fields else {"role": "custom"}
    assert config_of(fields) == {**known, **LEAST, **fields}


def test_an_agent_that_its_persona_is_named_for_has_its_personas_role() -> None:
    fields: dict[str, Json] = {"personaId": "p_1", "prompt": "Fix it"}
    assert compile_steps([a_list_step("s", "agent", payload=fields)]).steps["s"].config == fields


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"cliId": None}, "cliId", "names a cliId, or a personaId instead"),
        ({"prompt": None}, "prompt", "prompt is required"),
        ({"prompt": " "}, "prompt", "not empty"),
        ({"prompt": 5}, "prompt", "must be text"),
        *(({"cliId": bad}, "cliId", "must be one of claude, codex") for bad in ("cursor", "{{ payload.tool }}")),
        ({"role": "boss"}, "role", "must be one of designer, checker"),
        ({"personaId": "{{ payload.p }}"}, "personaId", "cannot hold a template"),
        ({"model": "{{ payload.m }}"}, "model", "cannot hold a template"),
        ({"model": "x" * 101}, "model", "1 to 100 characters"),
        ({"thinkingEffort": "most"}, "thinkingEffort", "low, medium, high, xhigh, max"),
        ({"instructions": "x" * 50_001}, "instructions", "50000 characters at most"),
        ({"instructions": "{{ payload."}, "instructions", "not closed"),
        ({"instructions": "{{ nowhere.x }}"}, "instructions", "there is no step"),
        *(
            ({"repository": bad}, "repository", "begins with https://")
            for bad in (
                *("", "git@github.com:a/b", "http://h/x", "https://", "https://user:pw@h/x", "https://a b", "ftp://x"),
                *("http://{{ payload.host }}", "x{{ payload.url }}", f"https://h/{'x' * 2000}", "https://h\\@other/x"),
            )
        ),
        ({"branchName": "a\nb"}, "branchName", "1 to 255 characters"),
        ({"images": "st_1"}, "images", "a list of at most 16 files"),
        ({"images": ["x"] * 17}, "images", "a list of at most 16 files"),
        ({"images": ["x", 5]}, "images.1", "must be text"),
        ({"templateId": "{{ payload.t }}"}, "templateId", "1 to 64 of the characters"),
        ({"timeoutMs": 999}, "timeoutMs", "from 1000 to 86400000"),
        ({"timeoutMs": "{{ payload.t }}"}, "timeoutMs", "from 1000 to 86400000"),
        ({"memoryMb": 255}, "memoryMb", "from 256 to 122880"),
        ({"cpuCount": 17}, "cpuCount", "from 0.25 to 16"),
        *(({name: []}, name, "no field") for name in ("before", "defaults", "runConfig", "maxIterations")),
    ],
)
def test_a_bad_field_is_refused_where_it_stands(fields: dict[str, Json], path: str, message: str) -> None:
    [detail] = refused_in_both({**LEAST, **fields})
    assert detail.path == path
    assert message in detail.message


def test_a_script_has_no_agents() -> None:
    [detail] = problems(a_graph([a_node("s", "agent")]), kind=WorkflowKind.SCRIPT)
    assert (detail.path, detail.message) == ("nodes.0.type", "a script cannot wait: it has no agent steps")


def test_an_agents_time_out_stands_in_its_data_alone() -> None:
    [detail] = problems(a_graph([a_node("s", "agent", config={"timeout": "1 hour"})]))
    assert (detail.path, detail.message) == (
        "nodes.0.config.timeout",
        "an agent has its time-out in its data: timeoutMs",
    )


def test_a_pipelines_agents_are_shown_as_steps_that_a_list_would_take() -> None:
    defaults: Json = {"tool": "pi", "model": "m", "memoryMb": 512}
    definition = piped({"type": "designer"}, an_agent("checker", model="n"), defaultConfig=defaults, maxIterations=2)
    shown = show_steps(definition)
    again = compile_steps(shown)
    assert [again.steps[ref].config["cliId"] for ref in ("designer_1", "checker_2")] == ["pi", "claude"]
    assert [again.steps[ref].config["model"] for ref in ("designer_1", "checker_2")] == ["m", "n"]
    assert {again.steps[ref].config["memoryMb"] for ref in again.steps} == {512}


def test_a_personas_step_is_shown_without_the_defaults_that_its_persona_comes_before() -> None:
    definition = piped(
        **a_pipeline(personaPipelineSteps=[a_persona("p_1", memoryMb=512)], defaultConfig={"tool": "pi"})
    )
    [step] = show_steps(definition)
    assert isinstance(step["payload"], dict)
    assert {name: step["payload"].get(name) for name in ("personaId", "cliId", "memoryMb")} == {
        "personaId": "p_1",
        "cliId": None,
        "memoryMb": 512,
    }
