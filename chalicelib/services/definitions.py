"""The definition that a run runs, and what of the run its steps may see."""

from __future__ import annotations

from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.run import Run
from chalicelib.domain.scope import RunFacts
from chalicelib.services import versions
from chalicelib.services.values import Values


class Gone(NotFound):
    """The run's workflow was removed for good, and with it what the run ran; its own record stays."""


def of(run: Run, values: Values) -> Definition:
    """Return the definition of the version that the run started with; kept in this process, as it never changes."""
    try:
        return versions.definition(run.workflow_id, run.version, run.version_id, values)
    except NotFound:
        message = "the run's workflow was permanently deleted, and with it the definition of its steps"
        raise Gone(message) from None


def facts(run: Run) -> RunFacts:
    """Return what of a run counts for its steps."""
    return RunFacts(
        id=run.id,
        workflow_id=run.workflow_id,
        version=run.version,
        payload=run.payload,
        created_at=run.created_at.isoformat(),
        triggered_by=run.triggered_by,
        disabled=run.disabled,
        resets=run.resets,
    )
