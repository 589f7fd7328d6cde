"""Personas: created, changed, switched off, deleted; and found by the steps that name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.domain.refusal import Conflict, NotFound
from chalicelib.services import identifiers
from chalicelib.services.workflows import UNCHANGED, Unchanged
from chalicelib.store import personas as store
from chalicelib.store.errors import Exists, Superseded
from chalicelib.store.paging import Page

LONGEST_NAME: Final = 200
#: What a copy's name ends with.
_COPY: Final = " (copy)"
#: How many pages of the store are read at most to fill one page, where not every persona that is read is wanted.
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A persona to be created."""

    name: str
    description: str
    type: Role
    cli_id: Tool
    model: str | None
    thinking_effort: str | None
    instructions: str
    is_enabled: bool


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of a persona; what is not said stays."""

    name: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    type: Role | Unchanged = UNCHANGED
    cli_id: Tool | Unchanged = UNCHANGED
    #: None takes it away.
    model: str | Unchanged | None = UNCHANGED
    #: None takes it away.
    thinking_effort: str | Unchanged | None = UNCHANGED
    instructions: str | Unchanged = UNCHANGED
    is_enabled: bool | Unchanged = UNCHANGED


def create(project_id: str, persona_id: str, *, draft: Draft, now: datetime) -> Persona:
    """Create a persona; where the id is taken already, that persona is the answer.

    An id is given a second time only by a request that was cut off and is made again.
    """
    return _put(Persona(id=persona_id, project_id=project_id, created_at=now, updated_at=now, **vars(draft)))


def load_even_deleted(project_id: str, persona_id: str) -> Persona:
    """Return a project's persona, or refuse it as NotFound."""
    persona = store.load(identifiers.known_form(persona_id, "Persona"))
    if persona is None or persona.project_id != project_id:
        raise NotFound("Persona not found")
    return persona


def load(project_id: str, persona_id: str) -> Persona:
    """Return a project's persona, or refuse it as NotFound; a deleted one is not found either."""
    persona = load_even_deleted(project_id, persona_id)
    if persona.deleted_at is not None:
        raise NotFound("Persona not found")
    return persona


def load_many(project_id: str, persona_ids: Iterable[str]) -> dict[str, Persona]:
    """Return a project's personas by id, deleted ones too, with one read; unknown and foreign ones are left out."""
    found = store.load_many(persona_ids)
    return {persona_id: one for persona_id, one in found.items() if one.project_id == project_id}


def page(project_id: str, *, enabled: bool | None, cursor: str | None, limit: int) -> Page[Persona]:
    """Return a page of a project's personas, the last changed first; ``enabled`` None is all of them.

    No list is kept of the enabled ones, so a page of those may be short, or empty, and not the last.
    """
    found: list[Persona] = []
    for _ in range(_ROUNDS):
        read = store.page(project_id, cursor=cursor, limit=limit - len(found))
        found += [one for one in read.items if enabled in {None, one.is_enabled}]
        cursor = read.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(items=tuple(found), cursor=cursor)


def change(project_id: str, persona_id: str, *, changes: Changes, now: datetime) -> Persona:
    """Change a persona. Of two changes at once one is a Conflict, so that neither undoes what it has not seen."""
    before = load(project_id, persona_id)
    said = {name: value for name, value in vars(changes).items() if value is not UNCHANGED}
    return _write(replace(before, **said), before, now)


def toggle(project_id: str, persona_id: str, *, enabled: bool | None, now: datetime) -> Persona:
    """Have steps that name a persona start, or not; None is the other way than it is.

    ``now`` is when this was first asked for: a persona that was changed at that very moment has been toggled by the
    same request, which was cut off and is made again.
    """
    before = load(project_id, persona_id)
    if before.updated_at == now or enabled is before.is_enabled:
        return before
    return _write(replace(before, is_enabled=not before.is_enabled), before, now)


def delete(project_id: str, persona_id: str, *, now: datetime) -> Persona:
    """Delete a persona; one that is deleted already stays as it is. Runs of before still show it."""
    before = load_even_deleted(project_id, persona_id)
    if before.deleted_at is not None:
        return before
    return _write(replace(before, deleted_at=now), before, now)


def duplicate(project_id: str, persona_id: str, new_id: str, *, name: str | None, now: datetime) -> Persona:
    """Create a persona of what another is now; its name says that it is a copy unless one is given."""
    origin = load(project_id, persona_id)
    copied = f"{origin.name[: LONGEST_NAME - len(_COPY)]}{_COPY}" if name is None else name
    return _put(replace(origin, id=new_id, name=copied, created_at=now, updated_at=now, revision=1))


def _put(persona: Persona) -> Persona:
    """Store a new persona; its id is its request's alone, so that what is there already is what it has made before."""
    try:
        store.put(persona)
    except Exists:
        return load_even_deleted(persona.project_id, persona.id)
    return persona


def _write(after: Persona, before: Persona, now: datetime) -> Persona:
    """Store a changed persona, on condition that it still is as it was judged."""
    written = replace(after, updated_at=now, revision=before.revision + 1)
    try:
        store.update(written)
    except Superseded:
        raise Conflict("the persona was changed by others at the same time; load it and try again") from None
    return written
