"""What is wrong with a pipeline, and where."""

from __future__ import annotations

import pytest

from chalicelib.domain.graph_problems import Place
from chalicelib.domain.pipeline_fields import CONFIG, PERSONA_STEP, PIPELINE, STEP, Fields, read_config
from chalicelib.domain.value import Json
from tests.domain.pipelines import a_persona, a_pipeline, an_agent, piped, refused_for

#: Values that no field takes, by field, and what is said of them.
BAD: dict[str, tuple[tuple[Json, ...], str]] = {
    "type": (("", "deep_dive", "Checker", 5, [], "{{ x }}"), "must be one of designer, checker"),
    "cliId": (("", "cursor", "Claude", 5, {}, "{{ payload.x }}"), "must be one of claude, codex, opencode, pi"),
    "tool": (("", "cursor", 5), "must be one of claude"),
    "model": (("", " ", "x" * 101, 5, "a\nb"), "text of 1 to 100 characters"),
    "thinkingEffort": (("", "extreme", 3), "must be one of low, medium, high, xhigh, max"),
    "name": (("", " ", "x" * 201, 5), "text of 1 to 200 characters"),
    "instructions": (("x" * 50_001, 5, ["x"], "\ud800"), "text of 50000 characters at most"),
    "loopId": (("", "x" * 101, 5, {}), "text of 1 to 100 characters"),
    "loopMaxIterations": ((0, 51, -1, 1.5, "3", True), "a whole number from 1 to 50"),
    "templateId": (("", "a b", "a.b", "x" * 65, "é", "{{ x }}", 5), "1 to 64 of the characters"),
    "timeoutMs": ((0, 999, 86_400_001, 1.5, "1000", True), "a whole number from 1000 to 86400000 (milliseconds)"),
    "memoryMb": ((0, 255, 122_881, 512.5, "512", True), "a whole number from 256 to 122880"),
    "cpuCount": ((0, 0.2, 16.5, "1", True, float("nan")), "a number from 0.25 to 16"),
    "personaId": (("", "x" * 256, 5), "text of 1 to 255 characters"),
}
#: The ends of what they take.
GOOD: dict[str, tuple[Json, ...]] = {
    "model": ("m", "x" * 100),
    "instructions": ("", "x" * 50_000, "two\nlines"),
    "timeoutMs": (1_000, 86_400_000),
    "memoryMb": (256, 122_880),
    "cpuCount": (0.25, 1, 16),
    "templateId": ("a", "A-b_9" * 12),
    "loopMaxIterations": (1, 50),
    "name": ("n", "x" * 200),
}
NO_OBJECTS: tuple[Json, ...] = ("x", 5, [])
NO_LISTS: tuple[Json, ...] = ("x", 5, {})
OF: tuple[tuple[str, str, Fields], ...] = (
    ("pipelineSteps", "pipelineSteps.1", STEP),
    ("personaPipelineSteps", "personaPipelineSteps.1", PERSONA_STEP),
    ("defaultConfig", "defaultConfig", CONFIG),
)


def a_pipeline_with(where: str, **fields: Json) -> dict[str, Json]:
    """Return a pipeline that has these fields in the second step of a list, or in its defaults."""
    loop: dict[str, Json] = {"loopId": "l"} if "loopMaxIterations" in fields else {}
    match where:
        case "pipelineSteps":
            return a_pipeline(an_agent(), an_agent(**{**loop, **fields}))
        case "personaPipelineSteps":
            return {"personaPipelineSteps": [a_persona(), a_persona(**{**loop, "personaId": "p", **fields})]}
        case _:
            return a_pipeline(an_agent(), defaultConfig=fields)


@pytest.mark.parametrize(
    ("where", "path", "name"),
    [(where, path, name) for where, path, fields in OF for name in fields.checks],
)
def test_a_bad_field_is_refused_where_it_stands(where: str, path: str, name: str) -> None:
    values, message = BAD[name]
    for value in values:
        details = refused_for(a_pipeline_with(where, **{name: value}))
        assert {detail.path for detail in details} == {f"{path}.{name}"}, value
        assert message in details[0].message, value


