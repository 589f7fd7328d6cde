"""A run's timeline, loaded."""

from __future__ import annotations

from chalicelib.domain.progress import Progress
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.timeline import Entry, timeline
from chalicelib.services import definitions
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.store import runs


def load(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    outside: Outside | None = None,
) -> tuple[Entry, ...]:
    """Return what became of each step of a run of the project; another's run is refused as unknown."""
    loaded = runs.load_collection(run_id)
    if loaded is None or loaded.run.project_id != project_id or workflow_id not in {None, loaded.run.workflow_id}:
        message = "Run not found"
        raise NotFound(message)
    values = Values(project_id=project_id, payloads=(outside or current()).payloads)
    progress = Progress.rebuild(
        definitions.of(loaded.run, values),
        definitions.facts(loaded.run),
        records=loaded.records.values(),
        claims=loaded.run.claims,
        events=loaded.events,
        resolve=values.resolver(),
    )
    return timeline(loaded.run, progress)
