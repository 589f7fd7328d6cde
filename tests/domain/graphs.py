"""Builders for graphs: nodes and edges in as few words as a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType

import pytest

from chalicelib.domain.definition import Definition
from chalicelib.domain.graph import compile_graph
from chalicelib.domain.refusal import Detail, InvalidDefinition
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind

#: The least data that each type of step does with.
LEAST: dict[str, dict[str, Json]] = {
    "http_request": {"method": "GET", "url": "https://example.com"},
    "lambda": {"functionName": "f"},
    "transform": {"value": 1},
    "sleep": {"duration": 1},
    "sleep_until": {"timestamp": "2026-11-22T09:30:00Z"},
    "wait_for_event": {"eventType": "go"},
    "approval": {},
    "branch": {"branches": [{"label": "yes", "condition": "payload.ok"}, {"label": "no"}]},
    "parallel": {},
    "race": {},
    "loop": {"loopType": "times", "count": 2},
    "break": {},
    "try_catch": {},
    "sub_workflow": {"workflowId": "wf_1"},
    "sub_script": {"workflowId": "wf_2"},
    "agent": {"cliId": "claude", "prompt": "Fix {{ payload.issue }}"},
}


def a_node(ref: str, type_: str = "transform", *, config: Json = None, **data: Json | EllipsisType) -> dict[str, Json]:
    """Return a node with the least data of its type, and what is given over it; a field that is ``...`` is left out."""
    whole: dict[str, Json | EllipsisType] = {**LEAST[type_], **data}
    given: dict[str, Json] = {name: value for name, value in whole.items() if not isinstance(value, EllipsisType)}
    node: dict[str, Json] = {"id": ref, "type": type_, "name": ref.upper(), "data": given}
    return node if config is None else {**node, "config": config}


def an_edge(text: str) -> dict[str, Json]:
    """Return an edge from ``"source target"`` or ``"source target label"``."""
    return dict(zip(("source", "target", "label"), text.split(), strict=False))


def a_graph(nodes: Sequence[Json], edges: Sequence[str] = (), **fields: Json) -> dict[str, Json]:
    """Return a graph that starts with its first node."""
    first = nodes[0] if nodes else None
    entry = first.get("id") if isinstance(first, dict) else None
    graph: dict[str, Json] = {
        "metadata": {"name": "Orders"},
        "nodes": nodes,
        "edges": [an_edge(edge) for edge in edges],
        "entryNodeId": entry,
    }
    return {**graph, **fields}


def compiled(
    ir: Json,
    *,
    kind: WorkflowKind = WorkflowKind.WORKFLOW,
    trigger_code: str | None = None,
) -> Definition:
    return compile_graph(ir, kind=kind, trigger_code=trigger_code)


def problems(
    ir: Json,
    *,
    kind: WorkflowKind = WorkflowKind.WORKFLOW,
    trigger_code: str | None = None,
) -> tuple[Detail, ...]:
    """Return what a graph is refused for; a graph that is not refused fails the test."""
    with pytest.raises(InvalidDefinition, match="Invalid IR") as caught:
        compiled(ir, kind=kind, trigger_code=trigger_code)
    return caught.value.details


def edges_of(definition: Definition) -> set[str]:
    """Return a definition's edges as texts like those they were made from."""
    return {" ".join(filter(None, (edge.source, edge.target, edge.label))) for edge in definition.edges}


def blocks_of(definition: Definition) -> dict[str, str]:
    """Return the blocks of the steps that do not stand in the root."""
    return {spec.ref: spec.block for spec in definition.steps.values() if spec.block}
