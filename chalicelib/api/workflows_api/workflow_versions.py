"""A workflow's versions in the workflows API: what was saved when, by whom, and back to it."""

from __future__ import annotations

from typing import Self

from chalicelib.api.bodies import Body
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Id, PageQuery, Shown, Time, api
from chalicelib.api.workflows_api.workflow_rows import WholeWorkflow, request_of, whole
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import WorkflowVersion
from chalicelib.services import library


class VersionsQuery(PageQuery):
    """Which workflow's versions."""

    id: Id


class RevertWorkflow(Body):
    """To which version."""

    workflow_id: Id
    version_id: Id


class VersionShown(Shown):
    """A version, without what it holds."""

    version_id: str
    #: Its number.
    version: int
    #: What the workflow was called then; null for versions of before that was kept.
    name: str | None
    created_at: Time
    #: The name of the key that saved it.
    created_by: str
    #: What changed with it, in words.
    change_summary: str | None
    #: The id of the version that it repeats.
    restored_from: str | None

    @classmethod
    def of(cls, version: WorkflowVersion) -> Self:
        """Return what is shown of a version."""
        return cls(
            version_id=version.id,
            version=version.number,
            name=version.name,
            created_at=version.created_at,
            created_by=version.created_by,
            change_summary=version.summary,
            restored_from=version.restored_from,
        )


class VersionsShown(Shown):
    """A workflow's versions, the newest first."""

    #: The newest one's number; 0 while there is none.
    current_version: int
    versions: list[VersionShown]


class VersionsPage(Data[VersionsShown]):
    """A page of a workflow's versions."""

    #: For the next page's ``cursor``; null on the last.
    next_cursor: str | None
    has_more: bool


@api.endpoint("GET", "/api/v1/workflows/versions", scope=Scope.WORKFLOWS_READ, query=VersionsQuery)
def list_library_versions(caller: Caller, query: VersionsQuery) -> VersionsPage:
    """List a workflow's versions, the newest first: one for every change, through whichever API it came."""
    workflow, page = library.versions_page(caller.project_id, query.id, cursor=query.cursor, limit=query.limit)
    rows = [VersionShown.of(one) for one in page.items]
    return VersionsPage(
        data=VersionsShown(current_version=workflow.current_version, versions=rows),
        next_cursor=page.cursor,
        has_more=page.cursor is not None,
    )


@api.endpoint("POST", "/api/v1/workflows/versions/revert", scope=Scope.WORKFLOWS_WRITE, body=RevertWorkflow)
def revert_workflow(caller: Caller, body: RevertWorkflow) -> Data[WholeWorkflow]:
    """Save what a version held, its name and description too, as one more version: history never shrinks.

    How runs are started and bounded stays as it is now. Of two changes at once one is a 409.
    """
    published = library.revert(caller.project_id, body.workflow_id, body.version_id, request=request_of(caller))
    return whole(caller, published)
