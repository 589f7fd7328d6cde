"""Holds a workflow's statistics against its runs, counted one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from chalicelib.domain import rollup
from chalicelib.domain.run import Run
from chalicelib.store import statistics

_DAY = timedelta(days=1)


def check_statistics(runs: Sequence[Run]) -> None:
    """Hold the statistics of the workflow that these runs are of, all of them, against the runs as they stand."""
    [workflow_id] = {run.workflow_id for run in runs}
    begun = min(run.created_at for run in runs)
    over = max(run.finished_at or run.updated_at for run in runs) + _DAY
    days = statistics.of_days(workflow_id, begun.date(), over.date())
    quarters = statistics.of_quarters(workflow_id, begun, over)
    recount = rollup.together(map(rollup.of, runs))
    assert rollup.together(days.values()) == recount
    assert rollup.together(quarters.values()) == recount
