"""Versions of workflows: saved, reverted to, and compiled for whoever runs them."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Workflow, WorkflowVersion
from chalicelib.services import identifiers, summaries, workflows
from chalicelib.services.contents import Content, compiled, content_of, outline_of, source_of, values_of
from chalicelib.services.judging import judged_anew
from chalicelib.services.values import Values
from chalicelib.store import versions as store
from chalicelib.store.paging import Page

#: Definitions kept in this process; the least used is forgotten.
_MOST_KEPT: Final = 64
#: No id of a version is a number.
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)

_kept: OrderedDict[str, Definition] = OrderedDict()
_keeping = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A version as it was saved."""

    version: WorkflowVersion
    #: Whether it is one more, not the newest overwritten.
    new: bool


def save(project_id: str, workflow_id: str, *, ir: Json, actor: Actor, now: datetime) -> Saved:
    """Save a graph: over the newest version while that is not deployed, else as one more.

    InvalidDefinition tells all that is wrong with it.
    """

    def use_case() -> Saved:
        workflow = workflows.load(project_id, workflow_id)
        return save_newest(workflow, Content(ir=ir, kind=workflow.kind), actor=actor, now=now)

    return judged_anew(use_case)


def save_newest(workflow: Workflow, content: Content, *, actor: Actor, now: datetime) -> Saved:
    """Save a content as the newest version, under what the workflow says; Superseded if the workflow has moved on."""
    content = replace(content, trigger_code=workflow.trigger_code, settings=workflow.settings)
    outlined = replace(workflow, outline=outline_of(content, compiled(content)))
    newest = find_newest(workflow)
    if newest is None or newest.deployed:
        summary = summaries.CREATED if newest is None else summaries.SAVED
        return Saved(version=append(outlined, content, summary=summary, actor=actor, now=now), new=True)
    source = source_of(content, values_of(workflow.project_id))
    overwritten = replace(
        newest,
        source=source,
        updated_at=now,
        restored_from=None,
        name=workflow.name,
        description=workflow.description,
        summary=summaries.overwritten(newest.summary),
    )
    store.overwrite(overwritten, workflow=replace(outlined, updated_at=now, revision=workflow.revision + 1))
    return Saved(version=overwritten, new=False)


def revert(project_id: str, workflow_id: str, version_id: str, *, actor: Actor, now: datetime) -> WorkflowVersion:
    """Save an earlier version's content as one more version, under the trigger code and settings of now."""

    def use_case() -> WorkflowVersion:
        workflow = workflows.load(project_id, workflow_id)
        earlier = load(workflow, version_id)
        content = content_of(earlier, values_of(project_id))
        content = replace(content, trigger_code=workflow.trigger_code, settings=workflow.settings)
        outlined = replace(workflow, outline=outline_of(content, compiled(content)))
        summary = summaries.restored(earlier.number)
        return append(outlined, content, summary=summary, actor=actor, now=now, restored_from=earlier.id)

    return judged_anew(use_case)


def append(
    workflow: Workflow,
    content: Content,
    *,
    summary: str,
    actor: Actor,
    now: datetime,
    restored_from: str | None = None,
    derived_id: str | None = None,
) -> WorkflowVersion:
    """Store a content as one more version, together with its workflow as it is to be from now on.

    Superseded if the stored workflow is not of the revision that this one has, Exists if ``derived_id`` is taken.
    """
    version = next_version(
        workflow,
        content,
        summary=summary,
        actor=actor,
        now=now,
        restored_from=restored_from,
        derived_id=derived_id,
    )
    moved_on = replace(workflow, current_version=version.number, updated_at=now, revision=workflow.revision + 1)
    store.create(version, workflow=moved_on)
    return version


def next_version(
    workflow: Workflow,
    content: Content,
    *,
    summary: str,
    actor: Actor,
    now: datetime,
    restored_from: str | None = None,
    derived_id: str | None = None,
) -> WorkflowVersion:
    """Return the version that comes after a workflow's newest, under its name of now, not stored yet."""
    return WorkflowVersion(
        id=identifiers.version_id(derived_id),
        workflow_id=workflow.id,
        number=workflow.current_version + 1,
        source=source_of(content, values_of(workflow.project_id)),
        created_by=actor.name,
        created_at=now,
        updated_at=now,
        restored_from=restored_from,
        name=workflow.name,
        description=workflow.description,
        summary=summary,
    )


def load(workflow: Workflow, version_id: str) -> WorkflowVersion:
    """Return a workflow's version, or refuse it as NotFound."""
    version = store.find_by_id(workflow.id, identifiers.known_form(version_id, "Version"))
    if version is None:
        raise NotFound("Version not found")
    return version


def named(workflow: Workflow, name: str) -> WorkflowVersion:
    """Return a workflow's version by its id or its number, or refuse it as NotFound."""
    if not _NUMBER.fullmatch(name):
        return load(workflow, name)
    version = store.load(workflow.id, int(name))
    if version is None:
        raise NotFound("Version not found")
    return version


def find_newest(workflow: Workflow) -> WorkflowVersion | None:
    """Return a workflow's newest version, if it has one."""
    return store.load(workflow.id, workflow.current_version) if workflow.current_version else None


def page(project_id: str, workflow_id: str, *, cursor: str | None, limit: int) -> Page[WorkflowVersion]:
    """Return a workflow's versions, the newest first."""
    workflow = workflows.load(project_id, workflow_id)
    return store.page(workflow.id, cursor=cursor, limit=limit)


def definition(workflow_id: str, number: int, version_id: str, values: Values) -> Definition:
    """Return a version compiled. A deployed one never changes: it is kept in this process, and not even read again."""
    known = _recall(version_id)
    if known is not None:
        return known
    version = store.load(workflow_id, number)
    if version is None or version.id != version_id:
        raise NotFound("Version not found")
    return definition_of(version, values)


def definition_of(version: WorkflowVersion, values: Values) -> Definition:
    """Return a version that has been read compiled; a deployed one is kept in this process."""
    known = _recall(version.id)
    if known is not None:
        return known
    made = compiled(content_of(version, values))
    return _keep(version.id, made) if version.deployed else made


def reset() -> None:
    """Keep no definition any longer (tests, the local stack)."""
    with _keeping:
        _kept.clear()


def _recall(version_id: str) -> Definition | None:
    with _keeping:
        if version_id in _kept:
            _kept.move_to_end(version_id)
        return _kept.get(version_id)


def _keep(version_id: str, definition: Definition) -> Definition:
    with _keeping:
        _kept[version_id] = definition
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return definition
