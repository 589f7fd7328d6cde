"""Compiles the trigger API's graph (``ir``) to the definition that the engine runs, or says all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import ROOT, Definition, StepSpec, StepType
from chalicelib.domain.graph_blocks import Blocks, check_joins, into_blocks
from chalicelib.domain.graph_edges import GraphEdge, check_labels, read_edges
from chalicelib.domain.graph_nodes import LONGEST_NAME, GraphNode, read_nodes
from chalicelib.domain.graph_order import cycles, ordered, reached, successors_of
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.graph_references import LOOP_NAMES, Sight, Visibility, missing
from chalicelib.domain.references import STEPS, Reference, references
from chalicelib.domain.refusal import InvalidDefinition
from chalicelib.domain.scope import BUILT_IN
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind

_FIELDS = ("kind", "metadata", "nodes", "edges", "entryNodeId", "trigger")


def compile_graph(ir: Json, *, kind: WorkflowKind, trigger_code: str | None) -> Definition:
    """Return the definition that a graph stands for; ``InvalidDefinition`` with a detail for each thing that is wrong.

    ``trigger_code`` is the template that a script answers with; a workflow has none. Details' paths are the graph's own
    (``nodes.2.data.url``), and ``triggerCode`` for that template.
    """
    place = Place()
    if not isinstance(ir, Mapping):
        place.at("ir").refuse("the graph must be an object")
        raise InvalidDefinition("Invalid IR", details=tuple(place.details))
    _check_frame(ir, place, kind)
    nodes = read_nodes(ir.get("nodes"), place.at("nodes"), kind=kind)
    edges = read_edges(ir.get("edges"), place.at("edges"), nodes)
    check_labels(nodes, edges)
    _check_loop_names(nodes)
    answer = trigger_code if kind is WorkflowKind.SCRIPT and trigger_code else None
    order = _order(ir.get("entryNodeId"), nodes, edges, place)
    compiled = _compiled(nodes, edges, order, place, answer=answer) if order is not None else None
    _check_references(nodes, compiled, place, answer=answer)
    if place.details or compiled is None:
        raise InvalidDefinition("Invalid IR", details=tuple(place.details))
    return compiled.definition


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    definition: Definition
    #: The steps along the definition's edges.
    order: Sequence[str]


def _check_frame(ir: Mapping[str, Json], place: Place, kind: WorkflowKind) -> None:
    place.refuse_unknown(ir, known=_FIELDS)
    if ir.get("kind") not in (None, kind):
        place.at("kind").refuse(f"the workflow's kind is {kind}, and cannot be {shown(ir.get('kind'))} here")
    metadata = ir.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        place.at("metadata").refuse("metadata must be an object")
        return
    name = metadata.get("name", "")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        place.at("metadata").at("name").refuse(f"a name is text of {LONGEST_NAME} characters at most")


def _check_loop_names(nodes: Mapping[str, GraphNode]) -> None:
    """Note loop variables that would hide a step or a name that always means the same."""
    for node in nodes.values():
        if node.type is not StepType.LOOP:
            continue
        for field in ("itemVar", "indexVar"):
            name = node.config.get(field)
            if isinstance(name, str) and (name in BUILT_IN or name in nodes):
                what = "the step of that id" if name in nodes else "a name that templates always have"
                node.place.at("data").at(field).refuse(f"{shown(name)} would hide {what}; choose another {field}")


def _order(
    entry: Json,
    nodes: Mapping[str, GraphNode],
    edges: Sequence[GraphEdge],
    place: Place,
) -> Sequence[str] | None:
    """Return the nodes along the edges; None, and notes, for a bad entry, cycles, and what the entry does not reach."""
    before = len(place.details)
    successors = successors_of(nodes, ((edge.source, edge.target) for edge in edges))
    for cycle in cycles(successors):
        way = " → ".join(map(shown, (*cycle, cycle[0])))
        nodes[cycle[0]].place.refuse(f"a cycle: {way}; a graph goes forward only, and a loop step repeats its body")
    here = place.at("entryNodeId")
    if not isinstance(entry, str):
        here.refuse("the id of the node that the graph starts with is required")
    elif entry not in nodes:
        here.refuse(f"there is no node {shown(entry)}")
    else:
        if any(edge.target == entry for edge in edges):
            here.refuse(f"{shown(entry)} cannot be the entry: an edge leads to it")
        seen = reached(entry, successors)
        for ref, node in nodes.items():
            if ref not in seen:
                node.place.refuse(f"{shown(ref)} is not reachable from the entry {shown(entry)}")
    return ordered(successors) if nodes and len(place.details) == before else None


def _compiled(
    nodes: Mapping[str, GraphNode],
    edges: Sequence[GraphEdge],
    order: Sequence[str],
    place: Place,
    *,
    answer: Json,
) -> _Compiled | None:
    before = len(place.details)
    blocks = into_blocks(nodes, edges, order=order)
    if len(place.details) > before:
        return None
    steps_in_order = check_joins(nodes, blocks, place.at("edges"))
    if len(place.details) > before:
        return None
    return _Compiled(definition=_definition(nodes, blocks, answer=answer), order=steps_in_order)


def _definition(nodes: Mapping[str, GraphNode], blocks: Blocks, *, answer: Json) -> Definition:
    steps = {
        ref: StepSpec(
            ref=ref,
            name=node.name,
            # A node without a type was noted; nothing is made of the definition then.
            type=node.type or StepType.TRANSFORM,
            config=node.config,
            retry=node.retry,
            timeout=node.timeout,
            block=blocks.block_of.get(ref, ROOT),
        )
        for ref, node in nodes.items()
    }
    return Definition(steps=steps, edges=blocks.edges, answer=answer)


def _check_references(
    nodes: Mapping[str, GraphNode],
    compiled: _Compiled | None,
    place: Place,
    *,
    answer: Json,
) -> None:
    """Note references to what is not there, or not yet; in a graph without an order only those to what is nowhere."""
    sight = Visibility(compiled.definition, order=compiled.order) if compiled else None
    known = _all_names(nodes)
    for ref, node in nodes.items():
        for field, found in node.reads.items():
            again = node.type is StepType.LOOP and field == "condition"
            for reference in found.references:
                if sight is not None:
                    problem = sight.problem(reference, ref=ref, sight=Sight.AGAIN if again else Sight.STEP)
                else:
                    problem = None if _may_be_there(reference, known) else missing(reference)
                _note(problem, reference, node.place)
    found = references(answer, path="triggerCode")
    place.refuse_unreadable(found)
    for reference in found.references:
        if sight is not None:
            _note(sight.problem(reference, ref="", sight=Sight.END), reference, place)


def _all_names(nodes: Mapping[str, GraphNode]) -> frozenset[str]:
    loops = [node.config for node in nodes.values() if node.type is StepType.LOOP]
    variables: Iterable[str] = (str(config.get(name)) for config in loops for name in ("itemVar", "indexVar"))
    return frozenset({*nodes, *BUILT_IN, *LOOP_NAMES, *variables})


def _may_be_there(reference: Reference, known: frozenset[str]) -> bool:
    name = reference.step if reference.root == STEPS and reference.step is not None else reference.root
    return name in known


def _note(problem: str | None, reference: Reference, place: Place) -> None:
    if problem is not None:
        whole = Place(path=reference.path, node_id=place.node_id, details=place.details)
        whole.refuse(f"{problem}, in {shown(reference.expression)}")
