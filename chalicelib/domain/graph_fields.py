"""The grammar of a node's ``data``: the fields of each type of step, and where they hold templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from chalicelib.domain import agent_checks as agent
from chalicelib.domain import graph_checks as check
from chalicelib.domain.definition import StepType
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.persona import Role
from chalicelib.domain.references import Found, below, references, references_of_condition
from chalicelib.domain.value import Json

#: How a field's references are read: value and path to what is found.
Read: TypeAlias = Callable[[Json, str], Found]

#: How long an event or an approval is waited for where nothing is said.
DEFAULT_WAIT = "24 hours"
LOOP_TYPES: Mapping[str, str] = MappingProxyType({"forEach": "collection", "while": "condition", "times": "count"})


def _nothing(value: Json, path: str) -> Found:  # noqa: ARG001 - has the signature of every reader
    return Found()


def _templates(value: Json, path: str) -> Found:
    return references(value, path=path)


def _condition(value: Json, path: str) -> Found:
    return Found() if not isinstance(value, str) or check.is_else(value) else references_of_condition(value, path=path)


def _either(value: Json, path: str) -> Found:
    """Read text without braces as an expression, and anything else as a value with templates."""
    return _templates(value, path) if not isinstance(value, str) or "{{" in value else _condition(value, path)


def _branches(value: Json, path: str) -> Found:
    found = Found()
    for at, branch in enumerate(value if isinstance(value, list | tuple) else ()):
        if isinstance(branch, Mapping):
            found += _condition(branch.get("condition"), below(below(path, at), "condition"))
    return found


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a type's ``data``."""

    check: check.Check
    read: Read = _templates
    required: bool = False
    #: What it is where it is not given; None leaves it out.
    default: Json = None


def _loop_type(value: Json, place: Place) -> None:
    if not isinstance(value, str) or value not in LOOP_TYPES:
        place.refuse(f"loopType must be one of {', '.join(LOOP_TYPES)}")


_WAIT = Field(check=check.duration, default=DEFAULT_WAIT)

