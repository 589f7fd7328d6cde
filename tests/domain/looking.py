"""Builders for what is told of a run: a run as somebody finds it who looks at it now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chalicelib.domain import engine
from chalicelib.domain.explain import Case
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.timeline import entries
from tests.domain.building import T0, World


def a_run(status: RunStatus = RunStatus.RUNNING, **parts: object) -> Run:
    """Return a run that began at ``T0``."""
    run = Run(
        id="run",
        project_id="proj",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="conn",
        status=status,
        triggered_by="api",
        created_by="ada",
        created_at=T0,
        updated_at=T0,
    )
    return replace(run, **parts)  # type: ignore[arg-type] # a test names the parts


def a_case(world: World, run: Run | None = None, *, now: datetime | None = None) -> Case:
    """Return a world's run as somebody finds it who looks at it now."""
    run, now = run or a_run(world.status), now or world.now
    world.reload()
    engine.advance(world.progress, status=run.status, now=now, driver=None)
    return Case(run=run, progress=world.progress, entries=entries(run, world.progress), now=now)
