"""Runs in the workflow-runs API: listed, shown, paused, resumed, canceled. What starts one is in ``triggers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from chalicelib.api.endpoints import NOTHING, Nothing, Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.run_rows import RunOut
from chalicelib.api.workflow_runs_api.surface import Body, PageQuery, ProjectPageQuery, api, listed, own_project
from chalicelib.api.workflow_runs_api.triggers import Reason
from chalicelib.domain.access import Scope
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.refusal import Invalid
from chalicelib.domain.run import RunStatus
from chalicelib.services import run_lists, runs
from chalicelib.services.run_lists import Tag


class RunsQuery(PageQuery):
    """Which runs of a workflow."""

    status: RunStatus | None = None
    #: Those that carry a tag, whatever it says unless ``tag_value`` is given too.
    tag_key: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    tag_value: Annotated[str | None, Field(max_length=256)] = None

    @property
    def tag(self) -> Tag | None:
        """The tag that is asked for; a value without a key is refused."""
        if self.tag_key is not None:
            return Tag(key=self.tag_key, value=self.tag_value)
        if self.tag_value is not None:
            raise Invalid("tag_value needs tag_key", field="tag_value")
        return None


class ProjectRunsQuery(ProjectPageQuery, RunsQuery):
    """Which runs of a project."""

    #: One workflow's only.
    workflow_id: Annotated[str | None, Field(min_length=1, max_length=255)] = None


class PauseRun(Body):
    """Why a run is paused."""

    #: For the history.
    reason: Reason | None = None


class ResumeRun(Body):
    """Why a run goes on."""

    #: For the history.
    reason: Reason | None = None


@api.endpoint("GET", "/v1/workflow-runs", scope=Scope.RUNS_READ, query=ProjectRunsQuery)
def list_project_runs(caller: Caller, query: ProjectRunsQuery) -> Reply[Sequence[RunOut]]:
    """List a project's runs, newest first.

    A page of those with a tag may hold fewer rows than `limit`, or none; only a missing `X-Next-Cursor` is the end.
    """
    own_project(caller, query.project_id)
    return _listed(caller, query.workflow_id, query)


@api.endpoint("GET", "/v1/workflows/{workflow_id}/runs", scope=Scope.RUNS_READ, query=RunsQuery)
def list_workflow_runs(caller: Caller, workflow_id: str, query: RunsQuery) -> Reply[Sequence[RunOut]]:
    """List a workflow's runs, newest first; a deleted one's too.

    A page of those with a tag may hold fewer rows than `limit`, or none; only a missing `X-Next-Cursor` is the end.
    """
    return _listed(caller, workflow_id, query)


@api.endpoint("GET", "/v1/workflow-runs/{run_id}", scope=Scope.RUNS_READ)
def show_run(caller: Caller, run_id: str) -> RunOut:
    """Show a run as it is now."""
    return RunOut.of(runs.load(caller.project_id, run_id))


@api.endpoint("DELETE", "/v1/workflow-runs/{run_id}", scope=Scope.RUNS_CONTROL, status=204)
def cancel_run(caller: Caller, run_id: str) -> Nothing:
    """Cancel a run that has not ended: no step starts any more, its waits are over, its child runs are canceled."""
    runs.terminate(caller.project_id, run_id, ask=_ask(caller), manners=WORKFLOW_RUNS_API, now=caller.now)
    return NOTHING


@api.endpoint("POST", "/v1/workflow-runs/{run_id}/pause", scope=Scope.RUNS_CONTROL, body=PauseRun)
def pause_workflow_run(caller: Caller, run_id: str, body: PauseRun) -> RunOut:
    """Pause a running run: steps that execute finish, and none starts until it is resumed.

    Waits go on, and what ends them is recorded.
    """
    ask = _ask(caller, body.reason)
    return RunOut.of(runs.pause(caller.project_id, run_id, ask=ask, manners=WORKFLOW_RUNS_API, now=caller.now))


@api.endpoint("POST", "/v1/workflow-runs/{run_id}/resume", scope=Scope.RUNS_CONTROL, body=ResumeRun)
def resume_workflow_run(caller: Caller, run_id: str, body: ResumeRun) -> RunOut:
    """Resume a paused run: every step that is ready starts."""
    ask = _ask(caller, body.reason)
    return RunOut.of(runs.resume(caller.project_id, run_id, ask=ask, manners=WORKFLOW_RUNS_API, now=caller.now))


def _listed(caller: Caller, workflow_id: str | None, query: RunsQuery) -> Reply[Sequence[RunOut]]:
    found = run_lists.narrowed(
        caller.project_id,
        workflow_id=workflow_id,
        status=query.status,
        tag=query.tag,
        cursor=query.cursor,
        limit=query.limit,
    )
    return listed([RunOut.listed(run) for run in found.items], found.cursor)


def _ask(caller: Caller, reason: str | None = None) -> runs.Ask:
    return runs.Ask(actor=caller.actor, request_id=caller.request_id, reason=reason)
