"""A run explained, in the workflow-runs API: labels, graph, times, reasons, what it waits for, what was done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import PageQuery, Shown, api, listed
from chalicelib.api.workflow_runs_api.view_rows import (
    HistoryOut,
    RunExplainedOut,
    RunGraphOut,
    RunTimelineOut,
    StepExplainedOut,
    StepTimesOut,
    WhyOut,
)
from chalicelib.domain.access import Scope
from chalicelib.services import run_views, runs


class LabelsOut(Shown):
    """A run's tags."""

    labels: Mapping[str, str]


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/labels", scope=Scope.RUNS_READ)
def show_run_labels(caller: Caller, run_id: str) -> LabelsOut:
    """Show a run's tags."""
    return LabelsOut(labels=runs.load(caller.project_id, run_id).tags)


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/graph", scope=Scope.RUNS_READ)
def show_run_graph(caller: Caller, run_id: str) -> RunGraphOut:
    """Show which of a run's steps follow which, where each stands, and the path that has taken longest."""
    return RunGraphOut.of(run_views.graph(caller.project_id, run_id, now=caller.now))


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/timeline", scope=Scope.RUNS_READ)
def show_run_timeline(caller: Caller, run_id: str) -> RunTimelineOut:
    """Show how long each step took, and how long it stood in line before."""
    found = run_views.timeline(caller.project_id, run_id, now=caller.now)
    steps = [StepTimesOut.of(one) for one in found.timings]
    return RunTimelineOut(workflow_run_id=found.run.id, status=found.run.status, steps=steps)


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/explain", scope=Scope.RUNS_READ)
def explain_run(caller: Caller, run_id: str) -> RunExplainedOut:
    """Say of each step why it waits, has not started, was skipped, failed or was canceled."""
    found = run_views.explanations(caller.project_id, run_id, now=caller.now)
    steps = [StepExplainedOut.of(one) for one in found.explanations]
    return RunExplainedOut(workflow_run_id=found.run.id, status=found.run.status, steps=steps)


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/why", scope=Scope.RUNS_READ)
def ask_why(caller: Caller, run_id: str) -> WhyOut:
    """Say what a run waits for, who or what can unblock it, and which verbs would be taken now.

    Whether the caller may approve is taken into account, the scopes of its key are not.
    """
    return WhyOut.of(run_views.why(caller.project_id, run_id, actor=caller.actor, now=caller.now))


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/history", scope=Scope.RUNS_READ, query=PageQuery)
def show_run_history(caller: Caller, run_id: str, query: PageQuery) -> Reply[Sequence[HistoryOut]]:
    """Show who did what to a run and its steps, the newest last, and what was refused."""
    found = run_views.history(caller.project_id, run_id, cursor=query.cursor, limit=query.limit)
    return listed([HistoryOut.of(record) for record in found.items], found.cursor)
