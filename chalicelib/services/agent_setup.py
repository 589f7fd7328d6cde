"""Who the agent of a step is, and what it works in: the step's own fields, its persona's, the run's, the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, cast

from chalicelib.domain import agent_checks as check
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.domain.pipeline_fields import Fields, read, read_config
from chalicelib.domain.value import Json
from chalicelib.gateways.errors import CallFailed
from chalicelib.services.executors.call import StepCall

#: What counts where nobody says anything.
BUILT_IN: Final[Mapping[str, Json]] = MappingProxyType(
    {"templateId": "default", "timeoutMs": 3_600_000, "memoryMb": 2048, "cpuCount": 1},
)
_CHOICES: Final = ("cliId", "model", "thinkingEffort", "templateId", "timeoutMs", "memoryMb", "cpuCount")
#: The fields of a persona as a run's payload holds them.
_PERSONA: Final = Fields(
    checks=MappingProxyType(
        {
            "type": check.role,
            "cliId": check.tool,
            "model": check.model,
            "thinkingEffort": check.effort,
            "instructions": check.instructions,
        },
    ),
    required=("type", "cliId"),
)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """An agent, and the sandbox that it is to have."""

    role: Role
    cli_id: Tool
    #: None: the tool chooses by itself.
    model: str | None
    thinking_effort: str | None
    persona_id: str | None
    #: The role's, the persona's and the step's, in this order.
    instructions: str
    template_id: str
    timeout: timedelta
    memory_mb: int
    cpu_count: float


def setup_of(call: StepCall) -> Setup:
    """Return the agent that a step's rendered fields ask for; of two that name a thing the nearer one counts.

    ``ValueError`` names the field that cannot be; ``CallFailed`` ``persona_unavailable`` a persona that cannot work.
    """
    place, persona_id = Place(), call.config.get("personaId")
    persona: Mapping[str, Json] = {}
    if persona_id is not None:
        persona = _persona(call, call.text("personaId"), place.at("personas").at(str(persona_id)))
    own = {name: call.config[name] for name in _CHOICES if call.config.get(name) is not None}
    sources = (
        read_config(own, place),
        persona,
        _config(call.config.get("runConfig"), place.at("config")),
        _config(call.config.get("defaults"), place.at("defaultConfig")),
        BUILT_IN,
    )
    chosen = {name: _first(name, sources) for name in _CHOICES}
    role = call.config.get("role") or persona.get("type") or Role.CUSTOM
    check.role(role, place.at("role"))
    if chosen["cliId"] is None:
        place.at("cliId").refuse("nobody names one: not the step, its persona, the run's config, nor the defaults")
    if place.details:
        first = place.details[0]
        message = f"{first.path}: {first.message}"
        raise ValueError(message)
    return Setup(
        role=Role(str(role)),
        cli_id=Tool(str(chosen["cliId"])),
        model=cast("str | None", chosen["model"]),
        thinking_effort=cast("str | None", chosen["thinkingEffort"]),
        persona_id=cast("str | None", persona_id),
        instructions=_instructions(call, str(role), persona),
        template_id=str(chosen["templateId"]),
        timeout=timedelta(milliseconds=cast("int", chosen["timeoutMs"])),
        memory_mb=cast("int", chosen["memoryMb"]),
        cpu_count=cast("float", chosen["cpuCount"]),
    )


def snapshots(call: StepCall) -> Mapping[str, Json]:
    """Return the personas that the run was started with, as they were then, by id."""
    payload = call.scope.get("payload")
    given = payload.get("personas") if isinstance(payload, Mapping) else None
    return given if isinstance(given, Mapping) else {}


def _persona(call: StepCall, persona_id: str, place: Place) -> Mapping[str, Json]:
    """Return a persona as the run was started with it, or else as it is now."""
    taken = snapshots(call).get(persona_id)
    known = taken if isinstance(taken, Mapping) else _working(call, persona_id).snapshot()
    return read({name: known.get(name) for name in _PERSONA.checks}, _PERSONA, place)


def _working(call: StepCall, persona_id: str) -> Persona:
    """Return a persona that is there and enabled."""
    from chalicelib.services import personas  # noqa: PLC0415 - loaded with the first step that asks for one

    found = personas.load_many(call.run.project_id, [persona_id]).get(persona_id)
    if found is None or found.deleted_at is not None:
        why = "is not there" if found is None else "is deleted"
    elif not found.is_enabled:
        why = "is disabled"
    else:
        return found
    raise CallFailed("persona_unavailable", f"the persona {persona_id} {why}", retryable=False)


def _config(given: Json, place: Place) -> Mapping[str, Json]:
    return {} if given is None else read_config(given, place)


def _first(name: str, sources: tuple[Mapping[str, Json], ...]) -> Json:
    return next((source[name] for source in sources if source.get(name) is not None), None)


def _instructions(call: StepCall, role: str, persona: Mapping[str, Json]) -> str:
    of_roles = call.config.get("roleInstructions")
    of_role = of_roles.get(role) if isinstance(of_roles, Mapping) else None
    parts = (of_role, persona.get("instructions"), call.config.get("instructions"))
    return "\n\n".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
