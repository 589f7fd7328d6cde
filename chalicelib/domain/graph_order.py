"""What comes before what in a graph: cycles, an order, what can be reached. Of nodes it knows the names alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

#: No more cycles than this are named; their author needs one at a time.
MOST_CYCLES = 20


def successors_of(refs: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what each name's edges lead to."""
    successors: dict[str, list[str]] = {ref: [] for ref in refs}
    for source, target in edges:
        successors[source].append(target)
    return successors


def ordered(successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after all that lead to it, as far as there are no cycles."""
    waits = dict.fromkeys(successors, 0)
    for targets in successors.values():
        for target in targets:
            waits[target] += 1
    ready = deque(ref for ref, count in waits.items() if not count)
    order: list[str] = []
    while ready:
        ref = ready.popleft()
        order.append(ref)
        for target in successors[ref]:
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return order


def cycles(successors: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return cycles that share no name, each as the names in it in their order; none if there is an order."""
    found: list[tuple[str, ...]] = []
    left = _knots(successors)
    while left and len(found) < MOST_CYCLES:
        found.append(_a_cycle(left))
        gone = set(found[-1])
        left = _knots(
            {ref: [to for to in targets if to not in gone] for ref, targets in left.items() if ref not in gone}
        )
    return found


def reached(start: str, successors: Mapping[str, Sequence[str]]) -> set[str]:
    """Return what can be reached from a name, itself among it."""
    seen = {start}
    left = [start]
    while left:
        for target in successors[left.pop()]:
            if target not in seen:
                seen.add(target)
                left.append(target)
    return seen


class Places:
    """Sets of names as the bits of a number, so that the sets of a thousand steps are joined in a few instructions."""

    def __init__(self, refs: Iterable[str]) -> None:
        self.refs = tuple(refs)
        self.bit: Mapping[str, int] = {ref: 1 << at for at, ref in enumerate(self.refs)}

    def names(self, bits: int) -> Iterator[str]:
        """Yield the names in a set, in their order."""
        while bits:
            lowest = bits & -bits
            yield self.refs[lowest.bit_length() - 1]
            bits ^= lowest

    def reach(self, order: Sequence[str], successors: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """Return what can be reached from each name, itself among it; ``order`` is one that ``ordered`` gave."""
        reach: dict[str, int] = {}
        for ref in reversed(order):
            bits = self.bit[ref]
            for target in successors[ref]:
                bits |= reach[target]
            reach[ref] = bits
        return reach

    def before(self, order: Sequence[str], successors: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """Return what leads to each name, itself not among it; ``order`` is one that ``ordered`` gave."""
        before = dict.fromkeys(order, 0)
        for ref in order:
            bits = before[ref] | self.bit[ref]
            for target in successors[ref]:
                before[target] |= bits
        return before


def _knots(successors: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what is left when all that no cycle leads to, or that leads to none, is taken away."""
    forward = _without(successors, ordered(successors))
    backward: dict[str, list[str]] = {ref: [] for ref in forward}
    for ref, targets in forward.items():
        for target in targets:
            backward[target].append(ref)
    return _without(forward, ordered(backward))


def _without(successors: Mapping[str, Sequence[str]], gone: Collection[str]) -> dict[str, list[str]]:
    gone = set(gone)
    return {ref: [to for to in targets if to not in gone] for ref, targets in successors.items() if ref not in gone}


def _a_cycle(knots: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Walk on until a name comes again; in a knot every walk does."""
    at: dict[str, int] = {}
    ref = next(iter(knots))
    while ref not in at:
        at[ref] = len(at)
        ref = knots[ref][0]
    walk = tuple(at)
    return walk[at[ref] :]
