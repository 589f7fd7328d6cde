"""Workflows that are deployed with every save: each change makes a version that never changes again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import BadRequest, Conflict, Detail, Invalid
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import Deployment, Outline, Workflow, WorkflowKind, WorkflowSettings, WorkflowVersion
from chalicelib.services import contents, identifiers, summaries, versions, workflows
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.services.contents import Content
from chalicelib.services.judging import judged_anew
from chalicelib.services.workflows import UNCHANGED, Unchanged
from chalicelib.store import deployments as deployment_store
from chalicelib.store import workflows as store
from chalicelib.store.errors import Exists, Superseded

#: How many slugs of copies are tried before the caller is asked for one.
_MOST_COPIES: Final = 50
_LONGEST_SLUG: Final = 255
_LONGEST_NAME: Final = 255
#: What a copy's name ends with.
_COPY: Final = " (copy)"


class SlugTaken(Conflict):
    """Another workflow of the project has the slug."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A workflow with its newest version; without one where the trigger API made it and saved none yet."""

    workflow: Workflow
    version: WorkflowVersion | None
    content: Content | None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A workflow to be created."""

    name: str
    #: None where the workflow is called by its id alone.
    slug: str | None = None
    description: str
    #: One of the two, in the form of the API that it is saved through.
    steps: Sequence[Json] | None = None
    pipeline: Mapping[str, Json] | None = None
    settings: WorkflowSettings = field(default_factory=WorkflowSettings)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to change of a workflow; what is not said stays."""

    name: str | Unchanged = UNCHANGED
    slug: str | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    steps: Sequence[Json] | Unchanged = UNCHANGED
    #: Returns the new settings of those before.
    settings: Callable[[WorkflowSettings], WorkflowSettings] | Unchanged = UNCHANGED


def create(project_id: str, workflow_id: str, *, draft: Draft, actor: Actor, now: datetime) -> Published:
    """Create a workflow with its first version, deployed; where the id is taken already, that workflow is the answer.

    An id is given a second time only by a request that was cut off and is made again.
    """
    content = Content(steps=draft.steps, pipeline=draft.pipeline, kind=WorkflowKind.WORKFLOW, settings=draft.settings)
    workflow = _created(
        project_id,
        workflow_id,
        name=draft.name,
        slug=draft.slug,
        description=draft.description,
        settings=draft.settings,
        outline=contents.outline_of(content),
        now=now,
    )
    return _put(workflow, content, summary=summaries.CREATED, actor=actor, now=now)


def load(project_id: str, workflow_id: str) -> Published:
    """Return a project's workflow with what it holds now; one in the trash, or a function, is NotFound."""
    return _whole(workflows.load_with_runs(project_id, workflow_id))


def change(project_id: str, workflow_id: str, *, changes: Changes, actor: Actor, now: datetime) -> Published:
    """Change a workflow: one more version, deployed, even if only its name changes.

    Two changes at once follow one another: the later one is judged on what the earlier one left.
    """

    def use_case() -> Published:
        before = load(project_id, workflow_id)
        workflow, content = before.workflow, _changed(before, changes)
        renamed = replace(
            workflow,
            name=workflow.name if changes.name is UNCHANGED else changes.name,
            slug=workflow.slug if changes.slug is UNCHANGED else changes.slug,
            description=workflow.description if changes.description is UNCHANGED else changes.description,
            outline=workflow.outline if changes.steps is UNCHANGED else contents.outline_of(content),
        )
        summary = summaries.changed(workflow, renamed, before.content, content)
        return publish(workflow, renamed, content, summary=summary, actor=actor, now=now)

    return judged_anew(use_case)


def clone(
    project_id: str,
    workflow_id: str,
    new_id: str,
    *,
    name: str | None,
    slug: str | None,
    actor: Actor,
    now: datetime,
) -> Published:
    """Create a workflow of what another holds now; its name and slug say that it is a copy unless they are given."""
    origin = load(project_id, workflow_id)

    def use_case() -> Published:
        free = _free_slug(origin.workflow, new_id) if slug is None else slug
        try:
            return copy(origin, new_id, name=name, slug=free, longest_name=_LONGEST_NAME, actor=actor, now=now)
        except SlugTaken as taken:
            if slug is not None:
                raise
            raise Superseded("another copy has the slug by now") from taken

    return judged_anew(use_case)


