"""Compiles the workflow-runs API's step list to the definition that the engine runs, or says all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType

from chalicelib.domain import condition as conditions
from chalicelib.domain import graph_checks as check
from chalicelib.domain.condition import Condition
from chalicelib.domain.definition import (
    ROOT,
    Definition,
    Edge,
    OnFailure,
    ResourceClass,
    StepSpec,
    StepType,
    container_of,
)
from chalicelib.domain.graph_fields import FIELDS, read_data
from chalicelib.domain.graph_order import cycles, ordered, successors_of
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.graph_references import Visibility, missing
from chalicelib.domain.references import STEPS, Found, Reference, references, references_of_condition
from chalicelib.domain.refusal import InvalidDefinition
from chalicelib.domain.retry import RetryPolicy
from chalicelib.domain.scope import BUILT_IN
from chalicelib.domain.step_fields import BACKOFFS, CALLS, LONGEST_WAIT, read_fields
from chalicelib.domain.value import Json

MOST_STEPS = 1000
#: All dependencies together.
MOST_EDGES = 50_000
#: The name by which an ``output_transform`` sees what the step itself answered.
OWN_OUTPUT = "output"


def compile_steps(steps: Json) -> Definition:
    """Return the definition that a step list stands for; ``InvalidDefinition`` with a detail for each thing wrong.

    Details' paths begin with ``steps``, as in ``steps.3.depends_on.0``; the refusal's message is the first of them.
    """
    place = Place(path="steps")
    read = _read_steps(steps, place)
    specs = {ref: step.spec for ref, step in read.items()}
    definition = Definition(steps=specs, edges=_edges(read, place), answers_by_step=True)
    _check_references(read, _sight(read, definition))
    if place.details:
        first = place.details[0]
        raise InvalidDefinition(f"{first.path}: {first.message}", details=tuple(place.details))
    return definition


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A step as far as it could be read."""

    spec: StepSpec
    #: What was sent, well formed and with the defaults.
    fields: Mapping[str, Json]
    #: What its templates refer to.
    reads: tuple[Reference, ...]
    place: Place


def _read_steps(steps: Json, place: Place) -> dict[str, _Step]:
    if not isinstance(steps, list | tuple):
        place.refuse("steps must be a list")
        return {}
    if not 1 <= len(steps) <= MOST_STEPS:
        place.refuse(f"a workflow has 1 to {MOST_STEPS} steps; this one has {len(steps)}")
        return {}
    found: dict[str, _Step] = {}
    for at, given in enumerate(steps):
        here = place.at(at)
        step = _read_step(given, here)
        if step is not None and step.spec.ref in found:
            here.at("step_ref").refuse(f"there is another step with the step_ref {shown(step.spec.ref)}")
        elif step is not None:
            found[step.spec.ref] = step
    return found


def _read_step(given: Json, place: Place) -> _Step | None:
    """Return a step, and note what is wrong with it; None where it cannot be referred to."""
    if not isinstance(given, Mapping):
        place.refuse("a step is an object {step_ref, step_type, depends_on, …}")
        return None
    fields = read_fields(given, place)
    reading = _Reading(fields=fields, place=place)
    type_ = fields.get("step_type")
    # A step without a type was noted; nothing is made of the definition then.
    step_type = StepType.TRANSFORM if type_ is None else StepType(str(type_))
    spec = StepSpec(
        ref=str(fields.get("step_ref")),
        name=str(fields.get("step_ref")),
        type=step_type,
        config={} if type_ is None else _CONFIGS[step_type](reading),
        retry=_retry(fields),
        # A sub-workflow's time-out is that of the wait for it, and part of its configuration.
        timeout=None if step_type is StepType.SUB_WORKFLOW else _timeout(fields),
        on_failure=OnFailure(str(fields["on_failure"])),
        condition=reading.condition(),
        concurrency_key=_maybe_text(fields, "concurrency_key"),
        resource_class=ResourceClass(str(fields["resource_class"])) if "resource_class" in fields else None,
        output_transform=reading.output_transform(),
        emit_key=_maybe_text(reading.templated("event_emit_key"), "event_emit_key"),
    )
    return _Step(spec=spec, fields=fields, reads=tuple(reading.reads), place=place) if "step_ref" in fields else None


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One step's fields while its parts are made of them, and the references met on the way."""

    fields: Mapping[str, Json]
    place: Place
    reads: list[Reference] = field(default_factory=list)

    def templated(self, name: str) -> Mapping[str, Json]:
        """Return a field that may hold templates under its name, or nothing where it is not given."""
        if name not in self.fields:
            return {}
        self.note(references(self.fields[name], path=self.place.at(name).path))
        return {name: self.fields[name]}

    def note(self, found: Found) -> None:
        """Keep what templates refer to, and note those that cannot be read."""
        self.place.refuse_unreadable(found)
        self.reads.extend(found.references)

    def condition(self) -> Condition | None:
        """Return the step's condition, if it has one that could be read."""
        if "condition" not in self.fields:
            return None
        condition = conditions.read(self.fields["condition"], self.place.at("condition"))
        for operand in condition.all_operands() if condition else ():
            self.reads.extend(references(operand.value, path=operand.path).references)
        return condition

    def output_transform(self) -> Json:
        """Return what the step's output becomes; text without braces is an expression, as nothing else makes sense."""
        given, path = self.fields.get("output_transform"), self.place.at("output_transform").path
        if isinstance(given, str) and "{{" not in given:
            found, given = references_of_condition(given, path=path), f"{{{{ {given} }}}}"
        else:
            found = references(given, path=path)
        own = (OWN_OUTPUT, None)
        self.note(replace(found, references=tuple(one for one in found.references if (one.root, one.step) != own)))
        return given


