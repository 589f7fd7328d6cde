"""A workflow's versions in the workflow-runs API; the path names one by its id or its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from chalicelib.api.bodies import AnyJson
from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.step_schema import StepsShown
from chalicelib.api.workflow_runs_api.surface import PageQuery, Shown, Time, api, listed
from chalicelib.api.workflow_runs_api.workflows import SettingsShown, shown_settings
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import WorkflowVersion
from chalicelib.services import blueprints


class VersionShown(Shown):
    """A version as lists show it."""

    id: str
    workflow_id: str
    #: Its number.
    version: int
    #: Once true, it never changes. One that the trigger API saved can be changed until it is deployed.
    deployed: bool
    #: The id of the version that it repeats.
    restored_from: str | None
    created_by: str
    created_at: Time

    @classmethod
    def of(cls, version: WorkflowVersion) -> Self:
        """Return what is shown of a version."""
        return cls(**_shown(version))


class WholeVersion(SettingsShown, VersionShown):
    """A version with its settings and its steps, defaults filled in."""

    steps: StepsShown

    @classmethod
    def holding(cls, project_id: str, version: WorkflowVersion) -> Self:
        """Return what is shown of a version and what it holds."""
        content = blueprints.content_of(project_id, version)
        return cls(**_shown(version), **shown_settings(content.settings), steps=blueprints.steps_of(content))


class Difference(Shown):
    """The steps, by ref, that one version has and another has not, or has otherwise."""

    added_steps: Sequence[str]
    removed_steps: Sequence[str]
    #: Those that do or follow something else.
    changed_steps: Sequence[str]


def _shown(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "workflow_id": version.workflow_id,
        "version": version.number,
        "deployed": version.deployed,
        "restored_from": version.restored_from,
        "created_by": version.created_by,
        "created_at": version.created_at,
    }


@api.endpoint("GET", "/v1/workflows/{workflow_id}/versions", scope=Scope.WORKFLOWS_READ, query=PageQuery)
def list_workflow_versions(caller: Caller, workflow_id: str, query: PageQuery) -> Reply[Sequence[VersionShown]]:
    """List a workflow's versions, the newest first."""
    page = blueprints.versions_page(caller.project_id, workflow_id, cursor=query.cursor, limit=query.limit)
    return listed([VersionShown.of(one) for one in page.items], page.cursor)


@api.endpoint("GET", "/v1/workflows/{workflow_id}/versions/{version_id}", scope=Scope.WORKFLOWS_READ)
def show_version(caller: Caller, workflow_id: str, version_id: str) -> WholeVersion:
    """Show a version with its steps."""
    return WholeVersion.holding(caller.project_id, blueprints.version(caller.project_id, workflow_id, version_id))


@api.endpoint("GET", "/v1/workflows/{workflow_id}/versions/{version_id}/steps", scope=Scope.WORKFLOWS_READ)
def list_version_steps(caller: Caller, workflow_id: str, version_id: str) -> Sequence[Mapping[str, AnyJson]]:
    """List a version's steps, defaults filled in."""
    version = blueprints.version(caller.project_id, workflow_id, version_id)
    return blueprints.steps_of(blueprints.content_of(caller.project_id, version))


@api.endpoint(
    "GET",
    "/v1/workflows/{workflow_id}/versions/{version_id}/diff/{other_version_id}",
    scope=Scope.WORKFLOWS_READ,
)
def compare_versions(caller: Caller, workflow_id: str, version_id: str, other_version_id: str) -> Difference:
    """Say what changed from a version to another: two ways of writing the same step are no change."""
    found = blueprints.compared(caller.project_id, workflow_id, version_id, other_version_id)
    return Difference(added_steps=found.added, removed_steps=found.removed, changed_steps=found.changed)
