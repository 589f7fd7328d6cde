"""Compiles what the workflows API saves, a pipeline of agent steps, to the definition that the engine runs.

The steps run one after another. Neighbours that share a ``loopId`` become the body of a loop that ends once a step of
its last iteration has said "pass" and none "fail". What an agent step's configuration holds beside the fields that
every agent step has (``graph_fields``):

    ``before``            the steps before it, by ref, in order
    ``defaults``          the workflow's ``defaultConfig``, its tool under ``cliId``
    ``runConfig``         a template of what the run was started with
    ``roleInstructions``  what agents of a role are told first, by role
    ``maxIterations``     of the loop that it stands in

Texts of a pipeline are no templates: an instruction may speak of ``{{ braces }}``. They are written so that rendering
gives them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import Final

from chalicelib.domain.definition import Definition, Edge, StepSpec, StepType, block_name
from chalicelib.domain.graph import compile_graph
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.persona import Role
from chalicelib.domain.pipeline_fields import PERSONA_STEP, PIPELINE, STEP, Fields, read, read_config
from chalicelib.domain.refusal import Detail, InvalidDefinition
from chalicelib.domain.template_text import as_template
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind

#: How often a loop goes round where nothing is said.
DEFAULT_ITERATIONS: Final = 3

#: The lists of steps, the one that counts before the other if it has any.
_LISTS: Final[Mapping[str, Fields]] = MappingProxyType({"personaPipelineSteps": PERSONA_STEP, "pipelineSteps": STEP})
_ROLE_INSTRUCTIONS: Final[Mapping[str, Role]] = MappingProxyType(
    {"defaultCheckerInstructions": Role.CHECKER, "defaultOptimizerInstructions": Role.OPTIMIZER},
)
#: What every step of a pipeline gets of its run.
_OF_RUN: Final[Mapping[str, Json]] = MappingProxyType(
    {
        "prompt": "{{ payload.prompt }}",
        "repository": "{{ payload.githubRepoUrl }}",
        "branchName": "{{ payload.branchName }}",
        "images": "{{ payload.referenceImageIds }}",
        "runConfig": "{{ payload.config }}",
    },
)
#: Fields that say where a step stands, not what its agent is.
_STANDING: Final = frozenset({"type", "name", "loopId", "loopMaxIterations"})


def compile_pipeline(pipeline: Mapping[str, Json]) -> Definition:
    """Return the definition that a pipeline stands for; ``InvalidDefinition`` with a detail for each thing wrong.

    Details' paths are the pipeline's own (``pipelineSteps.2.cliId``); the refusal's message is the first of them.
    """
    place = Place()
    fields = read(pipeline, PIPELINE, place)
    given, iterations = fields.get("defaultConfig", {}), fields.get("maxIterations")
    reading = _Reading(
        defaults=read_config(given, place.at("defaultConfig")),
        names_tool=isinstance(given, Mapping) and (given.get("cliId") or given.get("tool")) is not None,
        role_instructions={
            role.value: as_template(str(fields[name])) for name, role in _ROLE_INSTRUCTIONS.items() if fields.get(name)
        },
        iterations=iterations if isinstance(iterations, int) else DEFAULT_ITERATIONS,
    )
    lists = [reading.steps(fields.get(name), which, place.at(name)) for name, which in _LISTS.items()]
    units = next((units for units in lists if units), ())
    if not units and not place.details:
        return _drawn(fields.get("workflowGraph"), place)
    _refuse(place.details)
    return _definition(units)


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """A step, or the steps of a loop."""

    #: Of the loop; none for a step by itself.
    loop: StepSpec | None = None
    steps: tuple[StepSpec, ...]

    @property
    def ref(self) -> str:
        """What comes before and after the unit knows it by."""
        return self.loop.ref if self.loop is not None else self.steps[0].ref


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What all steps of a pipeline are read by."""

    defaults: Mapping[str, Json]
    #: Whether the defaults name a tool, if only one that there is not.
    names_tool: bool
    #: By role.
    role_instructions: Mapping[str, Json]
    #: Of a loop that says nothing of it.
    iterations: int

    def steps(self, given: Json, which: Fields, place: Place) -> tuple[_Unit, ...]:
        """Return a list of steps as units, and note what is wrong with them."""
        if not isinstance(given, list | tuple):
            return ()
        read_ones = [self._read(one, which, place.at(at)) for at, one in enumerate(given)]
        specs: list[StepSpec] = []
        for at, step in enumerate(read_ones):
            specs.append(self._spec(step, at, before=[spec.ref for spec in specs]))
        units: list[_Unit] = []
        met: set[Json] = set()
        for loop_id, run in groupby(enumerate(read_ones), key=lambda one: one[1].get("loopId")):
            places = [at for at, _ in run]
            if loop_id is None:
                units.extend(_Unit(steps=(specs[at],)) for at in places)
                continue
            if loop_id in met:
                rule = "the steps of a loop stand together, and others stand between these and those before"
                place.at(places[0]).at("loopId").refuse(f"{rule}: give them another loopId than {shown(loop_id)}")
            met.add(loop_id)
            count = self._iterations_of([read_ones[at] for at in places], [place.at(at) for at in places])
            units.append(_a_loop(str(loop_id), len(met), count, [specs[at] for at in places]))
        return tuple(units)

    def _read(self, given: Json, which: Fields, place: Place) -> Mapping[str, Json]:
        step = read(given, which, place)
        if not isinstance(given, Mapping):
            return step
        if "cliId" in which.checks and given.get("cliId") is None and not self.names_tool:
            place.at("cliId").refuse("cliId is required: neither the step nor defaultConfig names one")
        if "loopMaxIterations" in step and given.get("loopId") is None:
            place.at("loopMaxIterations").refuse("this counts for steps with a loopId, and this step has none")
        return step

    def _spec(self, step: Mapping[str, Json], at: int, *, before: Sequence[str]) -> StepSpec:
        """Return the step at a place, as it is outside of a loop."""
        role = step.get("type")
        called = "persona" if "personaId" in step else str(role)
        own = {name: value for name, value in step.items() if name not in _STANDING}
        if "instructions" in own:
            own["instructions"] = as_template(str(own["instructions"]))
        return StepSpec(
            ref=f"{called.replace('-', '_')}_{at + 1}",
            name=str(step.get("name", called)),
            type=StepType.AGENT,
            config={
                **({"role": role} if role is not None else {}),
                **own,
                **_OF_RUN,
                "before": list(before),
                "defaults": self.defaults,
                **({"roleInstructions": self.role_instructions} if self.role_instructions else {}),
            },
        )

    def _iterations_of(self, steps: Sequence[Mapping[str, Json]], places: Sequence[Place]) -> int:
        """Return how often a loop goes round; its steps that say so must say the same."""
        said: int | None = None
        for step, place in zip(steps, places, strict=True):
            count = step.get("loopMaxIterations")
            if not isinstance(count, int):
                continue
            if said is not None and count != said:
                place.at("loopMaxIterations").refuse(f"a step before it in the same loop says {said}: give one number")
            said = count if said is None else said
        return self.iterations if said is None else said


