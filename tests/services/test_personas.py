"""What is done to a persona by a request that was cut off and is made again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.persona import Role, Tool
from chalicelib.domain.refusal import NotFound
from chalicelib.services import personas
from chalicelib.services.personas import Draft
from tests.store.builders import NOW

pytestmark = pytest.mark.usefixtures("table")

ADA = Draft(
    name="Ada",
    description="",
    type=Role.DESIGNER,
    cli_id=Tool.CLAUDE,
    model=None,
    thinking_effort=None,
    instructions="",
    is_enabled=True,
)


def test_a_persona_or_a_copy_that_is_there_is_what_was_made() -> None:
    made = personas.create("p", "per_1", draft=ADA, now=NOW)
    assert personas.create("p", "per_1", draft=ADA, now=NOW + timedelta(seconds=1)) == made
    copy = personas.duplicate("p", "per_1", "per_2", name=None, now=NOW)
    assert personas.duplicate("p", "per_1", "per_2", name=None, now=NOW + timedelta(seconds=1)) == copy
    with pytest.raises(NotFound):
        personas.create("other", "per_1", draft=ADA, now=NOW)


def test_a_toggle_that_is_made_again_does_not_turn_back() -> None:
    personas.create("p", "per_1", draft=ADA, now=NOW)
    first = NOW + timedelta(seconds=1)
    assert [personas.toggle("p", "per_1", enabled=None, now=first).is_enabled for _ in range(2)] == [False, False]
    assert personas.toggle("p", "per_1", enabled=None, now=first + timedelta(seconds=1)).is_enabled


def test_a_page_of_enabled_ones_is_filled_from_a_few_more() -> None:
    for place in range(6):
        draft = replace(ADA, is_enabled=place == 0)
        personas.create("p", f"per_{place}", draft=draft, now=NOW + timedelta(seconds=place))
    found = personas.page("p", enabled=True, cursor=None, limit=1)
    assert (found.items, found.cursor is None) == ((), False)
    rest = personas.page("p", enabled=True, cursor=found.cursor, limit=1)
    assert ([one.id for one in rest.items], rest.cursor) == (["per_0"], None)