def _job(step: _Reading) -> Mapping[str, Json]:
    kind = step.fields.get("job_id", step.fields.get("step_ref"))
    return {"jobId": kind, "payload": step.templated("payload").get("payload")}


def _approval(step: _Reading) -> Mapping[str, Json]:
    return {
        "approvers": step.templated("approval_approvers").get("approval_approvers"),
        "timeout": _duration(_int(step.fields, "approval_timeout_secs") or LONGEST_WAIT),
        **{name: value for name, value in _small_payload(step, "message").items() if value is not None},
        **({"forbidSelfApproval": True} if step.fields.get("forbid_self_approval") else {}),
    }


def _sub_workflow(step: _Reading) -> Mapping[str, Json]:
    timeout = _int(step.fields, "timeout_secs_override")
    return {
        "workflowId": step.templated("sub_workflow_id").get("sub_workflow_id"),
        "input": step.templated("payload").get("payload"),
        "waitForCompletion": True,
        "maxNestingDepth": step.fields["max_nesting_depth"],
        **({"timeout": _duration(timeout)} if timeout else {}),
    }


def _wait_for_event(step: _Reading) -> Mapping[str, Json]:
    _small_payload(step)
    timeout = _duration(_int(step.fields, "event_timeout_secs"))
    return {"eventKey": step.templated("event_key").get("event_key"), "timeout": timeout}


def _sleep(step: _Reading) -> Mapping[str, Json]:
    _small_payload(step)
    return {"duration": _duration(_int(step.fields, "sleep_duration_secs"))}


def _transform(step: _Reading) -> Mapping[str, Json]:
    if "payload" not in step.fields:
        step.place.at("payload").refuse("payload is required in a step of type transform: it is what the step answers")
    return {"value": step.templated("payload").get("payload")}


def _as_node(step_type: StepType) -> Callable[[_Reading], Mapping[str, Json]]:
    """Return what reads the payload of a step that takes the same fields as a graph node's ``data``."""

    def config(step: _Reading) -> Mapping[str, Json]:
        place, payload = step.place.at("payload"), step.fields.get("payload", {})
        if not isinstance(payload, Mapping):
            place.refuse(f"the payload of a step of type {step_type} is an object of its fields")
            return {}
        data = read_data(step_type, payload, place)
        step.reads.extend(one for found in data.reads.values() for one in found.references)
        return data.config

    return config


def _small_payload(step: _Reading, *known: str) -> Mapping[str, Json]:
    """Return the payload of a step that has little use for one."""
    place, payload = step.place.at("payload"), step.templated("payload").get("payload") or {}
    if not isinstance(payload, Mapping):
        place.refuse("the payload of such a step is an object")
        return {}
    place.refuse_unknown(payload, known=known)
    for name in known:
        if payload.get(name) is not None:
            check.text(payload[name], place.at(name))
    return payload


#: How the configuration of each type is made, in the words that the executors know.
_CONFIGS: Mapping[StepType, Callable[[_Reading], Mapping[str, Json]]] = MappingProxyType(
    {
        StepType.JOB: _job,
        StepType.APPROVAL: _approval,
        StepType.SUB_WORKFLOW: _sub_workflow,
        StepType.WAIT_FOR_EVENT: _wait_for_event,
        StepType.SLEEP: _sleep,
        StepType.TRANSFORM: _transform,
        **{step_type: _as_node(step_type) for step_type in (*CALLS, StepType.AGENT)},
    },
)


def _retry(fields: Mapping[str, Json]) -> RetryPolicy:
    return RetryPolicy(
        limit=_int(fields, "retry_max_attempts"),
        delay=timedelta(seconds=_int(fields, "retry_initial_delay_secs")),
        backoff=BACKOFFS[str(fields["retry_backoff"])],
        longest=timedelta(seconds=_int(fields, "retry_max_delay_secs")),
    )