#: The fields of each type's ``data``.
FIELDS: Mapping[StepType, Mapping[str, Field]] = MappingProxyType(
    {
        StepType.HTTP_REQUEST: {
            "method": Field(check=check.method, read=_nothing, required=True),
            "url": Field(check=check.url, required=True),
            "headers": Field(check=check.fields),
            "queryParams": Field(check=check.query),
            "body": Field(check=check.anything),
        },
        StepType.LAMBDA: {
            "functionName": Field(check=check.text, required=True),
            "payload": Field(check=check.anything),
        },
        StepType.TRANSFORM: {"value": Field(check=check.anything, required=True)},
        StepType.SLEEP: {"duration": Field(check=check.duration, required=True)},
        StepType.SLEEP_UNTIL: {"timestamp": Field(check=check.timestamp, required=True)},
        StepType.WAIT_FOR_EVENT: {"eventType": Field(check=check.event_type, required=True), "timeout": _WAIT},
        StepType.APPROVAL: {
            "approvers": Field(check=check.approvers),
            "timeout": _WAIT,
            "message": Field(check=check.text),
        },
        StepType.BRANCH: {"branches": Field(check=check.branches, read=_branches, required=True)},
        StepType.PARALLEL: {},
        StepType.RACE: {},
        StepType.LOOP: {
            "loopType": Field(check=_loop_type, read=_nothing, required=True),
            "collection": Field(check=check.collection, read=_either),
            "condition": Field(check=check.condition, read=_condition),
            "count": Field(check=check.count, read=_either),
            "itemVar": Field(check=check.identifier, read=_nothing, default="item"),
            "indexVar": Field(check=check.identifier, read=_nothing, default="i"),
        },
        StepType.BREAK: {"condition": Field(check=check.condition, read=_condition)},
        StepType.TRY_CATCH: {},
        StepType.SUB_WORKFLOW: {
            "workflowId": Field(check=check.text, required=True),
            "input": Field(check=check.anything),
            "waitForCompletion": Field(check=check.flag, read=_nothing, default=True),
            "timeout": Field(check=check.duration),
        },
        StepType.SUB_SCRIPT: {
            "workflowId": Field(check=check.text, required=True),
            "body": Field(check=check.anything),
        },
        # What names a tool, a persona or a size is a constant: it is shown, priced and checked before a run.
        StepType.AGENT: {
            "role": Field(check=agent.role, read=_nothing),
            "cliId": Field(check=agent.tool, read=_nothing),
            "personaId": Field(check=agent.persona_id, read=_nothing),
            "model": Field(check=agent.model, read=_nothing),
            "thinkingEffort": Field(check=agent.effort, read=_nothing),
            "prompt": Field(check=check.text, required=True),
            "instructions": Field(check=agent.instructions),
            "repository": Field(check=agent.repository),
            "branchName": Field(check=agent.branch_name),
            "images": Field(check=agent.images),
            "templateId": Field(check=agent.template_id, read=_nothing),
            "timeoutMs": Field(check=agent.timeout_ms, read=_nothing),
            "memoryMb": Field(check=agent.memory_mb, read=_nothing),
            "cpuCount": Field(check=agent.cpu_count, read=_nothing),
        },
    },
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A node's ``data``, read."""

    #: With defaults filled in.
    config: Mapping[str, Json]
    #: What each field refers to.
    reads: Mapping[str, Found]


def read_data(step_type: StepType, data: Mapping[str, Json], place: Place) -> Reading:
    """Check a node's ``data`` against its type's grammar, note what is wrong, and return it with the defaults."""
    known = FIELDS[step_type]
    place.refuse_unknown(data, known=tuple(known))
    config: dict[str, Json] = {}
    reads: dict[str, Found] = {}
    for name, field in known.items():
        here = place.at(name)
        # null says "not given", except where null is a value like any other.
        if name not in data or (data[name] is None and field.check is not check.anything):
            if field.required:
                here.refuse(f"{name} is required")
            elif field.default is not None:
                config[name] = field.default
            continue
        config[name] = data[name]
        before = len(place.details)
        field.check(data[name], here)
        reads[name] = field.read(data[name], here.path)
        if len(place.details) == before:
            place.refuse_unreadable(reads[name])
    if step_type is StepType.LOOP:
        _check_loop(config, place)
    if step_type is StepType.BRANCH:
        config["branches"] = _with_plain_else(config.get("branches"))
    if step_type is StepType.AGENT:
        _check_agent(config, place)
    return Reading(config=config, reads=reads)


def _check_loop(config: Mapping[str, Json], place: Place) -> None:
    """Note fields that the kind of loop wants or has no use for."""
    loop_type = config.get("loopType")
    wanted = LOOP_TYPES.get(loop_type) if isinstance(loop_type, str) else None
    if wanted is None:
        return
    for name in LOOP_TYPES.values():
        given = name in config and not check.is_else(config[name])
        if name == wanted and not given:
            place.at(name).refuse(f"a loop of type {loop_type} needs {name}")
        elif name != wanted and given:
            place.at(name).refuse(f"a loop of type {loop_type} has no {name}")
    if config.get("itemVar") == config.get("indexVar"):
        place.at("indexVar").refuse(f"itemVar and indexVar are both {shown(config.get('itemVar'))}")


def _check_agent(config: dict[str, Json], place: Place) -> None:
    """Note an agent that nobody is named for, and give one without a persona, which would bring its role, a role."""
    if "personaId" in config:
        return
    if "cliId" not in config:
        place.at("cliId").refuse("an agent step names a cliId, or a personaId instead")
    config.setdefault("role", Role.CUSTOM.value)


def _with_plain_else(branches: Json) -> Json:
    """Return branches with every empty condition as empty text."""
    return [
        {**branch, "condition": ""}
        if isinstance(branch, Mapping) and check.is_else(branch.get("condition"))
        else branch
        for branch in (branches if isinstance(branches, list | tuple) else ())
    ]
