"""The workflow library: pipelines of agents, saved, changed, renamed, reverted and copied; each change is a version.

A change is judged on the workflow as it was loaded. Of two at once one is stored, and the other is a Conflict: it would
have been made without having seen the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Conflict, Invalid
from chalicelib.domain.value import Json, same
from chalicelib.domain.workflow import Workflow, WorkflowKind, WorkflowVersion
from chalicelib.services import contents, publishing, summaries, versions, workflows
from chalicelib.services.contents import Content
from chalicelib.services.publishing import Draft, Published
from chalicelib.services.workflows import UNCHANGED, Unchanged
from chalicelib.store import versions as version_store
from chalicelib.store import workflows as store
from chalicelib.store.errors import Busy, Superseded
from chalicelib.store.paging import Page

LONGEST_NAME: Final = 200
#: What a pipeline's steps stand in, the first that there are.
STEPS: Final = ("personaPipelineSteps", "pipelineSteps")
_GRAPH: Final = "workflowGraph"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of a workflow; what is not said stays."""

    name: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    #: The pipeline's fields, by name; None takes one away.
    pipeline: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for a change, and when."""

    actor: Actor
    now: datetime
    #: What the new version's id is made of, where the request may be made again; see ``publishing.publish``.
    derived_id: str | None = None


def create(
    project_id: str,
    workflow_id: str,
    *,
    name: str,
    description: str,
    pipeline: Mapping[str, Json],
    request: Request,
) -> Published:
    """Create a workflow with its first version, deployed; where the id is taken already, that workflow is the answer.

    Steps are refused that are none: a drawing alone makes no new workflow.
    """
    if not any(pipeline.get(field) for field in STEPS):
        message = "pipelineSteps or personaPipelineSteps must have at least one step"
        raise Invalid(message, field="pipelineSteps")
    said = {name: value for name, value in pipeline.items() if value is not None}
    draft = Draft(name=name, description=description, pipeline=said)
    return publishing.create(project_id, workflow_id, draft=draft, actor=request.actor, now=request.now)


def update(project_id: str, workflow_id: str, *, changes: Changes, request: Request) -> Published:
    """Change a workflow: one more version, deployed.

    One that another API made keeps what it runs until it is sent steps of a pipeline, or another graph; what is sent
    back as it was shown changes nothing.
    """
    before = publishing.load(project_id, workflow_id)
    workflow = before.workflow
    renamed = replace(
        workflow,
        name=workflow.name if changes.name is UNCHANGED else changes.name,
        description=workflow.description if changes.description is UNCHANGED else changes.description,
    )
    was = shown(before)
    said = {name: value for name, value in changes.pipeline.items() if not same(was.get(name), value)}
    content = _changed(before, said)
    if content is None:
        return _renamed(before, renamed, request)
    summary = summaries.changed(workflow, renamed, before.content, content)
    if not said:
        try:
            return publishing.rename(
                workflow,
                renamed,
                content,
                summary=summary,
                actor=request.actor,
                now=request.now,
                derived_id=request.derived_id,
            )
        except (Superseded, Busy):
            raise _beaten() from None
    renamed = replace(renamed, outline=contents.outline_of(content))
    return _published(workflow, renamed, content, summary, request)


def revert(project_id: str, workflow_id: str, version_id: str, *, request: Request) -> Published:
    """Save what an earlier version held, its name and description too, as one more version under the settings of now.

    Another workflow's version, or an unknown one, is NotFound.
    """
    workflow = publishing.load(project_id, workflow_id).workflow
    earlier = versions.load(workflow, version_id)
    held = contents.content_of(earlier, contents.values_of(project_id))
    content = replace(held, settings=workflow.settings)
    restored = replace(
        workflow,
        # A version of before they were kept has none.
        name=workflow.name if earlier.name is None else earlier.name,
        description=workflow.description if earlier.description is None else earlier.description,
        outline=contents.outline_of(content),
    )
    summary = summaries.restored(earlier.number)
    return _published(workflow, restored, content, summary, request, restored_from=earlier.id)


def duplicate(project_id: str, workflow_id: str, new_id: str, *, name: str | None, request: Request) -> Published:
    """Create a workflow of what another holds now, and how it is started; its history and its runs stay behind.

    A workflow that has no version yet is refused.
    """
    origin = publishing.load(project_id, workflow_id)
    if origin.content is None:
        raise Conflict("the workflow has no version yet: there is nothing to duplicate")
    return publishing.copy(
        origin,
        new_id,
        name=name,
        slug=None,
        longest_name=LONGEST_NAME,
        actor=request.actor,
        now=request.now,
    )


def versions_page(
    project_id: str, workflow_id: str, *, cursor: str | None, limit: int
) -> tuple[Workflow, Page[WorkflowVersion]]:
    """Return a workflow and its versions, the newest first."""
    workflow = workflows.load_with_runs(project_id, workflow_id)
    return workflow, version_store.page(workflow.id, cursor=cursor, limit=limit)


def shown(published: Published) -> Mapping[str, Json]:
    """Return what a workflow holds as a pipeline, by field: a graph as its drawing, and a list of steps drawn as one.

    The drawing of a list of steps cannot be run: it says no more than which steps there are and what follows what.
    """
    content, version = published.content, published.version
    if content is None or version is None or content.steps is None:
        return _pipeline_of(content)
    definition = versions.definition_of(version, contents.values_of(published.workflow.project_id))
    nodes: list[Json] = [{"id": one.ref, "type": one.type.value, "name": one.name} for one in definition.steps.values()]
    edges: list[Json] = [{"source": one.source, "target": one.target} for one in definition.edges]
    return {_GRAPH: {"nodes": nodes, "edges": edges}}


def _pipeline_of(content: Content | None) -> Mapping[str, Json]:
    """Return a content as a pipeline: a graph is its drawing, and a list of steps has no such form."""
    if content is None or content.steps is not None:
        return {}
    return {_GRAPH: content.ir} if content.pipeline is None else content.pipeline


def _changed(before: Published, pipeline: Mapping[str, Json]) -> Content | None:
    """Return the content after changes, not judged yet; None where there was none and none is given."""
    if not pipeline:
        return before.content
    together = {**_pipeline_of(before.content), **pipeline}
    said = {name: value for name, value in together.items() if value is not None}
    return Content(pipeline=said, kind=WorkflowKind.WORKFLOW, settings=before.workflow.settings)


def _renamed(before: Published, renamed: Workflow, request: Request) -> Published:
    """Store another name or description of a workflow that has no version, and so nothing that one more would hold."""
    after = replace(renamed, updated_at=request.now, revision=before.workflow.revision + 1)
    try:
        store.update(after)
    except (Superseded, Busy):
        raise _beaten() from None
    return replace(before, workflow=after)


def _published(
    before: Workflow,
    after: Workflow,
    content: Content,
    summary: str,
    request: Request,
    *,
    restored_from: str | None = None,
) -> Published:
    try:
        return publishing.publish(
            before,
            after,
            content,
            summary=summary,
            actor=request.actor,
            now=request.now,
            restored_from=restored_from,
            derived_id=request.derived_id,
        )
    except (Superseded, Busy):
        raise _beaten() from None


def _beaten() -> Conflict:
    return Conflict("the workflow was changed by others at the same time; load it and try again")