def _timeout(fields: Mapping[str, Json]) -> timedelta | None:
    seconds = _int(fields, "timeout_secs_override")
    return timedelta(seconds=seconds) if seconds else None


def _int(fields: Mapping[str, Json], name: str) -> int:
    """Return a number that was checked; 0 where it was refused or is not there."""
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def _maybe_text(fields: Mapping[str, Json], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _duration(seconds: int) -> str:
    return f"{seconds} seconds"


def _edges(steps: Mapping[str, _Step], place: Place) -> tuple[Edge, ...]:
    """Return the edges to each step from those it depends on, and note dependencies that cannot be."""
    edges: list[Edge] = []
    for ref, step in steps.items():
        given = step.fields.get("depends_on")
        seen: set[str] = set()
        for at, source in enumerate(given if isinstance(given, list | tuple) else ()):
            problem = None
            if source == ref:
                problem = "a step cannot depend on itself"
            elif source not in steps:
                problem = f"there is no step {shown(source)}"
            elif source in seen:
                problem = f"{shown(source)} is there twice"
            if problem is not None:
                step.place.at("depends_on").at(at).refuse(problem)
                continue
            seen.add(str(source))
            edges.append(Edge(source=str(source), target=ref, required=True))
    if len(edges) > MOST_EDGES:
        place.refuse(f"steps may name {MOST_EDGES} dependencies at most, all in all; these name {len(edges)}")
        return ()
    return tuple(edges)


def _sight(steps: Mapping[str, _Step], definition: Definition) -> Visibility | None:
    """Return what each step may refer to; None, and notes, where there are cycles."""
    successors = successors_of(steps, ((edge.source, edge.target) for edge in definition.edges))
    knots = cycles(successors)
    for cycle in knots:
        way = " → ".join(map(shown, (*cycle, cycle[0])))
        steps[cycle[0]].place.at("depends_on").refuse(f"a cycle: {way}; steps cannot wait for one another")
    return None if knots else Visibility(definition, order=ordered(successors))


def _check_references(steps: Mapping[str, _Step], sight: Visibility | None) -> None:
    """Note references to what is not there, or not yet; among steps in a cycle only those to what is nowhere."""
    for ref, step in steps.items():
        for reference in step.reads:
            if sight is not None:
                problem = sight.problem(reference, ref=ref)
            else:
                name = reference.step or reference.root
                problem = None if name in steps or name in BUILT_IN else missing(reference)
            if problem is not None:
                replace(step.place, path=reference.path).refuse(f"{problem}, in {shown(reference.expression)}")
        for operand in step.spec.condition.all_operands() if step.spec.condition else ():
            if operand.step_ref is not None:
                asked = Reference(root=STEPS, step=operand.step_ref, expression="", path=operand.path)
                _check_asked(asked, ref, step.place, steps, sight)


def _check_asked(asked: Reference, ref: str, place: Place, steps: Collection[str], sight: Visibility | None) -> None:
    """Note a question for the status of a step that is not there, or that has none which stays."""
    here = replace(place, path=asked.path)
    if asked.step not in steps:
        here.refuse(f"there is no step {shown(asked.step)}")
    elif asked.step == ref:
        here.refuse("a step's condition cannot ask for its own status")
    elif sight is not None and sight.problem(asked, ref=ref) is not None:
        here.refuse(f"{shown(asked.step)} does not come before {shown(ref)}, so its status is not settled then")


def show_steps(definition: Definition) -> list[dict[str, Json]]:
    """Return the steps of a definition that a graph was compiled to as steps of a list, as far as that can be said.

    The payload is the node's data. What stands in a container depends on it; the labels of edges are not told.
    """
    return [_shown_step(spec, definition) for spec in definition.steps.values()]


def _shown_step(spec: StepSpec, definition: Definition) -> dict[str, Json]:
    sources = dict.fromkeys(edge.source for edge in definition.incoming[spec.ref])
    if not sources and spec.block != ROOT:
        sources = {container_of(spec.block): None}
    shown_: dict[str, Json] = {
        "step_ref": spec.ref,
        "step_type": spec.type,
        "depends_on": list(sources),
        "on_failure": spec.on_failure,
        "payload": _shown_agent(spec.config) if spec.type is StepType.AGENT else spec.config,
        "retry_max_attempts": spec.retry.limit,
    }
    return shown_ if spec.timeout is None else {**shown_, "timeout_secs_override": round(spec.timeout.total_seconds())}


def _shown_agent(config: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return an agent step's own fields; where a pipeline has defaults, those that no persona comes before."""
    defaults = config.get("defaults")
    given = {**defaults, **config} if isinstance(defaults, Mapping) and "personaId" not in config else config
    return {name: given[name] for name in FIELDS[StepType.AGENT] if name in given}
