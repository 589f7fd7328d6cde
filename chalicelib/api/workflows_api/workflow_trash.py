"""Workflows in the trash of the workflows API: put there, taken back, removed for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from chalicelib.api.bodies import Body
from chalicelib.api.dialects import WORKFLOWS_API_CODES
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Id, Identified, Shown, Time, api
from chalicelib.api.workflows_api.workflow_rows import WholeWorkflow, whole
from chalicelib.domain.access import Scope
from chalicelib.services import publishing, trash, workflows
from chalicelib.services.bulk import Done


class DeleteWorkflow(Body):
    """A workflow for the trash."""

    workflow_id: Id


class RestoreWorkflow(Body):
    """A workflow out of the trash."""

    workflow_id: Id


class PurgeWorkflow(Body):
    """A workflow of the trash that is not wanted any more."""

    workflow_id: Id


class DeleteWorkflows(Body):
    """Workflows for the trash."""

    #: Up to 100; one that is named twice counts once.
    workflow_ids: Annotated[list[Id], Field(min_length=1, max_length=100)]


class Deleted(Identified):
    """A workflow in the trash."""

    name: str
    deleted_at: Time | None


class Purged(Identified):
    """A workflow that is gone."""

    permanently_deleted: bool


class Failure(Shown):
    """Why a workflow was not deleted."""

    code: str
    message: str


class DeletedOne(Shown):
    """What became of one workflow."""

    workflow_id: str
    status: Literal["deleted", "failed"]
    error: Failure | None


class DeletedMany(Shown):
    """What became of all."""

    deleted: int
    failed: int
    results: Sequence[DeletedOne]


@api.endpoint("POST", "/api/v1/workflows/delete", scope=Scope.WORKFLOWS_WRITE, body=DeleteWorkflow)
def trash_workflow(caller: Caller, body: DeleteWorkflow) -> Data[Deleted]:
    """Put a workflow in the trash: no run of it can be started, and those under way go on.

    One that lies there already stays as it is.
    """
    trashed = workflows.delete_or_leave(caller.project_id, body.workflow_id, now=caller.now)
    shown = Deleted(id=trashed.id, also_id=trashed.id, name=trashed.name, deleted_at=trashed.deleted_at)
    return Data[Deleted](data=shown)


@api.endpoint("POST", "/api/v1/workflows/restore", scope=Scope.WORKFLOWS_WRITE, body=RestoreWorkflow)
def restore_workflow(caller: Caller, body: RestoreWorkflow) -> Data[WholeWorkflow]:
    """Take a workflow out of the trash, as it was; one that does not lie there stays as it is.

    A 409 where another workflow has its slug by now.
    """
    trash.restore(caller.project_id, body.workflow_id, actor=caller.actor, now=caller.now)
    return whole(caller, publishing.load(caller.project_id, body.workflow_id))


@api.endpoint("POST", "/api/v1/workflows/permanent-delete", scope=Scope.WORKFLOWS_WRITE, body=PurgeWorkflow)
def purge_workflow(caller: Caller, body: PurgeWorkflow) -> Data[Purged]:
    """Remove a workflow of the trash for good, with its versions and statistics. Its runs can still be read by id.

    A 409 where it is not in the trash, or has runs that have not ended.
    """
    trash.purge(caller.project_id, body.workflow_id, now=caller.now)
    return Data[Purged](data=Purged(id=body.workflow_id, also_id=body.workflow_id, permanently_deleted=True))


@api.endpoint("POST", "/api/v1/workflows/bulk-delete", scope=Scope.WORKFLOWS_WRITE, body=DeleteWorkflows)
def trash_workflows(caller: Caller, body: DeleteWorkflows) -> Data[DeletedMany]:
    """Put up to a hundred workflows in the trash, each by itself. Those that are unknown count as failed."""
    done = trash.delete_many(caller.project_id, body.workflow_ids, now=caller.now)
    results = [_result(one, caller) for one in done]
    failed = sum(one.error is not None for one in results)
    return Data[DeletedMany](data=DeletedMany(deleted=len(results) - failed, failed=failed, results=results))


def _result(one: Done, caller: Caller) -> DeletedOne:
    if one.refused is None:
        return DeletedOne(workflow_id=one.id, status="deleted", error=None)
    problem = api.dialect.problem(one.refused, request_id=caller.request_id)
    failure = Failure(code=WORKFLOWS_API_CODES[problem.code], message=problem.message)
    return DeletedOne(workflow_id=one.id, status="failed", error=failure)
