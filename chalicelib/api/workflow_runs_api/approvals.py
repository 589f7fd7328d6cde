"""Approvals in the workflow-runs API: the inbox of those who decide. Deciding itself is a verb of the step."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import api, listed
from chalicelib.api.workflow_runs_api.ticket_rows import ApprovalOut, OwnPageQuery
from chalicelib.domain.access import Scope
from chalicelib.services import approvals
from chalicelib.services.approvals import ApprovalStatus


class ApprovalsQuery(OwnPageQuery):
    """Which approvals."""

    status: ApprovalStatus = ApprovalStatus.PENDING


@api.endpoint("GET", "/v1/approvals", scope=Scope.RUNS_READ, query=ApprovalsQuery)
def list_approvals(caller: Caller, query: ApprovalsQuery) -> Reply[Sequence[ApprovalOut]]:
    """List a project's approvals, newest first; `can_approve` says whether the key that asks may decide.

    A page may hold fewer rows than `limit`; only a missing `X-Next-Cursor` is the end.
    """
    query.check(caller)
    found = approvals.page(
        caller.project_id,
        query.status,
        actor=caller.actor,
        now=caller.now,
        cursor=query.cursor,
        limit=query.limit,
    )
    may_approve = Scope.RUNS_APPROVE in caller.scopes
    return listed([ApprovalOut.of(one, may_approve=may_approve) for one in found.items], found.cursor)
