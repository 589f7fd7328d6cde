"""Personas in the store: whole, by revision, in their project's list."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from chalicelib.domain.persona import Persona, Role, Tool
from chalicelib.store import personas
from chalicelib.store.errors import Exists, Superseded
from tests.store.builders import NOW, later
from tests.store.conftest import Calls
from tests.store.racing import at_once

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]

_numbers = itertools.count(1)


def a_persona(**changes: object) -> Persona:
    persona = Persona(
        id=f"per_{next(_numbers)}",
        project_id="personas",
        name="Ada",
        description="",
        type=Role.DESIGNER,
        cli_id=Tool.CLAUDE,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(persona, **changes)  # type: ignore[arg-type] # a test names what matters


def a_stored_persona(**changes: object) -> Persona:
    persona = a_persona(**changes)
    personas.put(persona)
    return persona


def test_a_persona_comes_back_as_it_went_in() -> None:
    full = a_stored_persona(
        model="m", thinking_effort="high", instructions="Be brief.", is_enabled=False, deleted_at=later(1), revision=4
    )
    bare = a_stored_persona()
    assert [personas.load(one.id) for one in (full, bare)] == [full, bare]
    assert personas.load("a#b") is None


def test_many_are_read_with_one_call_and_unknown_ones_left_out(calls: Calls) -> None:
    one, other = a_stored_persona(), a_stored_persona(deleted_at=later(1))
    calls.sent.clear()
    found = personas.load_many([one.id, other.id, "per_nowhere", "a#b", one.id])
    assert found == {one.id: one, other.id: other}
    assert calls.operations == ["BatchGetItem"]


def test_a_persona_is_changed_revision_by_revision() -> None:
    before = a_stored_persona()
    after = replace(before, name="Bob", revision=2)
    personas.update(after)
    for late in (replace(before, name="Eve", revision=2), replace(before, revision=5)):
        with pytest.raises(Superseded):
            personas.update(late)
    assert personas.load(before.id) == after


def test_an_answer_that_was_lost_is_no_other_ones_change(calls: Calls) -> None:
    calls.lose = 1
    before = a_stored_persona()
    calls.lose = 1
    after = replace(before, name="Bob", revision=2)
    personas.update(after)
    assert personas.load(before.id) == after
    with pytest.raises(Exists):
        personas.put(replace(before, name="another"))


def test_of_changes_at_once_one_is_made() -> None:
    before = a_stored_persona()
    changes = [replace(before, name=f"n{place}", revision=2) for place in range(4)]
    came = at_once(*(lambda one=one: personas.update(one) for one in changes))
    assert sorted(came) == ["Superseded"] * 3 + ["done"]


def test_a_list_has_the_last_changed_first_and_no_deleted_ones() -> None:
    project = f"listed-{next(_numbers)}"
    stored = [a_stored_persona(project_id=project, updated_at=later(place)) for place in range(4)]
    changed = replace(stored[0], updated_at=later(60), revision=2)
    personas.update(changed)
    personas.update(replace(stored[1], deleted_at=later(70), updated_at=later(70), revision=2))
    first = personas.page(project, cursor=None, limit=2)
    rest = personas.page(project, cursor=first.cursor, limit=2)
    assert (first.items, rest.items, rest.cursor) == ((changed, stored[3]), (stored[2],), None)