def copy(
    origin: Published,
    new_id: str,
    *,
    name: str | None,
    slug: str | None,
    longest_name: int,
    actor: Actor,
    now: datetime,
) -> Published:
    """Create a workflow of what another held when it was loaded, its settings and schedule among it."""
    if origin.content is None:
        raise BadRequest("workflow has no version to clone")
    content = replace(origin.content, settings=origin.workflow.settings)
    workflow = _created(
        origin.workflow.project_id,
        new_id,
        name=f"{origin.workflow.name[: longest_name - len(_COPY)]}{_COPY}" if name is None else name,
        slug=slug,
        description=origin.workflow.description,
        settings=content.settings,
        outline=origin.workflow.outline,
        now=now,
    )
    return _put(workflow, content, summary=summaries.copied(origin.workflow), actor=actor, now=now)


def of_slug(project_id: str, slug: str) -> Workflow | None:
    """Return the workflow of a project that has a slug, if there is one."""
    return store.find_by_slug(project_id, slug)


def rename(
    before: Workflow,
    renamed: Workflow,
    content: Content,
    *,
    summary: str,
    actor: Actor,
    now: datetime,
    derived_id: str | None = None,
) -> Published:
    """Store the next version of a workflow that is only called or described otherwise, and leave what runs as it is.

    It is deployed where the version before it is; not where that is a draft, or nothing is deployed. Superseded, and
    answered where ``derived_id`` is taken, as ``publish`` is.
    """
    deployed = deployment_store.load(before.id, DEFAULT_CONNECTION)
    if deployed is not None and deployed.version == before.current_version:
        return publish(before, renamed, content, summary=summary, actor=actor, now=now, derived_id=derived_id)
    try:
        version = versions.append(renamed, content, summary=summary, actor=actor, now=now, derived_id=derived_id)
    except Exists:
        return load(before.project_id, before.id)
    after = replace(renamed, current_version=version.number, updated_at=now, revision=before.revision + 1)
    return Published(workflow=after, version=version, content=content)


def publish(
    before: Workflow,
    renamed: Workflow,
    content: Content,
    *,
    summary: str,
    actor: Actor,
    now: datetime,
    restored_from: str | None = None,
    derived_id: str | None = None,
) -> Published:
    """Store the next version; Superseded if the workflow, or what is deployed, is no longer what it was judged on.

    ``renamed`` is the workflow under its name of then, with the content's outline. The sweep may set ``due_at``
    meanwhile without counting the revision, and have it set back here: the run that it has started then is there
    already when it is started again. A version whose ``derived_id`` is taken has been stored by the same request
    before, and the workflow as it stands is the answer.
    """
    replaces = deployment_store.load(before.id, DEFAULT_CONNECTION)
    made = versions.next_version(
        renamed,
        content,
        summary=summary,
        actor=actor,
        now=now,
        restored_from=restored_from,
        derived_id=derived_id,
    )
    version = replace(made, deployed=True)
    after = replace(
        renamed,
        current_version=version.number,
        settings=content.settings,
        due_at=_due_again(before, content.settings, now),
        updated_at=now,
        revision=before.revision + 1,
    )
    deployment = deployment_of(after, version, actor, now)
    try:
        store.publish(after, version, deployment, before=before, replaces=replaces)
    except Exists as taken:
        if taken.part == "version":
            return load(before.project_id, before.id)
        raise slug_taken(after) from None
    return Published(workflow=after, version=version, content=content)


def _created(
    project_id: str,
    workflow_id: str,
    *,
    name: str,
    slug: str | None,
    description: str,
    settings: WorkflowSettings,
    outline: Outline,
    now: datetime,
) -> Workflow:
    return Workflow(
        id=workflow_id,
        project_id=project_id,
        name=name,
        description=description,
        kind=WorkflowKind.WORKFLOW,
        created_at=now,
        updated_at=now,
        slug=slug,
        settings=settings,
        outline=outline,
        current_version=1,
        due_at=due_at(settings, now),
    )