def _a_loop(loop_id: str, number: int, iterations: int, steps: Sequence[StepSpec]) -> _Unit:
    ref = f"loop_{number}"
    body = block_name(ref, "body")
    loop = StepSpec(
        ref=ref,
        name=loop_id,
        type=StepType.LOOP,
        config={"loopType": "times", "count": iterations, "itemVar": "item", "indexVar": "i"},
    )
    verdicts = ", ".join(f"{step.ref}.verdict" for step in steps)
    end = StepSpec(
        ref=f"{ref}_end",
        name=f"End of {loop_id}",
        type=StepType.BREAK,
        config={"condition": f"[{verdicts}] | (contains(@, 'pass') && !contains(@, 'fail'))"},
        block=body,
    )
    inside = (replace(step, block=body, config={**step.config, "maxIterations": iterations}) for step in steps)
    return _Unit(loop=loop, steps=(*inside, end))


def _definition(units: Sequence[_Unit]) -> Definition:
    steps: dict[str, StepSpec] = {}
    edges = [Edge(source=one.ref, target=other.ref) for one, other in pairwise(units)]
    for unit in units:
        if unit.loop is not None:
            steps[unit.loop.ref] = unit.loop
        steps |= {step.ref: step for step in unit.steps}
        edges.extend(Edge(source=one.ref, target=other.ref) for one, other in pairwise(unit.steps))
    return Definition(steps=steps, edges=tuple(edges))


def _drawn(graph: Json, place: Place) -> Definition:
    """Return what the builder's drawing stands for, where it is all that there is."""
    if not isinstance(graph, Mapping) or not graph.get("nodes"):
        place.at("pipelineSteps").refuse("a pipeline needs a step: here, or in personaPipelineSteps")
        _refuse(place.details)
    try:
        return compile_graph(graph, kind=WorkflowKind.WORKFLOW, trigger_code=None)
    except InvalidDefinition as error:
        here = "workflowGraph"
        details = [replace(one, path=f"{here}.{one.path}" if one.path else here) for one in error.details]
        _refuse(details)
        raise


def _refuse(details: Sequence[Detail]) -> None:
    """Decline a pipeline with anything wrong in it."""
    if details:
        first = details[0]
        raise InvalidDefinition(f"{first.path}: {first.message}", details=tuple(details))
