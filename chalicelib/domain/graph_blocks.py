"""Which block each step of a graph stands in, and the edges that are left within the blocks.

In a graph a loop's body, a race's arms and the parts of a ``try_catch`` are only what an edge leads to. Here they
become blocks: what can be reached by that edge, and not by the container's other ways out. An edge that leaves a block
becomes one of its container, since that is where control goes on; nothing leads into a block but its container. The
edges that a ``parallel`` step's ``then`` stands for, from the end of every arm, are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import CONTAINERS, ON_ERROR, ROOT, Edge, StepType, block_name, container_of
from chalicelib.domain.graph_edges import THEN, GraphEdge
from chalicelib.domain.graph_nodes import GraphNode
from chalicelib.domain.graph_order import Places, ordered, reached, successors_of
from chalicelib.domain.graph_problems import Place, shown

#: How deep containers may stand in one another.
DEEPEST_NESTING = 16

#: The labels of the edges that lead into a container's blocks. A race's arms have none.
_INTO: Mapping[StepType, frozenset[str]] = {
    StepType.LOOP: frozenset({"body"}),
    StepType.RACE: frozenset({""}),
    StepType.TRY_CATCH: frozenset({"try", "catch", "finally"}),
}
#: The parts of a container that a block gives way to: a step that both reach stands in neither, or in the later one.
_GIVES_WAY: Mapping[str, frozenset[str]] = {
    "try": frozenset({"catch", "finally"}),
    "catch": frozenset({"try", "finally"}),
}


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Steps in their blocks."""

    #: The block of each step.
    block_of: Mapping[str, str]
    edges: tuple[Edge, ...]


def into_blocks(nodes: Mapping[str, GraphNode], edges: Sequence[GraphEdge], *, order: Sequence[str]) -> Blocks:
    """Return the steps' blocks and the edges within them; ``order`` has every node after those that lead to it.

    What cannot be put into blocks is noted at its place; the result is then of no use.
    """
    return _Blocking(nodes, edges, order).blocks()


