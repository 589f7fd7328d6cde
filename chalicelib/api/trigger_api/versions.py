"""Versions of a workflow in the trigger API."""

from __future__ import annotations

from typing import Self

from chalicelib.api.bodies import AnyJson, Body
from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.trigger_api.surface import PageQuery, PageShown, Shown, api, shown_time
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import WorkflowVersion
from chalicelib.services import contents, versions


class SaveVersion(Body):
    """A graph to save; what it may hold is judged by the definition's own rules."""

    ir: AnyJson


class VersionShown(Shown):
    """A version."""

    id: str
    workflow_id: str
    version: int
    ir: AnyJson
    #: Once true, it never changes.
    deployed: bool
    created_by: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, project_id: str, version: WorkflowVersion) -> Self:
        """Return what is shown of a version."""
        return cls(
            id=version.id,
            workflow_id=version.workflow_id,
            version=version.number,
            ir=contents.content_of(version, contents.values_of(project_id)).shown_ir,
            deployed=version.deployed,
            created_by=version.created_by,
            created_at=shown_time(version.created_at),
            updated_at=shown_time(version.updated_at),
        )


@api.endpoint(
    "POST",
    "/api/workflows/{workflow_id}/versions",
    scope=Scope.WORKFLOWS_WRITE,
    status=201,
    body=SaveVersion,
    also=(200,),
)
def save_version(caller: Caller, workflow_id: str, body: SaveVersion) -> Reply[VersionShown]:
    """Save a graph as the newest version.

    While the newest version is not deployed it is overwritten in place, answered 200; a deployed version never changes.
    """
    saved = versions.save(caller.project_id, workflow_id, ir=body.ir, actor=caller.actor, now=caller.now)
    shown = VersionShown.of(caller.project_id, saved.version)
    return Reply(body=shown, status=201 if saved.new else 200)


@api.endpoint("GET", "/api/workflows/{workflow_id}/versions", scope=Scope.WORKFLOWS_READ, query=PageQuery)
def list_versions(caller: Caller, workflow_id: str, query: PageQuery) -> PageShown[VersionShown]:
    """List a workflow's versions, the newest first."""
    page = versions.page(caller.project_id, workflow_id, cursor=query.cursor, limit=query.limit)
    data = [VersionShown.of(caller.project_id, version) for version in page.items]
    return PageShown[VersionShown](data=data, next_cursor=page.cursor)


@api.endpoint(
    "POST",
    "/api/workflows/{workflow_id}/versions/{version_id}/revert",
    scope=Scope.WORKFLOWS_WRITE,
    status=201,
)
def revert_version(caller: Caller, workflow_id: str, version_id: str) -> VersionShown:
    """Save a version's content anew, as the newest version."""
    version = versions.revert(caller.project_id, workflow_id, version_id, actor=caller.actor, now=caller.now)
    return VersionShown.of(caller.project_id, version)
