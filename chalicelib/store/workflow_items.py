"""The items of workflows and their slugs, mapped to and from the domain's workflow."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Self

from chalicelib.domain.value import dumps
from chalicelib.domain.workflow import Outline, Workflow, WorkflowKind
from chalicelib.store import keys, times, values
from chalicelib.store.table import Item, MaybeText, MaybeTime, MaybeWhole, Text, Time, Whole


class WorkflowItem(Item):
    """The root of a workflow's collection."""

    project_id = Text()
    #: In the list of workflows, in that of the trash, or in neither once it is gone for good.
    list_key = Text()
    name = Text()
    description = Text()
    kind = Text()
    current_version = Whole()
    created_at = Time()
    updated_at = Time()
    deleted_at = MaybeTime()
    trashed_version = MaybeWhole()
    purged_at = MaybeTime()
    slug = MaybeText()
    settings = MaybeText()
    outline = MaybeText()
    #: In milliseconds, when its schedule is due, or when it went for good; with the shard, which says which, it is
    #: there exactly while the sweep is to look at it.
    next_check_at = MaybeWhole()
    sweep_shard = MaybeText()
    trigger_code = MaybeText()
    revision = Whole()

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Return the item of a workflow."""
        look_at = workflow.purged_at or _due_at(workflow)
        return cls(
            *keys.workflow(workflow.id),
            project_id=workflow.project_id,
            list_key=_list_key(workflow),
            name=workflow.name,
            description=workflow.description,
            kind=workflow.kind.value,
            current_version=workflow.current_version,
            created_at=workflow.created_at,
            updated_at=workflow.updated_at,
            deleted_at=workflow.deleted_at,
            trashed_version=workflow.trashed_version,
            purged_at=workflow.purged_at,
            slug=workflow.slug,
            settings=values.settings_text(workflow.settings),
            outline=_outline_text(workflow.outline),
            next_check_at=times.milliseconds_of(look_at) if look_at is not None else None,
            sweep_shard=(keys.PURGE_SHARD if workflow.purged_at else keys.SCHEDULE_SHARD) if look_at else None,
            trigger_code=workflow.trigger_code,
            revision=workflow.revision,
        )

    def workflow(self) -> Workflow:
        """Return the workflow."""
        due = self.next_check_at if self.sweep_shard == keys.SCHEDULE_SHARD else None
        return Workflow(
            id=keys.id_of(self.pk),
            project_id=self.project_id,
            name=self.name,
            description=self.description,
            kind=WorkflowKind(self.kind),
            current_version=self.current_version,
            created_at=self.created_at,
            updated_at=self.updated_at,
            deleted_at=self.deleted_at,
            trashed_version=self.trashed_version,
            purged_at=self.purged_at,
            slug=self.slug,
            settings=values.settings_of(self.settings),
            outline=_outline_of(self.outline),
            due_at=times.from_milliseconds(due) if due is not None else None,
            trigger_code=self.trigger_code,
            revision=self.revision,
        )


class SlugItem(Item):
    """Which workflow of a project a slug means."""

    workflow_id = Text()


def due_milliseconds(workflow: Workflow) -> int | None:
    """Return when the sweep is to start a run of a workflow; one in the trash it leaves alone."""
    due_at = _due_at(workflow)
    return times.milliseconds_of(due_at) if due_at is not None else None


def _due_at(workflow: Workflow) -> datetime | None:
    return workflow.due_at if workflow.deleted_at is None else None


def _list_key(workflow: Workflow) -> str:
    if workflow.purged_at is not None:
        return keys.purged_workflow(workflow.purged_at, workflow.id)
    if workflow.deleted_at is not None:
        return keys.trashed_workflow(workflow.deleted_at, workflow.id)
    return keys.listed_workflow(workflow.updated_at, workflow.id)


def _outline_text(outline: Outline) -> str | None:
    if outline == Outline():
        return None
    return dumps([outline.step_count, list(outline.tools), list(outline.personas)])


def _outline_of(text: str | None) -> Outline:
    if text is None:
        return Outline()
    step_count, tools, personas = json.loads(text)
    return Outline(step_count=step_count, tools=tuple(tools), personas=tuple(personas))
