"""What is told of a run, held against random definitions to which anything happens: it is whole, and it is true."""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import HealthCheck, given, settings

from chalicelib.domain import engine, repair
from chalicelib.domain.definition import ROOT, Definition
from chalicelib.domain.explain import Case, explain
from chalicelib.domain.manners import WORKFLOW_RUNS_API
from chalicelib.domain.run_graph import graph_of
from chalicelib.domain.step import StepStatus
from chalicelib.domain.timeline import entries
from chalicelib.domain.timings import critical_path, timings
from chalicelib.domain.why import why
from tests.domain.people import run_of
from tests.domain.stored import Stored
from tests.domain.strategies import Happening, definitions, happenings
from tests.domain.walk import Walk

SEARCH = settings(
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)


def a_case(stored: Stored) -> Case:
    """The run as somebody who looks at it now finds it."""
    run, progress = run_of(stored), stored.rebuilt()
    engine.advance(progress, status=run.status, now=stored.now, driver=None)
    return Case(run=run, progress=progress, entries=entries(run, progress), now=stored.now)


def check(case: Case) -> None:
    """Hold all that is told of a run to what is known of it."""
    check_reasons(case)
    check_why(case)
    check_graph(case)
    check_times(case)


def check_reasons(case: Case) -> None:
    for one in explain(case):
        assert bool(one.reasons) == (one.entry.status is not StepStatus.COMPLETED), one
        assert all(reason.message for reason in one.reasons)


def check_why(case: Case) -> None:
    found = why(case, manners=WORKFLOW_RUNS_API, may_decide=lambda _step, _wait: True)
    assert bool(found.waiting_on) != case.run.status.ended
    assert found.summary.endswith(".")
    for at, actions in (
        *((one.step, one.actions) for one in found.waiting_on),
        *((one.entry.key, one.actions) for one in found.repairable),
    ):
        assert actions == (repair.available(case.run, case.progress, case.by_key[at]) if at is not None else ())
    held = {one.step for one in found.waiting_on}
    if not case.run.status.ended:
        under_way = {*case.progress.claimed, *case.progress.waiting, *case.progress.retrying, *case.progress.ready}
        assert under_way <= held
        # What waits behind a step that a person has made again waits on, and counts once that step has ended.
        behind = held - under_way - {None}
        assert {case.by_key[str(key)].status for key in behind} <= {StepStatus.WAITING, StepStatus.RUNNING}


def check_graph(case: Case) -> None:
    graph = graph_of(case.run, case.progress, case.entries)
    shown = {entry.key for entry in graph.nodes}
    assert {end for link in graph.links for end in (link.source, link.target)} <= shown
    assert set(graph.roots) <= shown
    assert set(graph.runnable) == (set() if case.run.status.ended else set(case.progress.ready))


def check_times(case: Case) -> None:
    definition = case.progress.definition
    path = critical_path(case.run, definition, case.entries, now=case.now)
    edges = {(edge.source, edge.target) for edge in definition.edges}
    assert all(pair in edges for pair in pairwise(path))
    assert set(path) <= set(definition.blocks[ROOT])
    for one in timings(case.run, definition, case.entries, now=case.now):
        assert (one.duration is None) == (one.entry.started_at is None)
        assert one.on_critical_path == (one.entry.key in path)
        assert all(length is None or length.total_seconds() >= 0 for length in (one.duration, one.in_line))


@SEARCH
@given(definitions(), happenings)
def test_whatever_happens_to_a_run_what_is_told_of_it_is_whole_and_true(
    definition: Definition, happened: list[Happening]
) -> None:
    walk = Walk(definition, parallel=2)
    for happening in happened:
        walk.happen(happening)
        if walk.stored.crash_after is None:
            check(a_case(walk.stored))
    walk.finish()
    check(a_case(walk.stored))
