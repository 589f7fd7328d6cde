"""Workflows: created, renamed, put in the trash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.workflow import Workflow, WorkflowKind
from chalicelib.services import contents, function_tokens, identifiers
from chalicelib.services.judging import judged_anew
from chalicelib.store import deployments as deployment_store
from chalicelib.store import versions as version_store
from chalicelib.store import workflows as store
from chalicelib.store.paging import Page


class Unchanged(Enum):
    """That a field is to stay as it is, where None is a value of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


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


def load_even_deleted(project_id: str, workflow_id: str) -> Workflow:
    """Return a project's workflow, in the trash or not: its runs live on."""
    workflow = store.load(identifiers.known_form(workflow_id, "Workflow"))
    if workflow is None or workflow.project_id != project_id:
        raise NotFound("Workflow not found")
    return workflow


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows, the last changed first."""
    return store.page(project_id, cursor=cursor, limit=limit)


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
        workflow = load(project_id, workflow_id)
        trashed = replace(workflow, deleted_at=now, updated_at=now, revision=workflow.revision + 1)
        deployed = [(one, function_tokens.digest(one)) for one in deployment_store.of_workflow(workflow.id)]
        store.trash(trashed, deployed=deployed)

    judged_anew(use_case)


def _refuse_misplaced_code(workflow: Workflow) -> None:
    if workflow.trigger_code is not None and workflow.kind is not WorkflowKind.SCRIPT:
        raise Invalid('triggerCode belongs to kind "script"; a workflow has no answer to render', field="triggerCode")


def _refuse_unfit_code(workflow: Workflow) -> None:
    newest = version_store.load(workflow.id, workflow.current_version) if workflow.current_version else None
    if newest is not None:
        content = contents.content_of(newest, contents.values_of(workflow.project_id))
        contents.compiled(replace(content, kind=workflow.kind, trigger_code=workflow.trigger_code))
