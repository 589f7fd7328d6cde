"""What a workflow's versions consist of, to look at: their steps, how they hang together, what changed between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import Definition
from chalicelib.domain.plan import Plan, plan_of
from chalicelib.domain.refusal import BadRequest, Detail, InvalidDefinition
from chalicelib.domain.value import Json
from chalicelib.domain.version_diff import Difference, difference
from chalicelib.domain.workflow import Workflow, WorkflowKind, WorkflowVersion
from chalicelib.services import contents, publishing, versions, workflows
from chalicelib.services.contents import Content
from chalicelib.store import versions as version_store
from chalicelib.store.paging import Page


@dataclass(frozen=True, kw_only=True)
class Planned:
    """How the steps of a workflow's newest version hang together."""

    workflow: Workflow
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What became of steps that were tried, and not saved."""

    step_count: int
    #: All that is wrong with them.
    faults: Sequence[Detail]


def plan(project_id: str, workflow_id: str) -> Planned:
    """Return how the steps of a workflow's newest version hang together; BadRequest where it has none."""
    workflow = workflows.load_with_runs(project_id, workflow_id)
    version = versions.find_newest(workflow)
    if version is None:
        raise BadRequest("workflow has no version yet")
    return Planned(workflow=workflow, plan=plan_of(_definition(project_id, version)))


def tried(project_id: str, workflow_id: str, steps: Sequence[Json] | None) -> Tried:
    """Judge steps as if they were saved, or the workflow's own where none are given; nothing is written."""
    published = publishing.load(project_id, workflow_id)
    if steps is None and published.content is None:
        return Tried(step_count=0, faults=[Detail(path="steps", message="workflow has no version yet: send its steps")])
    own = published.content or Content(kind=WorkflowKind.WORKFLOW)
    content = own if steps is None else Content(steps=steps, kind=WorkflowKind.WORKFLOW)
    try:
        definition = contents.compiled(content)
    except InvalidDefinition as refused:
        return Tried(step_count=len(steps or ()), faults=refused.details)
    return Tried(step_count=len(definition.steps), faults=[])


def versions_page(project_id: str, workflow_id: str, *, cursor: str | None, limit: int) -> Page[WorkflowVersion]:
    """Return a workflow's versions, the newest first."""
    workflow = workflows.load_with_runs(project_id, workflow_id)
    return version_store.page(workflow.id, cursor=cursor, limit=limit)


def version(project_id: str, workflow_id: str, name: str) -> WorkflowVersion:
    """Return a version of a project's workflow by its id or its number."""
    return versions.named(workflows.load_with_runs(project_id, workflow_id), name)


def compared(project_id: str, workflow_id: str, before: str, after: str) -> Difference:
    """Return what changed from one version of a workflow to another, each named by its id or its number."""
    workflow = workflows.load_with_runs(project_id, workflow_id)
    earlier, later = (_definition(project_id, versions.named(workflow, name)) for name in (before, after))
    return difference(earlier, later)


def content_of(project_id: str, version: WorkflowVersion) -> Content:
    """Return what a version holds."""
    return contents.content_of(version, contents.values_of(project_id))


def steps_of(content: Content) -> Sequence[Mapping[str, Json]]:
    """Return a content's steps with their defaults; those of a graph as far as a list of steps can say them.

    The compiler is loaded with the first steps to be shown.
    """
    from chalicelib.domain.graph_problems import Place  # noqa: PLC0415 - as just said
    from chalicelib.domain.step_fields import read_fields  # noqa: PLC0415 - the same
    from chalicelib.domain.step_list import show_steps  # noqa: PLC0415 - the same

    if content.steps is None:
        return show_steps(contents.compiled(content))
    return [read_fields(step, Place()) for step in content.steps if isinstance(step, Mapping)]


def _definition(project_id: str, version: WorkflowVersion) -> Definition:
    return versions.definition_of(version, contents.values_of(project_id))
