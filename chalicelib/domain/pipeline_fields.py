"""The fields of a pipeline, of its steps and of its defaults: what they may hold, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from chalicelib.domain import agent_checks as agent
from chalicelib.domain.field_checks import line, whole_number
from chalicelib.domain.graph_checks import Check
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Tool
from chalicelib.domain.template_tree import too_deep
from chalicelib.domain.value import Json

MOST_STEPS: Final = 100
MOST_ITERATIONS: Final = 50
LONGEST_NAME: Final = 200
#: How deep a builder's drawing may nest.
DEEPEST_DRAWING: Final = 64

_iterations = whole_number(1, MOST_ITERATIONS)


def drawing(value: Json, place: Place) -> None:
    """Want an object, such as a builder keeps; what is in it is the builder's own."""
    if not isinstance(value, Mapping):
        place.refuse("this must be an object, such as {nodes, edges}")
    elif too_deep(value, deepest=DEEPEST_DRAWING):
        place.refuse(f"this may nest {DEEPEST_DRAWING} levels deep at most")


def an_object(value: Json, place: Place) -> None:
    """Want an object; its fields are looked at by themselves."""
    if not isinstance(value, Mapping):
        place.refuse("this must be an object")


def some_steps(value: Json, place: Place) -> None:
    """Want a list of steps; they are looked at one by one."""
    if not isinstance(value, list | tuple):
        place.refuse("this must be a list of steps")
    elif len(value) > MOST_STEPS:
        place.refuse(f"a pipeline has {MOST_STEPS} steps at most; this one has {len(value)}")


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What an object may hold."""

    checks: Mapping[str, Check]
    required: tuple[str, ...] = ()


_SANDBOX: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "templateId": agent.template_id,
        "timeoutMs": agent.timeout_ms,
        "memoryMb": agent.memory_mb,
        "cpuCount": agent.cpu_count,
    },
)
_TOOL: Final[Mapping[str, Check]] = MappingProxyType(
    {"cliId": agent.tool, "model": agent.model, "thinkingEffort": agent.effort},
)
_PLACE: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "name": line(LONGEST_NAME),
        "instructions": agent.instructions,
        "loopId": line(100),
        "loopMaxIterations": _iterations,
    },
)

#: A workflow's ``defaultConfig``, and the ``config`` of a run. ``tool`` is another word for ``cliId``.
CONFIG: Final = Fields(checks=MappingProxyType({"cliId": agent.tool, "tool": agent.tool, **_TOOL, **_SANDBOX}))
STEP: Final = Fields(checks=MappingProxyType({"type": agent.role, **_TOOL, **_PLACE, **_SANDBOX}), required=("type",))
PERSONA_STEP: Final = Fields(
    checks=MappingProxyType({"personaId": agent.persona_id, **_PLACE, **_SANDBOX}),
    required=("personaId",),
)
PIPELINE: Final = Fields(
    checks=MappingProxyType(
        {
            "type": line(100),
            "defaultConfig": an_object,
            "maxIterations": _iterations,
            "pipelineSteps": some_steps,
            "personaPipelineSteps": some_steps,
            "workflowGraph": drawing,
            "defaultCheckerInstructions": agent.instructions,
            "defaultOptimizerInstructions": agent.instructions,
        },
    ),
)


def read(given: Json, fields: Fields, place: Place) -> dict[str, Json]:
    """Return the well-formed fields of an object, and note what is wrong with the others; null counts as not given."""
    if not isinstance(given, Mapping):
        place.refuse(f"this must be an object of the fields {', '.join(fields.checks)}")
        return {}
    place.refuse_unknown(given, known=tuple(fields.checks))
    found: dict[str, Json] = {}
    for name, check in fields.checks.items():
        before, value, here = len(place.details), given.get(name), place.at(name)
        if value is not None:
            check(value, here)
        elif name in fields.required:
            here.refuse(f"{name} is required")
        if value is not None and len(place.details) == before:
            found[name] = value
    return found


def read_config(given: Json, place: Place) -> dict[str, Json]:
    """Return a ``defaultConfig``, or a run's ``config``, with its tool under ``cliId``; note what is wrong with it."""
    found = read(given, CONFIG, place)
    tool = found.pop("tool", None)
    if tool is not None and found.setdefault("cliId", tool) != tool:
        rule = f"tool is another word for cliId, and that is {Tool(str(found['cliId']))}"
        place.at("tool").refuse(f"{rule}: give one of them")
    return found
