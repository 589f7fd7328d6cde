"""Builders for the tests of the library's services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chalicelib.domain.access import Actor
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import projects, workflows

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
ALICE = Actor(key_id="key1", name="alice")
PROJECT = "proj_1"


def later(minutes: float) -> datetime:
    """So many minutes after the test's beginning."""
    return NOW + timedelta(minutes=minutes)


def a_project(project_id: str = PROJECT) -> str:
    """A project with its conn_default."""
    projects.ensure(project_id, name="Test", now=NOW)
    return project_id


def a_workflow(
    project_id: str = PROJECT,
    *,
    kind: WorkflowKind = WorkflowKind.WORKFLOW,
    trigger_code: str | None = None,
    name: str = "orders",
    at: datetime = NOW,
) -> Workflow:
    """A workflow without a version."""
    return workflows.create(project_id, name=name, description="", kind=kind, trigger_code=trigger_code, now=at)


def a_graph(value: Json = 1, *, name: str = "only") -> Json:
    """A graph of one transform step."""
    return {
        "metadata": {"name": "orders"},
        "nodes": [{"id": "only", "type": "transform", "name": name, "data": {"value": value}}],
        "edges": [],
        "entryNodeId": "only",
    }
