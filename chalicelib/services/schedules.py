"""Runs that start by themselves: the sweep has each schedule that is due start its run.

What came due while nothing ran is made up for once, not once for each time that was missed.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from chalicelib import logs
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.workflow import Workflow
from chalicelib.logs import Action
from chalicelib.services import starts
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.services.faults import describe
from chalicelib.services.outside import Outside
from chalicelib.services.starts import Start
from chalicelib.store import run_lists, workflows
from chalicelib.store.errors import Superseded

#: Schedules looked at in one sweep; what is left over is first in the next.
MOST_SCHEDULES: Final = 200
#: Who starts a scheduled run, and how.
SCHEDULE: Final = "schedule"
_RUN_IDS: Final = uuid.UUID("a8a1f1de-6d0c-4c64-9d3e-4d5b7b0f7c21")


def fire(*, now: datetime, outside: Outside) -> int:
    """Start a run of every workflow whose schedule is due, and say how many that were."""
    return sum(_fired(workflow, now, outside) for workflow in workflows.due(now, MOST_SCHEDULES))


def run_id(workflow_id: str, due_at: datetime) -> str:
    """Return the id of the run that a schedule starts at a time: whoever starts it again starts the same."""
    return str(uuid.uuid5(_RUN_IDS, f"{workflow_id}/{due_at.isoformat()}"))


def _fired(workflow: Workflow, now: datetime, outside: Outside) -> bool:
    """Start the run and set the next time; False where it is left out, had been started before, or goes wrong.

    A crash between the two starts the same run again, which is there already. Where the run could not be recorded, the
    time stays as it is, and the next sweep tries again.
    """
    try:
        started = _started(workflow, now, outside)
        workflows.set_due(workflow, _next(workflow, now))
    except Superseded:
        # Another sweep has set it, or somebody has changed the schedule: theirs counts.
        logs.tell(Action.SCHEDULE_MOVED, workflow_id=workflow.id)
        return False
    except Exception as error:  # noqa: BLE001 - the outermost loop: one workflow's trouble must not stop the others
        logs.tell(Action.SCHEDULE_FAILED, workflow_id=workflow.id, fault=describe(error))
        return False
    return started


def _started(workflow: Workflow, now: datetime, outside: Outside) -> bool:
    due_at, settings = workflow.due_at, workflow.settings
    if due_at is None or (settings.skip_if_running and run_lists.any_active(workflow.id)):
        return False
    start = Start(run_id=run_id(workflow.id, due_at), triggered_by=SCHEDULE, created_by=SCHEDULE)
    try:
        deployment = starts.deployed(workflow.project_id, workflow.id, DEFAULT_CONNECTION)
        triggered = starts.begin(deployment, start, now=now, outside=outside)
    except Refusal as refused:
        # It has as many runs as it may, or can start none: the next time is another matter.
        logs.tell(Action.SCHEDULE_LEFT_OUT, workflow_id=workflow.id, code=refused.code)
        return False
    if not triggered.replayed:
        logs.tell(Action.SCHEDULE_FIRED, workflow_id=workflow.id, run_id=start.run_id)
    return not triggered.replayed


def _next(workflow: Workflow, now: datetime) -> datetime | None:
    """Return when the schedule is due next. The calendar is loaded with the first schedule: most sweeps meet none."""
    from chalicelib.domain.schedule import next_due  # noqa: PLC0415 - as just said

    cron = workflow.settings.cron
    return next_due(cron, workflow.settings.cron_timezone, now) if cron is not None else None