class _Blocking:
    def __init__(self, nodes: Mapping[str, GraphNode], edges: Sequence[GraphEdge], order: Sequence[str]) -> None:
        self._nodes = nodes
        self._edges = edges
        self._order = order
        self._places = Places(nodes)
        self._successors = successors_of(nodes, ((edge.source, edge.target) for edge in edges))
        self._reach = self._places.reach(order, self._successors)
        self._leaving: dict[str, list[GraphEdge]] = {ref: [] for ref in nodes}
        for edge in edges:
            self._leaving[edge.source].append(edge)
        self._block_of = dict.fromkeys(nodes, ROOT)
        self._members = {ROOT: (1 << len(nodes)) - 1}

    def blocks(self) -> Blocks:
        # Along the order, so that a container comes before those within it, whose blocks then are the inner ones.
        if all(self._open(ref) for ref in self._order if self._nodes[ref].type in CONTAINERS):
            kept = self._kept()
            going_on = {edge.source for edge in kept.values() if edge.label != ON_ERROR}
            # Against the order, so that the join of an inner step is there before the outer looks for the ends of arms.
            for ref in reversed(self._order):
                if self._nodes[ref].type is StepType.PARALLEL:
                    self._join_arms(ref, kept, going_on)
            return Blocks(block_of=self._block_of, edges=tuple(kept.values()))
        return Blocks(block_of=self._block_of, edges=())

    def _open(self, ref: str) -> bool:
        """Give a container its blocks; False where it stands too deep."""
        node = self._nodes[ref]
        if len(self._around(ref)) >= DEEPEST_NESTING:
            node.place.refuse(f"loops, races and try_catch steps may stand {DEEPEST_NESTING} deep in one another")
            return False
        ways = self._leaving[ref]
        into = [edge for edge in ways if self._leads_in(edge)]
        taken = 0
        for edge in into:
            bits = self._block_bits(ref, edge, ways)
            if bits & taken:
                shared = next(self._places.names(bits & taken))
                edge.place.refuse(
                    f"{shown(shared)} is in two arms of {shown(ref)}; "
                    'what comes after the race has an edge "then" to it',
                )
            taken |= bits
            name = self._block_name(edge)
            self._members[name] = bits
            self._block_of.update(dict.fromkeys(self._places.names(bits), name))
        return True

    def _block_bits(self, ref: str, edge: GraphEdge, ways: Sequence[GraphEdge]) -> int:
        bits = self._reach[edge.target] & self._members[self._block_of[ref]]
        yields = _GIVES_WAY.get(edge.label, frozenset())
        for other in ways:
            if not self._leads_in(other) or other.label in yields:
                bits &= ~self._reach[other.target]
            elif edge.label == "finally" and other is not edge:
                # Where all parts come together again is after them; what only "finally" leads to is its own.
                bits &= ~self._reach_past(edge.target, start=other.target)
        return bits

    def _reach_past(self, avoided: str, *, start: str) -> int:
        """Return what can be reached without a step."""
        if start == avoided:
            return 0
        return sum(self._places.bit[ref] for ref in reached(start, {**self._successors, avoided: []}) - {avoided})

    def _leads_in(self, edge: GraphEdge) -> bool:
        step_type = self._nodes[edge.source].type
        return step_type is not None and edge.label in _INTO.get(step_type, ())

    def _block_name(self, edge: GraphEdge) -> str:
        return block_name(edge.source, edge.label or edge.target)

    def _around(self, ref: str) -> list[str]:
        """Return the blocks that a step stands in, innermost first, without the root."""
        found: list[str] = []
        block = self._block_of[ref]
        while block != ROOT:
            found.append(block)
            block = self._block_of[container_of(block)]
        return found

    def _kept(self) -> dict[tuple[str, str, str], Edge]:
        """Return the edges within blocks, without doubles; those that lead in are gone, those that lead out lifted."""
        kept: dict[tuple[str, str, str], Edge] = {}
        for edge in self._edges:
            if self._leads_in(edge):
                self._check_way_in(edge)
                continue
            label = "" if edge.label == THEN and self._goes_on(edge.source) else edge.label
            source = self._lifted(edge, label)
            if source is not None:
                label = label if source == edge.source else ""
                kept[source, edge.target, label] = Edge(source=source, target=edge.target, label=label)
        return kept

    def _goes_on(self, ref: str) -> bool:
        return self._nodes[ref].type in CONTAINERS | {StepType.PARALLEL}

    def _check_way_in(self, edge: GraphEdge) -> None:
        if self._block_of[edge.target] != self._block_name(edge):
            part = f"its {edge.label}" if edge.label else "an arm"
            edge.place.refuse(
                f"{shown(edge.target)} cannot begin {part} of {shown(edge.source)}: "
                "another way leads to it, from outside or from another part",
            )

    def _lifted(self, edge: GraphEdge, label: str) -> str | None:
        """Return the step that an edge starts from in its target's block; None, and a note, if it may not be."""
        block = self._block_of[edge.target]
        if self._block_of[edge.source] == block:
            return edge.source
        around = self._around(edge.source)
        if block != ROOT and block not in around:
            edge.place.refuse(
                f"{shown(edge.target)} is inside {shown(container_of(block))}; "
                f"only steps inside it can lead to it, and {shown(edge.source)} is not",
            )
            return None
        # The container that stands in the target's block, and around the source.
        out = container_of(around[around.index(block) - 1] if block != ROOT else around[-1])
        if label and (label == ON_ERROR or not self._leads_on(out, edge.target)):
            edge.place.refuse(
                f"the edge labelled {shown(label)} leaves {shown(out)}, which cannot tell one way out from another; "
                f"lead it to a step inside",
            )
            return None
        return out

    def _leads_on(self, ref: str, target: str) -> bool:
        return any(edge.target == target and edge.label == THEN for edge in self._leaving[ref])

    def _join_arms(self, ref: str, kept: dict[tuple[str, str, str], Edge], going_on: set[str]) -> None:
        """Let what follows a ``parallel`` step wait for every step that ends one of its arms."""
        ways = self._leaving[ref]
        then = next((edge.target for edge in ways if edge.label == THEN), None)
        if then is None or self._block_of[then] != self._block_of[ref]:
            return
        arms = 0
        for edge in ways:
            if edge.label == "":
                arms |= self._reach[edge.target]
                if self._reach[then] & self._places.bit[edge.target]:
                    edge.place.refuse(f'{shown(edge.target)} is no arm of {shown(ref)}: it comes after its "then"')
        for end in self._places.names(arms & ~self._reach[then]):
            if end not in going_on and self._block_of[end] == self._block_of[ref]:
                kept[end, then, ""] = Edge(source=end, target=then)
                going_on.add(end)


def check_joins(nodes: Mapping[str, GraphNode], blocks: Blocks, place: Place) -> list[str]:
    """Return an order of the steps along the edges within blocks, and note joins that wait for each other."""
    order = ordered(successors_of(nodes, ((edge.source, edge.target) for edge in blocks.edges)))
    if len(order) < len(nodes):
        stuck = [ref for ref in nodes if ref not in set(order)]
        place.refuse(f'the "then" steps of parallel steps wait for each other: {", ".join(map(shown, stuck[:5]))}')
    return order
