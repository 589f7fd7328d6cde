"""Personas. Every write counts their revision, and is conditional on the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.store import keys, transactions
from chalicelib.store.keys import Key
from chalicelib.store.paging import Page, listed
from chalicelib.store.table import (
    Flag,
    Item,
    MaybeText,
    MaybeTime,
    Raw,
    Text,
    Time,
    Whole,
    find,
    get_many,
    none_if_impossible,
)


class PersonaItem(Item):
    """A persona."""

    project_id = Text()
    #: In the list of personas; a deleted one is in none.
    list_key = MaybeText()
    name = Text()
    description = Text()
    type = Text()
    cli_id = Text()
    model = MaybeText()
    thinking_effort = MaybeText()
    instructions = Text()
    #: There exactly while steps that name it may not start.
    disabled = Flag()
    created_at = Time()
    updated_at = Time()
    deleted_at = MaybeTime()
    revision = Whole()

    @classmethod
    def of(cls, persona: Persona) -> Self:
        """Return the item of a persona."""
        return cls(
            *keys.persona(persona.id),
            project_id=persona.project_id,
            list_key=keys.listed_persona(persona.updated_at, persona.id) if persona.deleted_at is None else None,
            name=persona.name,
            description=persona.description,
            type=persona.type.value,
            cli_id=persona.cli_id.value,
            model=persona.model,
            thinking_effort=persona.thinking_effort,
            instructions=persona.instructions,
            disabled=None if persona.is_enabled else True,
            created_at=persona.created_at,
            updated_at=persona.updated_at,
            deleted_at=persona.deleted_at,
            revision=persona.revision,
        )

    def persona(self) -> Persona:
        """Return the persona."""
        return Persona(
            id=keys.id_of(self.pk),
            project_id=self.project_id,
            name=self.name,
            description=self.description,
            type=Role(self.type),
            cli_id=Tool(self.cli_id),
            model=self.model,
            thinking_effort=self.thinking_effort,
            instructions=self.instructions,
            is_enabled=not self.disabled,
            created_at=self.created_at,
            updated_at=self.updated_at,
            deleted_at=self.deleted_at,
            revision=self.revision,
        )


def put(persona: Persona) -> None:
    """Create a persona; Exists if it is there. Of two that create one id at once, one does."""
    transactions.make_once(
        transactions.create(PersonaItem.of(persona)), PersonaItem, landed=lambda stored: stored.persona() == persona
    )


def update(persona: Persona) -> None:
    """Write a changed persona, its ``revision`` one higher; Superseded if the stored one is not the one before."""
    transactions.make_once(
        transactions.put(PersonaItem.of(persona), PersonaItem.revision == persona.revision - 1),
        PersonaItem,
        landed=lambda stored: stored.persona() == persona,
    )


@none_if_impossible
def load(persona_id: str) -> Persona | None:
    """Return the persona, a deleted one too."""
    item = find(PersonaItem, keys.persona(persona_id))
    return item.persona() if item else None


def load_many(persona_ids: Iterable[str]) -> dict[str, Persona]:
    """Return personas by id, deleted ones too, in one call for a hundred; unknown ones are left out."""
    places = {place: persona_id for persona_id in persona_ids if (place := place_of(persona_id)) is not None}
    return {places[key]: read(raw) for key, raw in get_many(places).items()}


@none_if_impossible
def place_of(persona_id: str) -> Key | None:
    """Return where a persona lies, for a batch that reads other things too; None if none has such an id."""
    return keys.persona(persona_id)


def read(raw: Raw) -> Persona:
    """Return the persona that a batch has read."""
    return PersonaItem.from_raw_data(raw).persona()


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Persona]:
    """Return a project's personas, the last changed first, without deleted ones; a cursor not of ours is Invalid."""
    return listed(project_id, keys.LISTED_PERSONAS, cursor, limit, _personas)


def _personas(positions: Sequence[str]) -> Iterator[Persona]:
    wanted = [keys.persona(keys.member_of(position)) for position in positions]
    raws = get_many(wanted)
    found = (read(raws[key]) for key in wanted if key in raws)
    return (persona for persona in found if persona.deleted_at is None)
