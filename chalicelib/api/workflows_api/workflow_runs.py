"""The runs of a workflow, as they are looked at: page by page in its runs tab, and one by one."""

from __future__ import annotations

from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.run_rows import RunRow, RunShown
from chalicelib.api.workflows_api.surface import Data, Id, IdQuery, PageQuery, PageShown, api
from chalicelib.domain.access import Scope
from chalicelib.services import pipeline_runs


class RunsQuery(PageQuery):
    """Which page of which workflow's runs."""

    id: Id


@api.endpoint("GET", "/api/v1/workflows/runs", scope=Scope.RUNS_READ, query=RunsQuery)
def list_runs_of_workflow(caller: Caller, query: RunsQuery) -> PageShown[RunRow]:
    """List a workflow's runs, newest first, those of a deleted workflow too; long prompts are cut here."""
    page = pipeline_runs.page(caller.project_id, query.id, cursor=query.cursor, limit=query.limit)
    rows = [RunRow.of(run) for run in page.items]
    return PageShown[RunRow](data=rows, next_cursor=page.cursor, has_more=page.cursor is not None)


@api.endpoint("GET", "/api/v1/runs/get", scope=Scope.RUNS_READ, query=IdQuery)
def look_at_run(caller: Caller, query: IdQuery) -> Data[RunShown]:
    """Show a run with its steps; each iteration of a loop is an attempt of the steps in it."""
    return Data[RunShown](data=RunShown.whole(pipeline_runs.load(caller.project_id, query.id, now=caller.now)))