def _put(workflow: Workflow, content: Content, *, summary: str, actor: Actor, now: datetime) -> Published:
    """Store a new workflow. All of it is new or nothing is written, so there is nothing to race with but its slug."""
    first = replace(workflow, current_version=0)
    made = versions.next_version(first, content, summary=summary, actor=actor, now=now)
    version = replace(made, deployed=True)
    try:
        store.create(workflow, version, deployment_of(workflow, version, actor, now))
    except Exists as taken:
        if taken.part == "slug":
            raise slug_taken(workflow) from None
        # Made before, by this very request; it may have been deleted since.
        return load(workflow.project_id, workflow.id)
    return Published(workflow=workflow, version=version, content=content)


def _changed(before: Published, changes: Changes) -> Content:
    """Return the content after changes; its outline is judged with it. What has not changed was when it was saved."""
    settings = before.workflow.settings
    if changes.settings is not UNCHANGED:
        settings = changes.settings(settings)
    if changes.steps is not UNCHANGED:
        return Content(steps=changes.steps, kind=WorkflowKind.WORKFLOW, settings=settings)
    if before.content is None:
        raise BadRequest("workflow has no version yet: send its steps")
    return replace(before.content, settings=settings)


def _whole(workflow: Workflow) -> Published:
    version = versions.find_newest(workflow)
    if version is None:
        return Published(workflow=workflow, version=None, content=None)
    content = contents.content_of(version, contents.values_of(workflow.project_id))
    return Published(workflow=workflow, version=version, content=content)


def deployment_of(workflow: Workflow, version: WorkflowVersion, actor: Actor, now: datetime) -> Deployment:
    """Return that a workflow's version is deployed where each is that is saved here, not stored yet."""
    return Deployment(
        id=identifiers.deployment_id(),
        project_id=workflow.project_id,
        workflow_id=workflow.id,
        connection_id=DEFAULT_CONNECTION,
        version_id=version.id,
        version=version.number,
        kind=workflow.kind,
        settings=workflow.settings,
        personas=workflow.outline.personas,
        created_by=actor.name,
        created_at=now,
    )


def _due_again(before: Workflow, settings: WorkflowSettings, now: datetime) -> datetime | None:
    """Return when a schedule is due, where its workflow changes: what is due already stays so."""
    parts = ("cron", "cron_timezone", "enabled")
    same = all(getattr(before.settings, part) == getattr(settings, part) for part in parts)
    return before.due_at if same and before.due_at is not None else due_at(settings, now)


def due_at(settings: WorkflowSettings, now: datetime) -> datetime | None:
    """Return when a schedule is due first, or refuse it; the calendar is loaded with the first schedule."""
    if settings.cron is None and settings.cron_timezone == WorkflowSettings.cron_timezone:
        return None
    from chalicelib.domain import schedule  # noqa: PLC0415 - as just said

    problems = {
        "cron": schedule.cron_problem(settings.cron) if settings.cron is not None else None,
        "cron_timezone": schedule.zone_problem(settings.cron_timezone),
    }
    faults = tuple(Detail(path=field, message=problem) for field, problem in problems.items() if problem is not None)
    if faults:
        raise Invalid(f"{faults[0].path}: {faults[0].message}", field=faults[0].path, details=faults)
    if settings.cron is None or not settings.enabled:
        return None
    return schedule.next_due(settings.cron, settings.cron_timezone, now)


def _free_slug(origin: Workflow, new_id: str) -> str:
    """Return a copy's slug that no other workflow has now; if somebody takes it meanwhile, it is a Conflict."""
    slug = origin.slug or origin.id
    for number in range(1, _MOST_COPIES + 1):
        ending = "-copy" if number == 1 else f"-copy-{number}"
        wanted = slug[: _LONGEST_SLUG - len(ending)] + ending
        holder = store.find_by_slug(origin.project_id, wanted)
        if holder is None or holder.id == new_id:
            return wanted
    raise Conflict(f"{_MOST_COPIES} copies have their slugs from this one: say which slug this copy is to have")


def slug_taken(workflow: Workflow) -> SlugTaken:
    """Return the refusal of a workflow's slug, which names who has it."""
    holder = store.find_by_slug(workflow.project_id, str(workflow.slug))
    by = f" by workflow {holder.id}" if holder is not None else ""
    return SlugTaken(f'slug "{workflow.slug}" is taken{by}', field="slug")
