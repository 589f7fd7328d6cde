"""The edges of a graph: read one by one, then checked against the steps that they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import ON_ERROR, StepType
from chalicelib.domain.graph_nodes import GraphNode
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.value import Json

MOST_EDGES = 10_000
#: The label of the edge that leads on from a step with a body or arms.
THEN = "then"

_EDGE_FIELDS = ("source", "target", "label")
#: What graph editors keep in an edge for themselves.
_DRAWN = ("id",)


@dataclass(frozen=True, kw_only=True)
class GraphEdge:
    """An edge between two nodes that there are."""

    source: str
    target: str
    #: Empty for none.
    label: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How many edges of a label may leave a step of a type."""

    least: int = 0
    most: int | None = None


_ANY = Labels()
_ONE = Labels(least=1, most=1)
_MAY = Labels(most=1)
_SOME = Labels(least=1)

#: The labels of the edges that leave steps which do more than go on. Empty: edges without one.
LABELS: Mapping[StepType, Mapping[str, Labels]] = {
    StepType.PARALLEL: {"": _SOME, THEN: _MAY, ON_ERROR: _ANY},
    StepType.RACE: {"": _SOME, THEN: _MAY, ON_ERROR: _ANY},
    StepType.LOOP: {"body": _ONE, THEN: _MAY, ON_ERROR: _ANY},
    StepType.TRY_CATCH: {"try": _ONE, "catch": _MAY, "finally": _MAY, THEN: _MAY, ON_ERROR: _ANY},
}
_PLAIN: Mapping[str, Labels] = {"": _ANY, ON_ERROR: _ANY}


def read_edges(edges: Json, place: Place, nodes: Mapping[str, GraphNode]) -> list[GraphEdge]:
    """Return the edges between nodes that there are, and note what is wrong with the others."""
    if not isinstance(edges, list | tuple):
        place.refuse("edges must be a list")
        return []
    if len(edges) > MOST_EDGES:
        place.refuse(f"a graph may have {MOST_EDGES} edges at most; this one has {len(edges)}")
        return []
    found: dict[tuple[str, str, str], GraphEdge] = {}
    for at, given in enumerate(edges):
        edge = _edge(given, place.at(at), nodes)
        if edge is None:
            continue
        if found.setdefault((edge.source, edge.target, edge.label), edge) is not edge:
            edge.place.refuse(f"there is another edge like this from {shown(edge.source)} to {shown(edge.target)}")
    return list(found.values())


def check_labels(nodes: Mapping[str, GraphNode], edges: Sequence[GraphEdge]) -> None:
    """Note edges with labels that mean nothing where they are, and steps that lack an edge they need."""
    leaving: dict[str, list[GraphEdge]] = {ref: [] for ref in nodes}
    for edge in edges:
        leaving[edge.source].append(edge)
    for ref, node in nodes.items():
        if node.type is StepType.BRANCH:
            _check_branch(node, leaving[ref])
        elif node.type is not None:
            _check_counts(node, node.type, leaving[ref])


def _edge(given: Json, place: Place, nodes: Mapping[str, GraphNode]) -> GraphEdge | None:
    if not isinstance(given, Mapping):
        place.refuse("an edge is an object {source, target, label?}")
        return None
    place.refuse_unknown(given, known=_EDGE_FIELDS, ignored=_DRAWN)
    label = given.get("label")
    if label is not None and not isinstance(label, str):
        place.at("label").refuse("a label is text")
        label = None
    ends = [_end(given.get(name), place.at(name), nodes) for name in ("source", "target")]
    source, target = ends
    if source is None or target is None:
        return None
    if source == target:
        place.of(source).refuse(f"the edge leads from {shown(source)} to itself")
        return None
    return GraphEdge(source=source, target=target, label=label or "", place=place.of(source))


def _end(given: Json, place: Place, nodes: Mapping[str, GraphNode]) -> str | None:
    if not isinstance(given, str):
        place.refuse("the id of a node is required, as text")
    elif given not in nodes:
        place.refuse(f"there is no node {shown(given)}")
    else:
        return given
    return None


def _check_counts(node: GraphNode, step_type: StepType, leaving: Sequence[GraphEdge]) -> None:
    known = LABELS.get(step_type, _PLAIN)
    counts = dict.fromkeys(known, 0)
    for edge in leaving:
        if edge.label not in known:
            edge.place.refuse(_unknown_label(step_type, edge.label, tuple(known)))
            continue
        counts[edge.label] += 1
        most = known[edge.label].most
        if most is not None and counts[edge.label] == most + 1:
            edge.place.refuse(f"only one edge labelled {shown(edge.label)} may leave {shown(node.id)}")
    for label, count in counts.items():
        if count < known[label].least:
            name = f"an edge labelled {shown(label)}" if label else "at least one edge without a label, to an arm"
            node.place.refuse(f"a {step_type} step needs {name}")
    if step_type is StepType.TRY_CATCH and not counts["catch"] + counts["finally"]:
        node.place.refuse('a try_catch step needs an edge labelled "catch" or one labelled "finally"')


def _unknown_label(step_type: StepType, label: str, known: Sequence[str]) -> str:
    labels = ", ".join(shown(one) for one in known if one)
    if not label:
        return f"an edge that leaves a {step_type} step needs a label, one of {labels}"
    return f"the label {shown(label)} means nothing on a {step_type} step; it knows {labels}"


def _check_branch(node: GraphNode, leaving: Sequence[GraphEdge]) -> None:
    branches = node.config.get("branches")
    ways = branches if isinstance(branches, list | tuple) else ()
    known = [str(way.get("label")) for way in ways if isinstance(way, Mapping)]
    for edge in leaving:
        if known and edge.label not in known and edge.label != ON_ERROR:
            what = f"there is no branch {shown(edge.label)}" if edge.label else "an edge from a branch needs a label"
            edge.place.refuse(f"{what}; the branches of {shown(node.id)} are {', '.join(map(shown, known[:20]))}")
