"""Workflows in the workflow-runs API: a name, settings, and a list of steps, deployed with every save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from chalicelib.api.endpoints import NOTHING, Nothing, Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.step_schema import Steps, StepsShown
from chalicelib.api.workflow_runs_api.surface import (
    Body,
    ProjectPageQuery,
    Shown,
    Tags,
    Time,
    api,
    listed,
    own_project,
)
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import Workflow, WorkflowSettings
from chalicelib.services import blueprints, identifiers, publishing, workflows
from chalicelib.services.publishing import Published
from chalicelib.services.workflows import UNCHANGED

#: A year; no run is bounded by more.
LONGEST_TIMEOUT: Final = 31_536_000
#: What a slug looks like.
SLUG: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _visible(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_visible)]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=SLUG)]
Description = Annotated[str, StringConstraints(max_length=2000)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Most = Annotated[int, Field(ge=0, le=10_000)]

#: What says nothing, as null does.
_EMPTY: Final = (("cron", ""), ("cron_timezone", ""))
_SETTINGS: Final = (
    "max_concurrent_runs",
    "max_parallel_steps",
    "cron",
    "cron_timezone",
    "skip_if_running",
    "enabled",
    "tags",
)


class Settings(Body):
    """How a workflow's runs are started and bounded."""

    #: Of a run; 0 is unlimited.
    timeout_secs: Annotated[int, Field(ge=0, le=LONGEST_TIMEOUT)] = 0
    #: Runs that have not ended, at once; 0 is unlimited.
    max_concurrent_runs: Most = 0
    #: Steps of a run, running at once; 0 is unlimited.
    max_parallel_steps: Most = 0
    #: Five fields; null is no schedule.
    cron: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    #: The IANA name of the time zone that the five fields are meant in.
    cron_timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    #: Whether a scheduled run is left out while another has not ended.
    skip_if_running: bool = False
    #: Whether runs may be started at all.
    enabled: bool = True
    #: What each run carries, unless whoever starts it says otherwise.
    tags: Tags = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _without_what_says_nothing(cls, sent: object) -> object:
        """Take null and an empty time zone as absent, and an empty ``cron`` as none: many clients send every field."""
        if not isinstance(sent, dict):
            return sent
        said = {name: value for name, value in sent.items() if value is not None and (name, value) not in _EMPTY}
        return {**said, "cron": None} if "cron" in sent and sent["cron"] in (None, "") else said

    def over(self, before: WorkflowSettings) -> WorkflowSettings:
        """Return settings with what was sent in place of what was."""
        sent: dict[str, Any] = {name: getattr(self, name) for name in _SETTINGS if name in self.model_fields_set}
        if "timeout_secs" in self.model_fields_set:
            sent["timeout"] = timedelta(seconds=self.timeout_secs) or None
        return replace(before, **sent)


class CreateWorkflow(Settings):
    """A new workflow."""

    project_id: Id
    name: Name
    #: Unique in the project: letters, digits, ``.``, ``_`` and ``-``, beginning with a letter or digit.
    slug: Slug
    description: Description = ""
    #: From 1 to 1,000.
    steps: Steps


class ChangeWorkflow(Settings):
    """What is to change; what is absent stays."""

    # Without a default that the document would show, as no name or slug is empty.
    name: Name = Field(default_factory=str)
    slug: Slug = Field(default_factory=str)
    description: Description = ""
    steps: Steps = Field(default_factory=list)


class CloneWorkflow(Body):
    """A copy of a workflow."""

    project_id: Id
    #: The workflow's own and ``(copy)`` where it is absent.
    name: Name | None = None
    #: The workflow's own and ``-copy`` where it is absent, with a number if that is taken.
    slug: Slug | None = None


class WorkflowQuery(ProjectPageQuery):
    """Which of a project's workflows."""

    #: The one that has this slug.
    slug: Annotated[str | None, Field(min_length=1, max_length=255)] = None


class SettingsShown(Shown):
    """How runs are started and bounded."""

    timeout_secs: int
    max_concurrent_runs: int
    max_parallel_steps: int
    cron: str | None
    cron_timezone: str
    skip_if_running: bool
    enabled: bool
    tags: Mapping[str, str]


class WorkflowShown(SettingsShown):
    """A workflow as lists show it."""

    id: str
    project_id: str
    name: str
    #: The id where it was made without one, through the trigger API.
    slug: str
    description: str | None
    #: The newest version's number; 0 while there is none.
    version: int
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Return what is shown of a workflow."""
        return cls(**_shown(workflow))


class WholeWorkflow(WorkflowShown):
    """A workflow with its newest version's steps, defaults filled in."""

    version_id: str | None
    steps: StepsShown

    @classmethod
    def holding(cls, published: Published) -> Self:
        """Return what is shown of a workflow and what it holds."""
        version, content = published.version, published.content
        return cls(
            **_shown(published.workflow),
            version_id=version.id if version is not None else None,
            steps=blueprints.steps_of(content) if content is not None else [],
        )


