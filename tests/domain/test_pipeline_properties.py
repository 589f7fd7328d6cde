"""Random pipelines: what is well formed compiles and runs to an end, and whatever is sent is refused at worst."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.persona import Effort, Role, Tool
from chalicelib.domain.pipeline import compile_pipeline
from chalicelib.domain.pipeline_fields import CONFIG, PERSONA_STEP, PIPELINE, STEP
from chalicelib.domain.refusal import InvalidDefinition
from chalicelib.domain.run import RunStatus
from chalicelib.domain.value import Json
from tests.domain.building import World
from tests.domain.pipelines import a_persona, agents_of, an_agent, followed
from tests.domain.strategies import Happening, happenings
from tests.domain.walk import Walk

JSON: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
WORDS: st.SearchStrategy[Json] = st.sampled_from(
    [*Role, *Tool, *Effort, "l", "m", 3, 512, 0.5, 1000, "{{", "{{ x }}", {}]
)


@st.composite
def pipelines(draw: st.DrawFn) -> dict[str, Json]:
    """Any well-formed pipeline of a few steps and loops."""
    steps: list[Json] = []
    personas = draw(st.booleans())
    for at in range(draw(st.integers(1, 5))):
        loop = draw(st.sampled_from([None, f"loop {at}"]))
        for _ in range(draw(st.integers(1, 3)) if loop else 1):
            role = draw(st.sampled_from(Role))
            steps.append(a_persona(f"p_{at}", loop) if personas else an_agent(role, loop, instructions="{{ x }}"))
    listed = "personaPipelineSteps" if personas else "pipelineSteps"
    return {listed: steps, "maxIterations": draw(st.integers(1, 4))}


@given(pipelines(), st.integers())
@settings(deadline=None, max_examples=60)
def test_any_pipeline_runs_to_its_end_whatever_its_agents_say(pipeline: dict[str, Json], seed: int) -> None:
    definition = compile_pipeline(pipeline)
    agents = [spec.ref for spec in agents_of(definition)]
    assert [spec.config["before"] for spec in agents_of(definition)] == [agents[:at] for at in range(len(agents))]
    world, chance = World(definition), random.Random(seed)
    keys = followed(world, lambda _: chance.choice(("pass", "fail", None, "perhaps")))
    assert world.finish is not None
    assert world.finish.status is RunStatus.COMPLETED
    assert list(dict.fromkeys(key.rsplit(".", 1)[-1] for key in keys)) == agents
    assert all(int(key.split(".")[1]) < int(str(pipeline["maxIterations"])) for key in keys if "." in key)


@given(pipelines(), happenings)
@settings(deadline=None, max_examples=20)
def test_whatever_happens_to_a_pipelines_run_the_engines_rules_hold_and_it_ends(
    pipeline: dict[str, Json], happened: list[Happening]
) -> None:
    walk = Walk(compile_pipeline(pipeline))
    for happening in happened:
        walk.happen(happening)
    walk.finish()


def objects(names: tuple[str, ...], *more: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.dictionaries(st.sampled_from([*names, "colour"]), st.one_of(WORDS, JSON, *more), max_size=5)


STEPS = st.lists(objects((*STEP.checks, *PERSONA_STEP.checks)), max_size=3)


@given(objects(tuple(PIPELINE.checks), STEPS, objects(tuple(CONFIG.checks))))
@settings(deadline=None, max_examples=200)
def test_whatever_is_sent_compiles_or_is_refused(pipeline: Json) -> None:
    assert isinstance(pipeline, dict)
    refusal = None
    try:
        compile_pipeline(pipeline)
    except InvalidDefinition as error:
        refusal = error
    assert refusal is None or all(detail.path and detail.message for detail in refusal.details)
