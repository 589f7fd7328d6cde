"""Workflows in the workflows API: a name, and a pipeline of agents; listed, shown, created, changed, copied."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from chalicelib.api.bodies import AnyJson, Body
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import (
    Data,
    Id,
    IdQuery,
    PageQuery,
    PageShown,
    api,
    flag,
    nothing_to_change,
    on_one_line,
)
from chalicelib.api.workflows_api.workflow_rows import (
    PIPELINE,
    WholeWorkflow,
    WorkflowRow,
    new_workflow_id,
    request_of,
    whole,
)
from chalicelib.domain.access import Scope
from chalicelib.services import displays, library, publishing, workflows
from chalicelib.services.library import LONGEST_NAME
from chalicelib.services.workflows import UNCHANGED

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(on_one_line)]
Description = Annotated[str, StringConstraints(max_length=2000)]
Type = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Instructions = Annotated[str, StringConstraints(max_length=50_000)]
Steps = Annotated[list[AnyJson], Field(max_length=100)]


class ListWorkflows(PageQuery):
    """Which page of the workflows."""

    #: Whether those in the trash are listed too.
    include_deleted: Annotated[bool, BeforeValidator(flag)] = False


class Pipeline(Body):
    """What a workflow consists of; null is nothing, and takes away what was."""

    description: Description | None = None
    #: Whatever its author sorts workflows by.
    type: Type | None = None
    #: What holds for every step that does not say otherwise: its agent, model and sandbox.
    default_config: dict[str, AnyJson] | None = None
    #: How often a loop goes round at most, unless its steps say so.
    max_iterations: Annotated[int, Field(ge=1, le=50)] | None = None
    #: Up to 100.
    pipeline_steps: Steps | None = None
    #: In place of ``pipelineSteps``, where there are any.
    persona_pipeline_steps: Steps | None = None
    #: What the builder shows; it is run only where there are no steps.
    workflow_graph: dict[str, AnyJson] | None = None
    #: Come before the own instructions of each checker.
    default_checker_instructions: Instructions | None = None
    #: Come before the own instructions of each optimizer.
    default_optimizer_instructions: Instructions | None = None

    def said(self) -> dict[str, Any]:
        """Return the pipeline's fields that were sent, by their own names."""
        return {own: getattr(self, name) for name, own in PIPELINE.items() if name in self.model_fields_set}


class CreateWorkflow(Pipeline):
    """A new workflow; it has at least one step in one of the two lists."""

    name: Name


class UpdateWorkflow(Pipeline):
    """What is to change; what is absent stays."""

    workflow_id: Id
    # Without a default that the document would show, as no name is empty.
    name: Name = Field(default_factory=str)


class RenameWorkflow(Body):
    """A workflow's new name."""

    workflow_id: Id
    name: Name


class DuplicateWorkflow(Body):
    """A workflow to copy."""

    workflow_id: Id
    #: Null: the name of the one that is copied, and that it is a copy.
    name: Name | None = None


@api.endpoint("GET", "/api/v1/workflows/list", scope=Scope.WORKFLOWS_READ, query=ListWorkflows)
def list_library(caller: Caller, query: ListWorkflows) -> PageShown[WorkflowRow]:
    """List the project's workflows, the last changed first; functions are none.

    Only a null `nextCursor` is the end: where there are many functions a page may hold fewer rows than `limit`.
    """
    read = workflows.page_with_trash if query.include_deleted else workflows.page_with_runs
    page = read(caller.project_id, cursor=query.cursor, limit=query.limit)
    shown = displays.of(caller.project_id, page.items)
    rows = [WorkflowRow.of(one, shown[one.id]) for one in page.items]
    return PageShown[WorkflowRow](data=rows, next_cursor=page.cursor, has_more=page.cursor is not None)


@api.endpoint("GET", "/api/v1/workflows/get", scope=Scope.WORKFLOWS_READ, query=IdQuery)
def get_library_workflow(caller: Caller, query: IdQuery) -> Data[WholeWorkflow]:
    """Show a workflow with all that it holds. One that another API made shows its graph, or its steps drawn as one."""
    return whole(caller, publishing.load(caller.project_id, query.id))


@api.endpoint("POST", "/api/v1/workflows/create", scope=Scope.WORKFLOWS_WRITE, status=201, body=CreateWorkflow)
def create_library_workflow(caller: Caller, body: CreateWorkflow) -> Data[WholeWorkflow]:
    """Create a workflow, ready to be run; it is its first version."""
    published = library.create(
        caller.project_id,
        new_workflow_id(caller),
        name=body.name,
        description=body.description or "",
        pipeline=body.said(),
        request=request_of(caller),
    )
    return whole(caller, published)


@api.endpoint("POST", "/api/v1/workflows/update", scope=Scope.WORKFLOWS_WRITE, body=UpdateWorkflow)
def update_library_workflow(caller: Caller, body: UpdateWorkflow) -> Data[WholeWorkflow]:
    """Change any of a workflow's fields: one more version, which later runs run.

    Earlier versions, and runs of them, stay as they are. Of two changes at once one is a 409.
    """
    sent = body.model_fields_set - {"workflow_id"}
    if not sent:
        raise nothing_to_change()
    changes = library.Changes(
        name=body.name if "name" in sent else UNCHANGED,
        description=(body.description or "") if "description" in sent else UNCHANGED,
        pipeline=body.said(),
    )
    return whole(
        caller, library.update(caller.project_id, body.workflow_id, changes=changes, request=request_of(caller))
    )


@api.endpoint("POST", "/api/v1/workflows/rename", scope=Scope.WORKFLOWS_WRITE, body=RenameWorkflow)
def rename_workflow(caller: Caller, body: RenameWorkflow) -> Data[WholeWorkflow]:
    """Rename a workflow, which is one more version. Of two changes at once one is a 409."""
    changes = library.Changes(name=body.name)
    return whole(
        caller, library.update(caller.project_id, body.workflow_id, changes=changes, request=request_of(caller))
    )


@api.endpoint("POST", "/api/v1/workflows/duplicate", scope=Scope.WORKFLOWS_WRITE, status=201, body=DuplicateWorkflow)
def duplicate_workflow(caller: Caller, body: DuplicateWorkflow) -> Data[WholeWorkflow]:
    """Copy a workflow, but for its history, its runs and its statistics.

    Unless a name is given the copy is called `<name> (copy)`. Its schedule is copied too, and due.
    """
    published = library.duplicate(
        caller.project_id,
        body.workflow_id,
        new_workflow_id(caller),
        name=body.name,
        request=request_of(caller),
    )
    return whole(caller, published)
