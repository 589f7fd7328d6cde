"""A definition as a picture of what comes before what: its roots, who follows whom, one order to run in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import ROOT, Definition, container_of
from chalicelib.domain.graph_order import ordered, successors_of


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the steps of a definition hang together."""

    #: The steps that nothing comes before, in the definition's order.
    roots: Sequence[str]
    #: What follows each step directly. A container is followed by the first steps of its blocks, too.
    adjacency: Mapping[str, Sequence[str]]
    #: All steps, each after everything that leads to it.
    order: Sequence[str]


def plan_of(definition: Definition) -> Plan:
    """Return how a definition's steps hang together."""
    adjacency = successors_of(definition.steps, dict.fromkeys(_pairs(definition)))
    roots = [ref for ref in definition.blocks[ROOT] if not definition.incoming[ref]]
    return Plan(roots=roots, adjacency=adjacency, order=ordered(adjacency))


def dot(plan: Plan, *, name: str) -> str:
    """Return a plan in Graphviz's language; whatever the steps are called, they are only names in it."""
    lines = [f"  {_quoted(ref)};" for ref in plan.adjacency]
    lines += [f"  {_quoted(ref)} -> {_quoted(to)};" for ref, targets in plan.adjacency.items() for to in targets]
    return "\n".join((f"digraph {_quoted(name)} {{", *lines, "}\n"))


def _pairs(definition: Definition) -> Iterator[tuple[str, str]]:
    for edge in definition.edges:
        yield edge.source, edge.target
    for block, refs in definition.blocks.items():
        if block != ROOT:
            yield from ((container_of(block), ref) for ref in refs if not definition.incoming[ref])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
