"""Workflows: created, renamed, put in the trash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from chalicelib.domain.refusal import Conflict, Invalid, NotFound
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import contents, function_tokens, identifiers
from chalicelib.services.judging import judged_anew
from chalicelib.store import deployments as deployment_store
from chalicelib.store import run_lists
from chalicelib.store import versions as version_store
from chalicelib.store import workflows as store
from chalicelib.store.paging import Page


class Unchanged(Enum):
    """That a field is to stay as it is, where None is a value of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
#: How often a page that functions were left out of is filled up.
_MOST_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of a workflow."""

    name: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    #: None takes it away.
    trigger_code: str | Unchanged | None = UNCHANGED


def create(
    project_id: str,
    *,
    name: str,
    description: str,
    kind: WorkflowKind,
    trigger_code: str | None,
    now: datetime,
) -> Workflow:
    """Create a workflow without a version."""
    workflow = Workflow(
        id=identifiers.workflow_id(),
        project_id=project_id,
        name=name,
        description=description,
        kind=kind,
        created_at=now,
        updated_at=now,
        trigger_code=trigger_code,
    )
    _refuse_misplaced_code(workflow)
    store.put(workflow)
    return workflow


def load(project_id: str, workflow_id: str) -> Workflow:
    """Return a project's workflow, or refuse it as NotFound; one in the trash is not found either."""
    workflow = load_even_deleted(project_id, workflow_id)
    if workflow.deleted_at is not None:
        raise NotFound("Workflow not found")
    return workflow


def load_with_runs(project_id: str, workflow_id: str) -> Workflow:
    """Return a project's workflow; a function, which has no runs, is not found."""
    workflow = load(project_id, workflow_id)
    if workflow.kind is not WorkflowKind.WORKFLOW:
        raise NotFound("Workflow not found")
    return workflow


def load_even_deleted(project_id: str, workflow_id: str) -> Workflow:
    """Return a project's workflow, in the trash or not: its runs live on."""
    workflow = store.load(identifiers.known_form(workflow_id, "Workflow"))
    if workflow is None or workflow.project_id != project_id:
        raise NotFound("Workflow not found")
    return workflow


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows, the last changed first."""
    return store.page(project_id, cursor=cursor, limit=limit)


def page_with_runs(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows without its functions; after many functions in a row a page may be short."""
    found: list[Workflow] = []
    for _ in range(_MOST_ROUNDS):
        read = store.page(project_id, cursor=cursor, limit=limit - len(found))
        found += (one for one in read.items if one.kind is WorkflowKind.WORKFLOW)
        cursor = read.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(items=tuple(found), cursor=cursor)


def change(project_id: str, workflow_id: str, *, changes: Changes, now: datetime) -> Workflow:
    """Change a workflow; trigger code must fit the newest version, which is what it will be deployed with."""

    def use_case() -> Workflow:
        before = load(project_id, workflow_id)
        after = replace(
            before,
            name=before.name if changes.name is UNCHANGED else changes.name,
            description=before.description if changes.description is UNCHANGED else changes.description,
            trigger_code=before.trigger_code if changes.trigger_code is UNCHANGED else changes.trigger_code,
            updated_at=now,
            revision=before.revision + 1,
        )
        _refuse_misplaced_code(after)
        if after.trigger_code != before.trigger_code:
            _refuse_unfit_code(after)
        store.update(after)
        return after

    return judged_anew(use_case)


def delete(project_id: str, workflow_id: str, *, now: datetime) -> None:
    """Put a workflow in the trash, its deployments and function URLs gone with the same write; its runs go on."""

    def use_case() -> None:
        _trash(load(project_id, workflow_id), now)

    judged_anew(use_case)


def delete_idle(project_id: str, workflow_id: str, *, now: datetime) -> None:
    """Put a workflow in the trash, unless it has runs that have not ended: Conflict.

    A run that is started after they were looked for goes on, as the runs of any deleted workflow do.
    """

    def use_case() -> None:
        workflow = load_with_runs(project_id, workflow_id)
        if run_lists.any_active(workflow.id):
            raise Conflict("workflow has active runs")
        _trash(workflow, now)

    judged_anew(use_case)


def _trash(workflow: Workflow, now: datetime) -> None:
    trashed = replace(workflow, deleted_at=now, updated_at=now, due_at=None, revision=workflow.revision + 1)
    deployed = [(one, function_tokens.digest(one)) for one in deployment_store.of_workflow(workflow.id)]
    store.trash(trashed, deployed=deployed)


def _refuse_misplaced_code(workflow: Workflow) -> None:
    if workflow.trigger_code is not None and workflow.kind is not WorkflowKind.SCRIPT:
        raise Invalid('triggerCode belongs to kind "script"; a workflow has no answer to render', field="triggerCode")


def _refuse_unfit_code(workflow: Workflow) -> None:
    newest = version_store.load(workflow.id, workflow.current_version) if workflow.current_version else None
    if newest is not None:
        content = contents.content_of(newest, contents.values_of(workflow.project_id))
        contents.compiled(replace(content, kind=workflow.kind, trigger_code=workflow.trigger_code))
