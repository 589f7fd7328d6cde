"""Ends runs whose workflow was removed for good while they were started or reopened: nobody knows their steps."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.run import Run, RunCommand, RunStatus, move
from chalicelib.domain.step import StepError, StepRecord
from chalicelib.services import abandoned, reports, telling
from chalicelib.services.outside import Outside
from chalicelib.services.verbs import Ask
from chalicelib.store import runs

_STEPWELL: Final = Actor(key_id="stepwell", name="stepwell")
_WHY: Final = StepError(code="workflow_deleted", message="the workflow was permanently deleted")


def end(run: Run, records: Iterable[StepRecord], *, now: datetime, outside: Outside) -> None:
    """End a run as failed, tell the parent that waits for it, and take down what its steps have set up.

    Superseded if it is no longer as it was loaded: a verb came first, and the run is looked at again.
    """
    started = run
    if run.status is RunStatus.PENDING:
        started, _ = move(run, RunCommand.START, actor=_STEPWELL.name, at=now)
    ended, _ = move(started, RunCommand.FAIL, actor=_STEPWELL.name, at=now)
    ended = replace(ended, error=_WHY, lease=None, claims={})
    told = Ask(actor=_STEPWELL, request_id=uuid.uuid4().hex, reason=_WHY.message)
    stands = runs.change(
        run,
        ended,
        history=told.record(run.id, str(RunCommand.FAIL), before=str(run.status), after=str(ended.status), at=now),
        answer_token=False,
        parent_event=reports.report(ended, now=now),
    )
    telling.ended(stands)
    abandoned.take_down(stands, records, now=now, outside=outside)
    reports.wake_parent(stands, now=now, outside=outside)