@pytest.mark.parametrize(
    ("where", "name"),
    [(where, name) for where, _, fields in OF for name in fields.checks if name in GOOD],
)
def test_the_ends_of_what_a_field_takes_are_taken(where: str, name: str) -> None:
    for value in GOOD[name]:
        pipeline = a_pipeline_with(where, **{name: value})
        assert piped(**pipeline).steps


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"colour": 1}, "colour", 'no field "colour"; the fields here are type, defaultConfig'),
        ({"name": "x"}, "name", 'no field "name"'),
        *(({"type": bad}, "type", "1 to 100 characters") for bad in ("", " ", "x" * 101)),
        *(({"defaultConfig": bad}, "defaultConfig", "must be an object") for bad in NO_OBJECTS),
        *(({"maxIterations": bad}, "maxIterations", "from 1 to 50") for bad in (0, 51, True, "3")),
        *(({"pipelineSteps": bad}, "pipelineSteps", "must be a list of steps") for bad in NO_LISTS),
        ({"pipelineSteps": [an_agent()] * 101}, "pipelineSteps", "100 steps at most; this one has 101"),
        *(({"workflowGraph": bad}, "workflowGraph", "must be an object") for bad in NO_OBJECTS),
        ({"defaultCheckerInstructions": 5}, "defaultCheckerInstructions", "50000 characters"),
        ({"defaultOptimizerInstructions": "x" * 50_001}, "defaultOptimizerInstructions", "50000 characters"),
        ({"personaPipelineSteps": "x"}, "personaPipelineSteps", "must be a list of steps"),
        ({"pipelineSteps": ["x"]}, "pipelineSteps.0", "must be an object of the fields type"),
        ({"pipelineSteps": [None]}, "pipelineSteps.0", "must be an object of the fields type"),
        ({"pipelineSteps": [{"cliId": "pi"}]}, "pipelineSteps.0.type", "type is required"),
        ({"pipelineSteps": [{"type": "judge"}]}, "pipelineSteps.0.cliId", "neither the step nor defaultConfig"),
        ({"pipelineSteps": [an_agent(prompt="x")]}, "pipelineSteps.0.prompt", 'no field "prompt"'),
        ({"pipelineSteps": [an_agent(before=[])]}, "pipelineSteps.0.before", 'no field "before"'),
        ({"personaPipelineSteps": [{}]}, "personaPipelineSteps.0.personaId", "personaId is required"),
        ({"personaPipelineSteps": [a_persona(cliId="pi")]}, "personaPipelineSteps.0.cliId", 'no field "cliId"'),
        ({"defaultConfig": {"role": "judge"}}, "defaultConfig.role", 'no field "role"'),
        (
            {"defaultConfig": {"cliId": "pi", "tool": "codex"}},
            "defaultConfig.tool",
            "tool is another word for cliId, and that is pi",
        ),
        (
            {"pipelineSteps": [an_agent(loopMaxIterations=3)]},
            "pipelineSteps.0.loopMaxIterations",
            "steps with a loopId",
        ),
        (
            {
                "pipelineSteps": [
                    an_agent("designer", "l", loopMaxIterations=3),
                    an_agent("designer", "l", loopMaxIterations=4),
                ]
            },
            "pipelineSteps.1.loopMaxIterations",
            "a step before it in the same loop says 3",
        ),
        (
            {"pipelineSteps": [an_agent("designer", "l"), an_agent(), an_agent("designer", "l")]},
            "pipelineSteps.2.loopId",
            'another loopId than "l"',
        ),
    ],
)
def test_a_bad_pipeline_is_refused(fields: dict[str, Json], path: str, message: str) -> None:
    [detail] = refused_for({**a_pipeline(an_agent()), **fields})
    assert detail.path == path
    assert message in detail.message


def test_a_drawing_may_not_nest_without_end() -> None:
    deep: Json = 1
    for _ in range(2000):
        deep = {"in": deep}
    [detail] = refused_for(a_pipeline(an_agent(), workflowGraph=deep))
    assert (detail.path, "64 levels" in detail.message) == ("workflowGraph", True)


def test_all_that_is_wrong_is_told_at_once_in_both_lists() -> None:
    pipeline = a_pipeline({"type": "x"}, 5, personaPipelineSteps=[{"name": ""}], defaultConfig={"cpuCount": 99})
    assert {detail.path for detail in refused_for(pipeline)} == {
        "defaultConfig.cpuCount",
        "personaPipelineSteps.0.personaId",
        "personaPipelineSteps.0.name",
        "pipelineSteps.0.type",
        "pipelineSteps.0.cliId",
        "pipelineSteps.1",
    }


def test_a_tool_that_there_is_not_is_told_once_and_not_at_each_step() -> None:
    [detail] = refused_for(a_pipeline({"type": "judge"}, {"type": "judge"}, defaultConfig={"tool": "x"}))
    assert detail.path == "defaultConfig.tool"


def test_a_runs_config_is_read_as_a_workflows_defaults_are() -> None:
    place = Place(path="config")
    assert read_config({"tool": "pi", "memoryMb": 512, "model": None}, place) == {"cliId": "pi", "memoryMb": 512}
    assert read_config({"cliId": "pi", "tool": "pi"}, place) == {"cliId": "pi"}
    assert place.details == []
    read_config({"memoryMb": "much"}, place)
    read_config(5, place)
    assert [detail.path for detail in place.details] == ["config.memoryMb", "config"]


def test_every_field_of_every_object_is_tried() -> None:
    assert {name for _, _, fields in OF for name in fields.checks} == BAD.keys()
    assert PIPELINE.checks.keys() >= {where for where, _, _ in OF}
