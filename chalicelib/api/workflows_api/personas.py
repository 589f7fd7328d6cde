"""Personas: agents that are described once and named by the steps of many workflows."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from chalicelib.api.bodies import Body
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import (
    Data,
    Id,
    Identified,
    IdQuery,
    PageQuery,
    PageShown,
    Time,
    api,
    flag,
    nothing_to_change,
    on_one_line,
)
from chalicelib.domain import agent_checks
from chalicelib.domain.access import Scope
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.persona import Effort, Persona, Role, Tool
from chalicelib.services import identifiers, personas

#: A list shows this much of a persona's instructions, in characters, so that a page of a hundred can be sent.
SHOWN_IN_LISTS: Final = 2000


def _exact(model: str) -> str:
    place = Place()
    agent_checks.model(model, place)
    if place.details:
        raise ValueError("must be text on one line, and no template")
    return model


Name = Annotated[str, StringConstraints(min_length=1, max_length=personas.LONGEST_NAME), AfterValidator(on_one_line)]
Description = Annotated[str, StringConstraints(max_length=2000)]
Model = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_exact)]
Instructions = Annotated[str, StringConstraints(max_length=50_000)]
RoleWord = Annotated[Role, Field(strict=False)]
ToolWord = Annotated[Tool, Field(strict=False)]
EffortWord = Annotated[Effort, Field(strict=False)]


class ListPersonas(PageQuery):
    """Which page of the personas."""

    #: Only those that are enabled, or only the others.
    enabled: Annotated[bool | None, BeforeValidator(flag)] = None


class CreatePersona(Body):
    """A new persona."""

    name: Name
    description: Description = ""
    #: Its role in a pipeline.
    type: RoleWord
    cli_id: ToolWord
    #: Null: the tool chooses by itself.
    model: Model | None = None
    thinking_effort: EffortWord | None = None
    #: Come before those of the steps that name it.
    instructions: Instructions = ""
    #: Whether runs of workflows whose steps name it may be started.
    is_enabled: bool = True


class UpdatePersona(Body):
    """What is to change of a persona; what is absent stays."""

    persona_id: Id
    # Without a default that the document would show, as no name is empty.
    name: Name = Field(default_factory=str)
    description: Description = ""
    type: RoleWord = Role.CUSTOM
    cli_id: ToolWord = Tool.CLAUDE
    #: Null takes it away: the tool chooses by itself.
    model: Model | None = None
    #: Null takes it away.
    thinking_effort: EffortWord | None = None
    instructions: Instructions = ""
    is_enabled: bool = True


class DeletePersona(Body):
    """A persona to delete."""

    persona_id: Id


class DuplicatePersona(Body):
    """A persona to copy."""

    persona_id: Id
    #: Null: the name of the one that is copied, and that it is a copy.
    name: Name | None = None


class TogglePersona(Body):
    """A persona to switch on or off."""

    persona_id: Id
    #: Null: the other way than it is.
    is_enabled: bool | None = None


class PersonaShown(Identified):
    """A persona."""

    name: str
    description: str
    type: Role
    cli_id: Tool
    model: str | None
    thinking_effort: str | None
    instructions: str
    #: Whether a list has cut them.
    instructions_truncated: bool
    is_enabled: bool
    created_at: Time
    updated_at: Time
    deleted_at: Time | None

    @classmethod
    def of(cls, persona: Persona, *, most: int | None = None) -> Self:
        """Return what is shown of a persona, with at most so many characters of its instructions."""
        return cls(
            id=persona.id,
            also_id=persona.id,
            name=persona.name,
            description=persona.description,
            type=persona.type,
            cli_id=persona.cli_id,
            model=persona.model,
            thinking_effort=persona.thinking_effort,
            instructions=persona.instructions[:most],
            instructions_truncated=most is not None and len(persona.instructions) > most,
            is_enabled=persona.is_enabled,
            created_at=persona.created_at,
            updated_at=persona.updated_at,
            deleted_at=persona.deleted_at,
        )


@api.endpoint("GET", "/api/v1/personas/list", scope=Scope.PERSONAS_READ, query=ListPersonas)
def list_personas(caller: Caller, query: ListPersonas) -> PageShown[PersonaShown]:
    """List the project's personas, the last changed first; long instructions are cut here.

    A page narrowed by `enabled` may hold fewer rows than `limit`; only a null `nextCursor` is the end.
    """
    page = personas.page(caller.project_id, enabled=query.enabled, cursor=query.cursor, limit=query.limit)
    rows = [PersonaShown.of(one, most=SHOWN_IN_LISTS) for one in page.items]
    return PageShown[PersonaShown](data=rows, next_cursor=page.cursor, has_more=page.cursor is not None)


@api.endpoint("GET", "/api/v1/personas/get", scope=Scope.PERSONAS_READ, query=IdQuery)
def get_persona(caller: Caller, query: IdQuery) -> Data[PersonaShown]:
    """Show a persona; a deleted one too, as runs of before still name it."""
    return _shown(personas.load_even_deleted(caller.project_id, query.id))


@api.endpoint("POST", "/api/v1/personas/create", scope=Scope.PERSONAS_WRITE, status=201, body=CreatePersona)
def create_persona(caller: Caller, body: CreatePersona) -> Data[PersonaShown]:
    """Create a persona."""
    draft = personas.Draft(**{name: getattr(body, name) for name in CreatePersona.model_fields})
    return _shown(personas.create(caller.project_id, _new_id(caller), draft=draft, now=caller.now))


@api.endpoint("POST", "/api/v1/personas/update", scope=Scope.PERSONAS_WRITE, body=UpdatePersona)
def update_persona(caller: Caller, body: UpdatePersona) -> Data[PersonaShown]:
    """Change any of a persona's fields. Of two changes at once one is a 409.

    Runs that were started before keep what it was then.
    """
    sent: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set - {"persona_id"}}
    if not sent:
        raise nothing_to_change()
    changes = personas.Changes(**sent)
    return _shown(personas.change(caller.project_id, body.persona_id, changes=changes, now=caller.now))


@api.endpoint("POST", "/api/v1/personas/delete", scope=Scope.PERSONAS_WRITE, body=DeletePersona)
def delete_persona(caller: Caller, body: DeletePersona) -> Data[PersonaShown]:
    """Delete a persona: workflows whose steps name it can start no run any more. Deleted again, it stays as it is."""
    return _shown(personas.delete(caller.project_id, body.persona_id, now=caller.now))


@api.endpoint("POST", "/api/v1/personas/duplicate", scope=Scope.PERSONAS_WRITE, status=201, body=DuplicatePersona)
def duplicate_persona(caller: Caller, body: DuplicatePersona) -> Data[PersonaShown]:
    """Copy a persona; unless a name is given the copy is called `<name> (copy)`."""
    made = personas.duplicate(caller.project_id, body.persona_id, _new_id(caller), name=body.name, now=caller.now)
    return _shown(made)


@api.endpoint("POST", "/api/v1/personas/toggle", scope=Scope.PERSONAS_WRITE, body=TogglePersona)
def toggle_persona(caller: Caller, body: TogglePersona) -> Data[PersonaShown]:
    """Switch a persona on or off, or the other way than it is.

    While it is off, workflows whose steps name it can start no run.
    """
    first = caller.once.at if caller.once is not None else caller.now
    return _shown(personas.toggle(caller.project_id, body.persona_id, enabled=body.is_enabled, now=first))


def _new_id(caller: Caller) -> str:
    return identifiers.persona_id(caller.once.derived_id("persona") if caller.once is not None else None)


def _shown(persona: Persona) -> Data[PersonaShown]:
    return Data[PersonaShown](data=PersonaShown.of(persona))
