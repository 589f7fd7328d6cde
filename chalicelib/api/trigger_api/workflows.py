"""Workflows in the trigger API."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import StringConstraints

from chalicelib.api.bodies import Body
from chalicelib.api.requests import Caller
from chalicelib.api.trigger_api.surface import Done, PageQuery, PageShown, Shown, api, shown_time
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import revisions, workflows

Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"\S")]
Description = Annotated[str, StringConstraints(max_length=1000)]
TriggerCode = Annotated[str, StringConstraints(max_length=32_768)]


class CreateWorkflow(Body):
    """A new workflow."""

    name: Name
    description: Description = ""
    kind: Literal["workflow", "script"] = "workflow"
    #: For a script: the template that its answer is rendered from.
    trigger_code: TriggerCode | None = None


class ChangeWorkflow(Body):
    """What is to change; what is absent stays."""

    name: Name = ""
    description: Description = ""
    trigger_code: TriggerCode | None = None


class WorkflowShown(Shown):
    """A workflow."""

    id: str
    name: str
    description: str
    kind: str
    trigger_code: str | None
    #: The newest version's number; 0 while there is none.
    current_version: int
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Return what is shown of a workflow."""
        return cls(
            id=workflow.id,
            name=workflow.name,
            description=workflow.description,
            kind=workflow.kind,
            trigger_code=workflow.trigger_code,
            current_version=workflow.current_version,
            created_at=shown_time(workflow.created_at),
            updated_at=shown_time(workflow.updated_at),
        )


@api.endpoint("POST", "/api/workflows", scope=Scope.WORKFLOWS_WRITE, status=201, body=CreateWorkflow)
def create_workflow(caller: Caller, body: CreateWorkflow) -> WorkflowShown:
    """Create a workflow, which has no version yet."""
    created = workflows.create(
        caller.project_id,
        name=body.name,
        description=body.description,
        kind=WorkflowKind(body.kind),
        trigger_code=body.trigger_code,
        now=caller.now,
    )
    return WorkflowShown.of(created)


@api.endpoint("GET", "/api/workflows", scope=Scope.WORKFLOWS_READ, query=PageQuery)
def list_workflows(caller: Caller, query: PageQuery) -> PageShown[WorkflowShown]:
    """List the project's workflows, the last changed first."""
    page = workflows.page(caller.project_id, cursor=query.cursor, limit=query.limit)
    return PageShown[WorkflowShown](data=[WorkflowShown.of(one) for one in page.items], next_cursor=page.cursor)


@api.endpoint("GET", "/api/workflows/{workflow_id}", scope=Scope.WORKFLOWS_READ)
def get_workflow(caller: Caller, workflow_id: str) -> WorkflowShown:
    """Show a workflow."""
    return WorkflowShown.of(workflows.load(caller.project_id, workflow_id))


@api.endpoint("PATCH", "/api/workflows/{workflow_id}", scope=Scope.WORKFLOWS_WRITE, body=ChangeWorkflow)
def change_workflow(caller: Caller, workflow_id: str, body: ChangeWorkflow) -> WorkflowShown:
    """Change a workflow's name, description or trigger code; a null trigger code takes it away.

    Where it has a version, that is one more, not deployed, with the same graph: versions tell what a workflow was
    called. Trigger code is part of what is deployed: a change of it counts from the next deployment on.
    """
    sent = body.model_fields_set
    changed = revisions.change(
        caller.project_id,
        workflow_id,
        changes=revisions.Changes(
            name=body.name if "name" in sent else workflows.UNCHANGED,
            description=body.description if "description" in sent else workflows.UNCHANGED,
            trigger_code=body.trigger_code if "trigger_code" in sent else workflows.UNCHANGED,
        ),
        actor=caller.actor,
        now=caller.now,
    )
    return WorkflowShown.of(changed)


@api.endpoint("DELETE", "/api/workflows/{workflow_id}", scope=Scope.WORKFLOWS_WRITE)
def delete_workflow(caller: Caller, workflow_id: str) -> Done:
    """Delete a workflow and take down its deployments; its runs go on and can still be polled and controlled."""
    workflows.delete(caller.project_id, workflow_id, now=caller.now)
    return Done()
