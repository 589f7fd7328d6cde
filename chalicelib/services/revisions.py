"""Workflows whose name, description or trigger code the trigger API changes: one more version, once they have one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.access import Actor
from chalicelib.domain.workflow import Workflow
from chalicelib.services import contents, summaries, versions, workflows
from chalicelib.services.judging import judged_anew
from chalicelib.services.workflows import UNCHANGED, Unchanged
from chalicelib.store import workflows as store


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of a workflow."""

    name: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    #: None takes it away.
    trigger_code: str | Unchanged | None = UNCHANGED


def change(project_id: str, workflow_id: str, *, changes: Changes, actor: Actor, now: datetime) -> Workflow:
    """Change a workflow; trigger code must fit the newest version, which is what it will be deployed with.

    The new version holds what the newest one held, and is not deployed: what is deployed stays so.
    """

    def use_case() -> Workflow:
        before = workflows.load(project_id, workflow_id)
        after = replace(
            before,
            name=before.name if changes.name is UNCHANGED else changes.name,
            description=before.description if changes.description is UNCHANGED else changes.description,
            trigger_code=before.trigger_code if changes.trigger_code is UNCHANGED else changes.trigger_code,
        )
        workflows.refuse_misplaced_code(after)
        if after == before or before.current_version == 0:
            return _update(after, now)
        return _append(before, after, actor, now)

    return judged_anew(use_case)


def _update(workflow: Workflow, now: datetime) -> Workflow:
    """Store a workflow as it is to be; Superseded if the stored one has been changed since it was loaded."""
    updated = replace(workflow, updated_at=now, revision=workflow.revision + 1)
    store.update(updated)
    return updated


def _append(before: Workflow, after: Workflow, actor: Actor, now: datetime) -> Workflow:
    """Store it with one more version; Superseded if the stored workflow has been changed since it was loaded."""
    newest = versions.find_newest(before)
    if newest is None:
        return _update(after, now)
    was = contents.content_of(newest, contents.values_of(before.project_id))
    content = was
    if after.trigger_code != before.trigger_code:
        content = replace(was, trigger_code=after.trigger_code)
        contents.compiled(content)
    summary = summaries.changed(before, after, was, content)
    version = versions.append(after, content, summary=summary, actor=actor, now=now)
    return replace(after, current_version=version.number, updated_at=now, revision=before.revision + 1)
