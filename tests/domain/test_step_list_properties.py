"""Random step lists: those without cycles compile to their dependencies, and whatever is sent is refused at worst."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.refusal import InvalidDefinition
from chalicelib.domain.step_fields import FIELDS, TYPES
from chalicelib.domain.step_list import compile_steps
from chalicelib.domain.value import Json
from tests.domain.step_lists import LEAST, a_list_step, depends_on, refused

JSON: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
WORDS: st.SearchStrategy[Json] = st.sampled_from(
    ["a", "b", "job", "sleep", "{{ a.x }}", "{{", "GET", "(a+)+", 5, {}, []]
)


@st.composite
def dependencies(draw: st.DrawFn) -> dict[str, list[str]]:
    """What each step depends on, without cycles, the steps in any order."""
    count = draw(st.integers(1, 12))
    found = {
        f"s{at}": [f"s{one}" for one in draw(st.permutations(range(at))) if draw(st.booleans())] for at in range(count)
    }
    return {ref: found[ref] for ref in draw(st.permutations(list(found)))}


@given(dependencies(), st.data())
@settings(deadline=None)
def test_any_list_without_cycles_compiles_to_its_dependencies(after: dict[str, list[str]], data: st.DataObject) -> None:
    types = st.sampled_from(sorted(LEAST))
    definition = compile_steps([a_list_step(ref, data.draw(types), *sources) for ref, sources in after.items()])
    assert depends_on(definition) == after
    assert list(definition.steps) == list(after)


@given(dependencies(), st.data())
@settings(deadline=None)
def test_one_edge_back_makes_a_cycle_of_it(after: dict[str, list[str]], data: st.DataObject) -> None:
    pairs = [(ref, source) for ref, sources in after.items() for source in sources]
    if not pairs:
        return
    ref, source = data.draw(st.sampled_from(pairs))
    steps = [a_list_step(one, "job", *sources, *([ref] if one == source else [])) for one, sources in after.items()]
    (detail,) = refused(steps).details
    assert "a cycle: " in detail.message


@given(dependencies(), st.data())
@settings(deadline=None)
def test_a_step_sees_exactly_what_leads_to_it(after: dict[str, list[str]], data: st.DataObject) -> None:
    reader, read = (data.draw(st.sampled_from(sorted(after))) for _ in range(2))
    way = data.draw(st.sampled_from(["{{ %s }}", "{{ steps.%s.output.x }}", "x {{ length(%s) }}"]))
    steps = [
        a_list_step(ref, "transform", *sources, payload=way % read if ref == reader else 1)
        for ref, sources in after.items()
    ]
    if read in _before(reader, after):
        assert len(compile_steps(steps).steps) == len(after)
    else:
        assert [detail.path for detail in refused(steps).details] == [f"steps.{list(after).index(reader)}.payload"]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*FIELDS, "colour"]), st.one_of(WORDS, st.sampled_from(TYPES), JSON), max_size=6
        ),
        max_size=4,
    ),
)
@settings(deadline=None, max_examples=300)
def test_whatever_is_sent_compiles_or_is_refused(steps: Sequence[Json]) -> None:
    refusal = None
    try:
        compile_steps(steps)
    except InvalidDefinition as error:
        refusal = error
    assert refusal is None or refusal.details
    assert all(detail.path.startswith("steps") and detail.message for detail in (refusal.details if refusal else ()))


@given(JSON)
def test_whatever_is_sent_for_a_list_is_no_more_than_refused(steps: Json) -> None:
    with pytest.raises(InvalidDefinition):
        compile_steps(steps)


def _before(ref: str, after: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    left = list(after[ref])
    while left:
        source = left.pop()
        if source not in found:
            found.add(source)
            left.extend(after[source])
    return found
