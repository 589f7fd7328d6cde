"""A run's timeline, loaded."""

from __future__ import annotations

from chalicelib.domain.timeline import Entry
from chalicelib.services import inspections
from chalicelib.services.outside import Outside


def load(
    project_id: str,
    run_id: str,
    *,
    workflow_id: str | None = None,
    outside: Outside | None = None,
) -> tuple[Entry, ...]:
    """Return what became of each step of a run of the project; another's run is refused as unknown."""
    return inspections.load(project_id, run_id, workflow_id=workflow_id, outside=outside).steps()
