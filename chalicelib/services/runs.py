"""Runs, as the routes use them: started, looked at, changed."""

from __future__ import annotations

from chalicelib.domain.run import Run
from chalicelib.domain.value import Json
from chalicelib.services.outside import current
from chalicelib.services.starts import Triggered, trigger
from chalicelib.services.values import Values
from chalicelib.services.verbs import Ask, deliver, load, pause, resume, terminate

__all__ = ["Ask", "Triggered", "deliver", "load", "output_of", "pause", "payload_of", "resume", "terminate", "trigger"]


def output_of(run: Run) -> Json:
    """Return what a run answered, fetched if it is large."""
    return Values(project_id=run.project_id, payloads=current().payloads).fetched(run.output)


def payload_of(run: Run) -> Json:
    """Return what a run was started with, fetched if it is large."""
    return Values(project_id=run.project_id, payloads=current().payloads).fetched(run.payload)