def shown_settings(settings: WorkflowSettings) -> dict[str, Any]:
    """Return settings as they are shown."""
    timeout = settings.timeout
    seconds = 0 if timeout is None else int(timeout.total_seconds())
    return {"timeout_secs": seconds, **{name: getattr(settings, name) for name in _SETTINGS}}


def _shown(workflow: Workflow) -> dict[str, Any]:
    return {
        **shown_settings(workflow.settings),
        "id": workflow.id,
        "project_id": workflow.project_id,
        "name": workflow.name,
        "slug": workflow.slug or workflow.id,
        "description": workflow.description or None,
        "version": workflow.current_version,
        "created_at": workflow.created_at,
        "updated_at": workflow.updated_at,
    }


@api.endpoint("POST", "/v1/workflows", scope=Scope.WORKFLOWS_WRITE, status=201, body=CreateWorkflow)
def publish_workflow(caller: Caller, body: CreateWorkflow) -> WholeWorkflow:
    """Create a workflow, ready to be triggered."""
    published = publishing.create(
        own_project(caller, body.project_id),
        new_workflow_id(caller),
        draft=publishing.Draft(
            name=body.name,
            slug=body.slug,
            description=body.description,
            steps=body.steps,
            settings=body.over(WorkflowSettings()),
        ),
        actor=caller.actor,
        now=caller.now,
    )
    return WholeWorkflow.holding(published)


@api.endpoint("GET", "/v1/workflows", scope=Scope.WORKFLOWS_READ, query=WorkflowQuery)
def list_project_workflows(caller: Caller, query: WorkflowQuery) -> Reply[Sequence[WorkflowShown]]:
    """List the project's workflows, the last changed first, or the one that has a slug."""
    project_id = own_project(caller, query.project_id)
    if query.slug is not None:
        found = publishing.of_slug(project_id, query.slug)
        return listed([WorkflowShown.of(found)] if found is not None else [], None)
    page = workflows.page_with_runs(project_id, cursor=query.cursor, limit=query.limit)
    return listed([WorkflowShown.of(one) for one in page.items], page.cursor)


@api.endpoint("GET", "/v1/workflows/{workflow_id}", scope=Scope.WORKFLOWS_READ)
def show_workflow(caller: Caller, workflow_id: str) -> WholeWorkflow:
    """Show a workflow with its steps."""
    return WholeWorkflow.holding(publishing.load(caller.project_id, workflow_id))


@api.endpoint("PATCH", "/v1/workflows/{workflow_id}", scope=Scope.WORKFLOWS_WRITE, body=ChangeWorkflow)
def revise_workflow(caller: Caller, workflow_id: str, body: ChangeWorkflow) -> WholeWorkflow:
    """Change a workflow: one more version, which later runs run; earlier versions, and runs of them, stay as they are.

    An empty change makes no version.
    """
    sent = body.model_fields_set
    if not sent:
        return WholeWorkflow.holding(publishing.load(caller.project_id, workflow_id))
    published = publishing.change(
        caller.project_id,
        workflow_id,
        changes=publishing.Changes(
            name=body.name if "name" in sent else UNCHANGED,
            slug=body.slug if "slug" in sent else UNCHANGED,
            description=body.description if "description" in sent else UNCHANGED,
            steps=body.steps if "steps" in sent else UNCHANGED,
            settings=body.over,
        ),
        actor=caller.actor,
        now=caller.now,
    )
    return WholeWorkflow.holding(published)


@api.endpoint("DELETE", "/v1/workflows/{workflow_id}", scope=Scope.WORKFLOWS_WRITE, status=204)
def remove_workflow(caller: Caller, workflow_id: str) -> Nothing:
    """Delete a workflow that has no runs under way; those that have ended can still be read."""
    workflows.delete_idle(caller.project_id, workflow_id, now=caller.now)
    return NOTHING


@api.endpoint("POST", "/v1/workflows/{workflow_id}/clone", scope=Scope.WORKFLOWS_WRITE, status=201, body=CloneWorkflow)
def clone_workflow(caller: Caller, workflow_id: str, body: CloneWorkflow) -> WholeWorkflow:
    """Create a workflow of what another holds now, its settings and schedule among it."""
    published = publishing.clone(
        own_project(caller, body.project_id),
        workflow_id,
        new_workflow_id(caller),
        name=body.name,
        slug=body.slug,
        actor=caller.actor,
        now=caller.now,
    )
    return WholeWorkflow.holding(published)


def new_workflow_id(caller: Caller) -> str:
    """Return a new workflow's id: the same one if the request is made again under its idempotency key."""
    return identifiers.workflow_id(caller.once.derived_id("workflow") if caller.once is not None else None)
