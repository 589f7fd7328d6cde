"""How the workflows API shows workflows: in a row of the list, and whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from chalicelib.api.bodies import AnyJson
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Identified, Shown, Time
from chalicelib.domain.run import RunStatus
from chalicelib.domain.workflow import Workflow
from chalicelib.services import displays, identifiers, library
from chalicelib.services.displays import Display
from chalicelib.services.library import Request
from chalicelib.services.publishing import Published

#: The fields of a pipeline, by the model's name and by the pipeline's own.
PIPELINE: Final[Mapping[str, str]] = {
    "type": "type",
    "default_config": "defaultConfig",
    "max_iterations": "maxIterations",
    "pipeline_steps": "pipelineSteps",
    "persona_pipeline_steps": "personaPipelineSteps",
    "workflow_graph": "workflowGraph",
    "default_checker_instructions": "defaultCheckerInstructions",
    "default_optimizer_instructions": "defaultOptimizerInstructions",
}


class DisplayShown(Shown):
    """What the list of workflows shows beside a name."""

    #: What people call its steps' command-line agents, each once.
    cli_tools: Sequence[str]
    step_count: int
    #: When its last run was created.
    last_run_at: Time | None
    last_run_status: RunStatus | None

    @classmethod
    def of(cls, display: Display) -> Self:
        """Return what is shown."""
        return cls(
            cli_tools=[tool.label for tool in display.tools],
            step_count=display.step_count,
            last_run_at=display.last_run_at,
            last_run_status=display.last_run_status,
        )


class WorkflowRow(Identified):
    """A workflow as the list shows it."""

    name: str
    description: str
    #: The current version's number; 0 while there is none.
    version: int
    created_at: Time
    updated_at: Time
    #: When it went to the trash.
    deleted_at: Time | None
    display: DisplayShown

    @classmethod
    def of(cls, workflow: Workflow, display: Display) -> Self:
        """Return what is shown of a workflow."""
        return cls(**_shown(workflow, display))


class WholeWorkflow(WorkflowRow):
    """A workflow with what its current version holds.

    One that another API made has no pipeline: its graph, or its steps drawn as one, are shown as ``workflowGraph``.
    """

    type: str | None
    default_config: Mapping[str, AnyJson] | None
    max_iterations: int | None
    pipeline_steps: Sequence[AnyJson] | None
    persona_pipeline_steps: Sequence[AnyJson] | None
    workflow_graph: Mapping[str, AnyJson] | None
    default_checker_instructions: str | None
    default_optimizer_instructions: str | None


def whole(caller: Caller, published: Published) -> Data[WholeWorkflow]:
    """Return a workflow as it is answered whole."""
    workflow = published.workflow
    display = displays.of(caller.project_id, [workflow])[workflow.id]
    held = library.shown(published)
    pipeline: dict[str, Any] = {name: held.get(own) for name, own in PIPELINE.items()}
    return Data[WholeWorkflow](data=WholeWorkflow(**_shown(workflow, display), **pipeline))


def request_of(caller: Caller) -> Request:
    """Return who asks for a change; asked again under its idempotency key, it makes the same version."""
    derived = caller.once.derived_id("version") if caller.once is not None else None
    return Request(actor=caller.actor, now=caller.now, derived_id=derived)


def new_workflow_id(caller: Caller) -> str:
    """Return a new workflow's id: the same one if the request is made again under its idempotency key."""
    return identifiers.workflow_id(caller.once.derived_id("workflow") if caller.once is not None else None)


def _shown(workflow: Workflow, display: Display) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "also_id": workflow.id,
        "name": workflow.name,
        "description": workflow.description,
        "version": workflow.current_version,
        "created_at": workflow.created_at,
        "updated_at": workflow.updated_at,
        "deleted_at": workflow.deleted_at,
        "display": DisplayShown.of(display),
    }
