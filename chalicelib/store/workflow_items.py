"""The items of workflows and their slugs, mapped to and from the domain's workflow."""

from __future__ import annotations

import json
from typing import Self

from chalicelib.domain.value import dumps
from chalicelib.domain.workflow import Outline, Workflow, WorkflowKind
from chalicelib.store import keys, times, values
from chalicelib.store.table import Item, MaybeText, MaybeTime, MaybeWhole, Text, Time, Whole


class WorkflowItem(Item):
    """The root of a workflow's collection."""

    project_id = Text()
    #: In the list of workflows, or in that of the trash.
    list_key = Text()
    name = Text()
    description = Text()
    kind = Text()
    current_version = Whole()
    created_at = Time()
    updated_at = Time()
    deleted_at = MaybeTime()
    slug = MaybeText()
    settings = MaybeText()
    outline = MaybeText()
    #: In milliseconds, when its schedule is due; with the shard it is there exactly while it has one that will be.
    next_check_at = MaybeWhole()
    sweep_shard = MaybeText()
    trigger_code = MaybeText()
    revision = Whole()

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Return the item of a workflow."""
        if workflow.deleted_at is None:
            list_key = keys.listed_workflow(workflow.updated_at, workflow.id)
        else:
            list_key = keys.trashed_workflow(workflow.deleted_at, workflow.id)
        return cls(
            *keys.workflow(workflow.id),
            project_id=workflow.project_id,
            list_key=list_key,
            name=workflow.name,
            description=workflow.description,
            kind=workflow.kind.value,
            current_version=workflow.current_version,
            created_at=workflow.created_at,
            updated_at=workflow.updated_at,
            deleted_at=workflow.deleted_at,
            slug=workflow.slug,
            settings=values.settings_text(workflow.settings),
            outline=_outline_text(workflow.outline),
            next_check_at=due_milliseconds(workflow),
            sweep_shard=keys.SCHEDULE_SHARD if due_milliseconds(workflow) is not None else None,
            trigger_code=workflow.trigger_code,
            revision=workflow.revision,
        )

    def workflow(self) -> Workflow:
        """Return the workflow."""
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
            slug=self.slug,
            settings=values.settings_of(self.settings),
            outline=_outline_of(self.outline),
            due_at=times.from_milliseconds(self.next_check_at) if self.next_check_at is not None else None,
            trigger_code=self.trigger_code,
            revision=self.revision,
        )


class SlugItem(Item):
    """Which workflow of a project a slug means."""

    workflow_id = Text()


def due_milliseconds(workflow: Workflow) -> int | None:
    """Return when the sweep is to look at a workflow; one in the trash it leaves alone."""
    if workflow.due_at is None or workflow.deleted_at is not None:
        return None
    return times.milliseconds_of(workflow.due_at)


def _outline_text(outline: Outline) -> str | None:
    if outline == Outline():
        return None
    return dumps([outline.step_count, list(outline.tools), list(outline.personas)])


def _outline_of(text: str | None) -> Outline:
    if text is None:
        return Outline()
    step_count, tools, personas = json.loads(text)
    return Outline(step_count=step_count, tools=tuple(tools), personas=tuple(personas))
