"""Workflows: created, renamed, put in the trash."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Final

from chalicelib.domain.refusal import Conflict, Invalid, NotFound
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import function_tokens, identifiers
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.services.judging import judged_anew
from chalicelib.store import deployments as deployment_store
from chalicelib.store import run_lists
from chalicelib.store import workflows as store
from chalicelib.store.paging import Page


class Unchanged(Enum):
    """That a field is to stay as it is, where None is a value of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
#: How often a page that functions were left out of is filled up.
_MOST_ROUNDS: Final = 5


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
    refuse_misplaced_code(workflow)
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
    workflow = load_with_runs_even_deleted(project_id, workflow_id)
    if workflow.deleted_at is not None:
        raise NotFound("Workflow not found")
    return workflow


def load_with_runs_even_deleted(project_id: str, workflow_id: str) -> Workflow:
    """Return a project's workflow, in the trash or not; a function, which has no runs, is not found."""
    workflow = load_even_deleted(project_id, workflow_id)
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
    return _without_functions(functools.partial(store.page, project_id), cursor, limit)


def page_with_trash(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return what ``page_with_runs`` does, and what lies in the trash of it."""
    return _without_functions(functools.partial(store.page_with_trash, project_id), cursor, limit)


def delete(project_id: str, workflow_id: str, *, now: datetime) -> None:
    """Put a workflow in the trash, its deployments and function URLs gone with the same write; its runs go on."""

    def use_case() -> None:
        _trash(load(project_id, workflow_id), now)

    judged_anew(use_case)


def delete_or_leave(project_id: str, workflow_id: str, *, now: datetime) -> Workflow:
    """Put a workflow that has runs in the trash; one that lies there already stays as it is. Its runs go on."""

    def use_case() -> Workflow:
        workflow = load_with_runs_even_deleted(project_id, workflow_id)
        return workflow if workflow.deleted_at is not None else _trash(workflow, now)

    return judged_anew(use_case)


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


def _without_functions(read: Callable[..., Page[Workflow]], cursor: str | None, limit: int) -> Page[Workflow]:
    found: list[Workflow] = []
    for _ in range(_MOST_ROUNDS):
        page = read(cursor=cursor, limit=limit - len(found))
        found += (one for one in page.items if one.kind is WorkflowKind.WORKFLOW)
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(items=tuple(found), cursor=cursor)


def _trash(workflow: Workflow, now: datetime) -> Workflow:
    deployed = [(one, function_tokens.digest(one)) for one in deployment_store.of_workflow(workflow.id)]
    versions = {one.connection_id: one.version for one, _ in deployed}
    trashed = replace(
        workflow,
        deleted_at=now,
        trashed_version=versions.get(DEFAULT_CONNECTION),
        updated_at=now,
        due_at=None,
        revision=workflow.revision + 1,
    )
    store.trash(trashed, deployed=deployed)
    return trashed


def refuse_misplaced_code(workflow: Workflow) -> None:
    """Refuse trigger code where there is no answer to render."""
    if workflow.trigger_code is not None and workflow.kind is not WorkflowKind.SCRIPT:
        raise Invalid('triggerCode belongs to kind "script"; a workflow has no answer to render', field="triggerCode")
