"""A run explained: its graph, its times, why its steps stand where they do, what it waits for, what was done to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain import timings
from chalicelib.domain import why as waiting
from chalicelib.domain.access import Actor
from chalicelib.domain.explain import Case, Explanation, explain
from chalicelib.domain.history import HistoryRecord
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.run import Run
from chalicelib.domain.run_graph import RunGraph, graph_of
from chalicelib.domain.timings import Timing
from chalicelib.domain.why import Why
from chalicelib.services import approvals, inspections, verbs
from chalicelib.services.outside import Outside
from chalicelib.store import history as histories
from chalicelib.store.paging import Page

#: Loops can have more steps than one answer holds; of those the first ones, in the workflow's order, are shown.
MOST_SHOWN: Final = 4000


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A run's steps as a graph."""

    run: Run
    graph: RunGraph
    critical_path: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A run's steps and their times."""

    run: Run
    timings: tuple[Timing, ...]


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A run's steps and why they stand where they do."""

    run: Run
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A run and why it stands where it does."""

    run: Run
    why: Why


def graph(project_id: str, run_id: str, *, now: datetime, outside: Outside | None = None) -> Drawn:
    """Return a run's steps as a graph."""
    case = _case(project_id, run_id, now, outside)
    path = timings.critical_path(case.run, case.progress.definition, case.entries, now=now)
    return Drawn(run=case.run, graph=graph_of(case.run, case.progress, case.entries[:MOST_SHOWN]), critical_path=path)


def timeline(project_id: str, run_id: str, *, now: datetime, outside: Outside | None = None) -> Timed:
    """Return a run's steps and their times, in the workflow's order."""
    case = _case(project_id, run_id, now, outside)
    found = timings.timings(case.run, case.progress.definition, case.entries, now=now)
    return Timed(run=case.run, timings=found[:MOST_SHOWN])


def explanations(project_id: str, run_id: str, *, now: datetime, outside: Outside | None = None) -> Explained:
    """Return why each step of a run stands where it does."""
    case = _case(project_id, run_id, now, outside)
    return Explained(run=case.run, explanations=explain(case)[:MOST_SHOWN])


def why(project_id: str, run_id: str, *, actor: Actor, now: datetime, outside: Outside | None = None) -> Asked:
    """Return what a run waits for, and what this actor could do about it; the scopes of his key are left aside."""
    case = _case(project_id, run_id, now, outside)
    found = waiting.why(
        case,
        manners=WORKFLOW_RUNS_API,
        may_decide=lambda step, wait: approvals.objection(step, wait, case.run, actor) is None,
    )
    return Asked(run=case.run, why=found)


def history(project_id: str, run_id: str, *, cursor: str | None, limit: int) -> Page[HistoryRecord]:
    """Return what was done to a run of the project, the newest last."""
    run = verbs.load(project_id, run_id)
    return histories.page(run.id, cursor=cursor, limit=limit)


def _case(project_id: str, run_id: str, now: datetime, outside: Outside | None) -> Case:
    """Return a run as a verb would find it now: waits that are over are over, whether a driver has seen it or not."""
    inspection = inspections.load(project_id, run_id, outside=outside)
    inspections.carried_on(inspection, now)
    return Case(run=inspection.run, progress=inspection.progress, entries=inspection.in_order(), now=now)
