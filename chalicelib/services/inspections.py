"""A run looked at as a whole: its record, its steps', and how far that means it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain import engine
from chalicelib.domain.progress import Progress
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepRecord
from chalicelib.domain.timeline import Entry, entries, entry, timeline
from chalicelib.services import definitions, heartbeats
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.store import runs


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A run as it is recorded, folded."""

    run: Run
    progress: Progress
    values: Values

    def steps(self) -> tuple[Entry, ...]:
        """Return what became of each step, in the order of their starts."""
        return timeline(self.run, self.progress)

    def in_order(self) -> tuple[Entry, ...]:
        """Return what became of each step, in the definition's order."""
        return entries(self.run, self.progress)

    def step(self, key: str) -> Entry:
        """Return what became of one step; NotFound where the run has none of that key."""
        found = entry(self.run, self.progress, key)
        if found is None:
            message = "Step not found"
            raise NotFound(message)
        return found

    def with_record(self, record: StepRecord, run: Run) -> Inspection:
        """Return how it looks once a step's record has been written, with the run as it then is."""
        return self._folded(run, {**self.progress.records, record.key: record})

    def with_run(self, run: Run) -> Inspection:
        """Return how it looks with the run as it then is."""
        return self._folded(run, self.progress.records)

    def _folded(self, run: Run, records: Mapping[str, StepRecord]) -> Inspection:
        progress = Progress.rebuild(
            self.progress.definition,
            definitions.facts(run),
            records=records.values(),
            claims=self.progress.claims,
            resolve=self.progress.resolve,
        )
        return replace(self, run=run, progress=progress)


def load(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    outside: Outside | None = None,
) -> Inspection:
    """Return a run of the project as it is recorded now; another's is refused as unknown."""
    loaded = runs.load_collection(run_id)
    if loaded is None or loaded.run.project_id != project_id or workflow_id not in {None, loaded.run.workflow_id}:
        message = "Run not found"
        raise NotFound(message)
    values = Values(project_id=project_id, payloads=(outside or current()).payloads)
    return of(loaded, values)


def of(loaded: runs.Loaded, values: Values) -> Inspection:
    """Return a loaded run folded."""
    progress = Progress.rebuild(
        definitions.of(loaded.run, values),
        definitions.facts(loaded.run),
        records=loaded.records.values(),
        claims=loaded.run.claims,
        events=loaded.events,
        resolve=values.resolver(),
    )
    return Inspection(run=loaded.run, progress=progress, values=values)


def carried_on(inspection: Inspection, now: datetime) -> None:
    """Take in what follows from the record and the time: events for those who wait, waits that are over."""
    heartbeats.listen(inspection.progress, now=now, given_up=heartbeats.look_on)
    engine.advance(inspection.progress, status=inspection.run.status, now=now, driver=None)
