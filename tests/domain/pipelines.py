"""Builders for pipelines, and a driver whose agents say what a test says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.domain import template
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.domain.pipeline import compile_pipeline
from chalicelib.domain.refusal import Detail, InvalidDefinition
from chalicelib.domain.step import Claim
from chalicelib.domain.value import Json
from tests.domain.building import World


def an_agent(role: str = "designer", loop: str | None = None, /, **fields: Json) -> dict[str, Json]:
    """Return a pipeline's step with the least it does with."""
    looped: dict[str, Json] = {} if loop is None else {"loopId": loop}
    return {"type": role, "cliId": "claude", **looped, **fields}


def a_persona(persona_id: str = "p_1", loop: str | None = None, /, **fields: Json) -> dict[str, Json]:
    """Return a step that a persona takes."""
    looped: dict[str, Json] = {} if loop is None else {"loopId": loop}
    return {"personaId": persona_id, **looped, **fields}


def a_pipeline(*steps: Json, **fields: Json) -> dict[str, Json]:
    return {"pipelineSteps": list(steps), **fields}


def piped(*steps: Json, **fields: Json) -> Definition:
    """Return what a pipeline of these steps compiles to."""
    return compile_pipeline(a_pipeline(*steps, **fields))


def agents_of(definition: Definition) -> list[StepSpec]:
    """Return the steps that an author sees."""
    return [spec for spec in definition.steps.values() if spec.type is StepType.AGENT]


def refused_for(pipeline: dict[str, Json]) -> tuple[Detail, ...]:
    """Return what is wrong with a pipeline; one that is not refused fails the test."""
    with pytest.raises(InvalidDefinition) as caught:
        compile_pipeline(pipeline)
    assert caught.value.message == f"{caught.value.details[0].path}: {caught.value.details[0].message}"
    return caught.value.details


def followed(world: World, verdict_of: Callable[[str], Json]) -> list[str]:
    """Carry a run through with agents that report these verdicts, and return the keys of their steps in order."""

    def outcome(claim: Claim) -> Outcome:
        spec = world.definition.steps[claim.key.rsplit(".", 1)[-1]]
        if spec.type is StepType.BREAK:
            asked = str(spec.config["condition"])
            return Completed(output=template.truthy(template.evaluate(asked, world.progress.scope(claim.key))))
        verdict = verdict_of(claim.key)
        return Completed(output={"output": claim.key, **({} if verdict is None else {"verdict": verdict})})

    world.run(outcome)
    return [key for key, _ in world.started if world.definition.steps[key.rsplit(".", 1)[-1]].type is StepType.AGENT]
