"""Runs, each beside one of its steps, read together: what a ticket is judged by."""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.run import Run
from chalicelib.domain.step import StepRecord
from chalicelib.store import keys
from chalicelib.store.run_items import RunItem, whole
from chalicelib.store.step_items import StepItem
from chalicelib.store.table import get_many


def load(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[Run | None, StepRecord | None]]:
    """Return the run and the step's record at each place, a run's id and a step's key, as they are now; or None.

    The two are not of one moment. That is harmless: whoever acts on them does so on condition that the run has not
    ended, and that the ticket is as it was.
    """
    wanted = list(dict.fromkeys(places))
    raws = get_many(key for run_id, step in wanted for key in (keys.run(run_id), keys.step(run_id, step)))
    roots = {run_id: raws[key] for run_id, _ in wanted if (key := keys.run(run_id)) in raws}
    found = {run.id: run for run in whole([RunItem.from_raw_data(raw) for raw in roots.values()])}
    steps = {
        place: StepItem.from_raw_data(raws[key]).record() for place in wanted if (key := keys.step(*place)) in raws
    }
    return {place: (found.get(place[0]), steps.get(place)) for place in wanted}
