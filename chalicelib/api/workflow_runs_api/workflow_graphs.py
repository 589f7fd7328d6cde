"""How a workflow's steps hang together, in the workflow-runs API; nothing here changes a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.step_schema import Steps
from chalicelib.api.workflow_runs_api.surface import Body, Parameters, Shown, api
from chalicelib.domain import plan
from chalicelib.domain.access import Scope
from chalicelib.services import blueprints


class GraphQuery(Parameters):
    """In which form a graph is asked for."""

    #: ``dot`` adds the graph in Graphviz's language.
    format: Literal["json", "dot"] = "json"


class TrySteps(Body):
    """Steps to judge."""

    #: The workflow's own where they are absent.
    steps: Steps | None = None


class PlanWorkflow(Body):
    """Nothing more is to be said."""


class GraphShown(Shown):
    """A workflow's steps as a graph."""

    workflow_id: str
    #: The steps that nothing comes before.
    roots: Sequence[str]
    #: What follows each step directly.
    adjacency: Mapping[str, Sequence[str]]
    #: The same in Graphviz's language, if it is asked for.
    dot: str | None


class Fault(Shown):
    """Something that is wrong with steps."""

    #: Where, as in ``steps.3.depends_on.0``.
    path: str
    message: str


class Tried(Shown):
    """Whether steps could be saved."""

    valid: bool
    step_count: int
    #: All that is wrong, where something is.
    errors: Sequence[Fault] | None


class PlanShown(Shown):
    """In which order a workflow's steps can run."""

    workflow_id: str
    #: The number of the version that it is about.
    workflow_version: int
    step_count: int
    #: The steps that nothing comes before.
    roots: Sequence[str]
    #: All steps, each after everything that leads to it.
    topological_order: Sequence[str]


@api.endpoint("GET", "/v1/workflows/{workflow_id}/graph", scope=Scope.WORKFLOWS_READ, query=GraphQuery)
def show_workflow_graph(caller: Caller, workflow_id: str, query: GraphQuery) -> GraphShown:
    """Show which steps follow which in a workflow's newest version."""
    found = blueprints.plan(caller.project_id, workflow_id)
    return GraphShown(
        workflow_id=found.workflow.id,
        roots=found.plan.roots,
        adjacency=found.plan.adjacency,
        dot=plan.dot(found.plan, name=found.workflow.id) if query.format == "dot" else None,
    )


@api.endpoint("POST", "/v1/workflows/{workflow_id}/dry-run", scope=Scope.WORKFLOWS_READ, body=TrySteps)
def try_steps(caller: Caller, workflow_id: str, body: TrySteps) -> Tried:
    """Judge steps as if they were saved; 200 whether they are good or bad."""
    tried = blueprints.tried(caller.project_id, workflow_id, body.steps)
    errors = [Fault(path=one.path, message=one.message) for one in tried.faults]
    return Tried(valid=not errors, step_count=tried.step_count, errors=errors or None)


@api.endpoint("POST", "/v1/workflows/{workflow_id}/plan", scope=Scope.WORKFLOWS_READ, body=PlanWorkflow)
def plan_workflow(caller: Caller, workflow_id: str, body: PlanWorkflow) -> PlanShown:  # noqa: ARG001 - it says nothing
    """Say in which order the steps of a workflow's newest version can run."""
    found = blueprints.plan(caller.project_id, workflow_id)
    return PlanShown(
        workflow_id=found.workflow.id,
        workflow_version=found.workflow.current_version,
        step_count=len(found.plan.order),
        roots=found.plan.roots,
        topological_order=found.plan.order,
    )
