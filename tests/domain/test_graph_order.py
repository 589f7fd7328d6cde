from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.graph_order import MOST_CYCLES, Places, cycles, ordered, reached, successors_of

GRAPHS = st.integers(1, 12).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, count - 1).map(str), st.integers(0, count - 1).map(str)).filter(
            lambda e: e[0] != e[1]
        ),
        unique=True,
        max_size=30,
    ).map(lambda edges: successors_of(map(str, range(count)), edges)),
)


@given(GRAPHS)
def test_an_order_has_everything_or_there_is_a_cycle(successors: dict[str, list[str]]) -> None:
    order = ordered(successors)
    at = {ref: position for position, ref in enumerate(order)}
    assert all(at[ref] < at[to] for ref in order for to in successors[ref] if to in at)
    assert bool(cycles(successors)) == (len(order) < len(successors))


@given(GRAPHS)
def test_cycles_are_walks_along_edges_and_share_no_step(successors: dict[str, list[str]]) -> None:
    found = cycles(successors)
    for cycle in found:
        for ref, to in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert to in successors[ref]
    named = [ref for cycle in found for ref in cycle]
    assert len(named) == len(set(named))


@given(GRAPHS)
def test_what_is_reached_is_what_bits_say(successors: dict[str, list[str]]) -> None:
    order = ordered(successors)
    forward = {ref: [to for to in successors[ref] if to in order] for ref in order}
    places = Places(order)
    reach, before = places.reach(order, forward), places.before(order, forward)
    for ref in order:
        assert set(places.names(reach[ref])) == reached(ref, forward)
        assert set(places.names(before[ref])) == {other for other in order if ref in reached(other, forward) - {other}}


@pytest.mark.parametrize("count", [3, 500])
def test_no_more_cycles_are_named_than_help(count: int) -> None:
    pairs = [(f"a{at}", f"b{at}") for at in range(count)]
    successors = successors_of((ref for pair in pairs for ref in pair), [*pairs, *((b, a) for a, b in pairs)])
    assert len(cycles(successors)) == min(count, MOST_CYCLES)
