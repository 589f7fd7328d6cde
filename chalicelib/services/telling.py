"""What is told of runs and steps, in lines and metrics: each time right after the write that made it true."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chalicelib import logs, metrics, tracing
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Claim, StepRecord, StepStatus
from chalicelib.logs import Action
from chalicelib.metrics import Metric
from chalicelib.services.faults import describe
from chalicelib.tracing import Segment

_MILLISECOND: Final = timedelta(milliseconds=1)
#: The code of a step's error whose attempts were lost too often in a row.
_LOST: Final = "lost"

_ENDED: Final = MappingProxyType(
    {
        RunStatus.COMPLETED: Metric.RUNS_COMPLETED,
        RunStatus.FAILED: Metric.RUNS_FAILED,
        RunStatus.TIMED_OUT: Metric.RUNS_TIMED_OUT,
        RunStatus.CANCELED: Metric.RUNS_CANCELED,
    },
)


class LetGo(StrEnum):
    """How an invocation let go of a run."""

    #: There was nothing to do, or another driver does it.
    LEFT_ALONE = "left_alone"
    ENDED = "ended"
    PARKED = "parked"
    #: Attempts are under way that `work` makes, or that outlive this invocation.
    AT_WORK = "at_work"
    #: Its time ran short, and another invocation goes on.
    OUT_OF_TIME = "out_of_time"
    #: The run changed under it too often, or its batch of attempts is made, and another invocation goes on.
    HANDED_ON = "handed_on"


def started(run: Run) -> None:
    """Tell that a run is on record; not of one that was there before."""
    metrics.count(Metric.RUNS_STARTED)
    logs.tell(
        Action.RUN_STARTED,
        run_id=run.id,
        workflow_id=run.workflow_id,
        project_id=run.project_id,
        by=run.triggered_by,
    )


def ended(run: Run) -> None:
    """Tell that a run has ended, by whoever wrote it."""
    metrics.count(_ENDED[run.status])
    logs.tell(
        Action.RUN_ENDED,
        level=logging.WARNING if run.status in {RunStatus.FAILED, RunStatus.TIMED_OUT} else None,
        run_id=run.id,
        workflow_id=run.workflow_id,
        project_id=run.project_id,
        status=run.status.value,
        ms=((run.finished_at or run.updated_at) - run.created_at) // _MILLISECOND,
    )


def woken(run: Run, *, by: str) -> None:
    """Tell that a run has been woken; not of its first wake-up, which is its start."""
    if run.status is not RunStatus.PENDING:
        logs.tell(Action.RUN_WOKEN, run_id=run.id, by=by)


def wake_lost(run_id: str, error: Exception) -> None:
    """Tell that a run could not be woken; the sweep finds it."""
    metrics.count(Metric.WAKE_UPS_LOST)
    logs.tell(Action.WAKE_LOST, run_id=run_id, fault=describe(error))


def failed_steps(records: Iterable[StepRecord]) -> None:
    """Count the steps that have failed for good with these records."""
    metrics.count(Metric.STEPS_FAILED, sum(record.status is StepStatus.FAILED for record in records))


@dataclass(kw_only=True)
class Tally:
    """What one invocation has done of a run, for the line that tells of it at its end."""

    let_go: LetGo = LetGo.LEFT_ALONE
    attempts: int = 0
    steps_ended: int = 0
    _segment: Segment = field(default_factory=Segment)

    def of(self, run: Run) -> None:
        """Have it known whose run it is."""
        logs.carry(workflow_id=run.workflow_id, project_id=run.project_id)
        self._segment.annotate(workflow_id=run.workflow_id)

    def written(self, records: Iterable[StepRecord], claims: Iterable[Claim] = ()) -> None:
        """Take in steps' records, and attempts that are to be made, once they have been written."""
        over = [record for record in records if record.status.ended]
        self.steps_ended += len(over)
        failed_steps(over)
        for record in over:
            if record.wait is not None:
                level = logging.WARNING if record.status is StepStatus.FAILED else None
                kind, status = record.wait.kind.value, record.status.value
                logs.tell(Action.WAIT_ENDED, level=level, step=record.key, kind=kind, status=status)
            elif record.error is not None and record.error.code == _LOST:
                _lost(record)
        for claim in claims:
            if claim.losses:
                _lost(claim)


@contextmanager
def tallied(name: str, action: Action, *, run_id: str) -> Iterator[Tally]:
    """Take down what an invocation does of a run, and tell it at its end; if it fails, that is told elsewhere."""
    began = time.monotonic()
    with logs.carrying(run_id=run_id), tracing.segment(name, run_id=run_id) as segment:
        tally = Tally(_segment=segment)
        yield tally
        segment.annotate(let_go=tally.let_go.value)
        logs.tell(
            action,
            attempts=tally.attempts,
            steps_ended=tally.steps_ended,
            let_go=tally.let_go.value,
            ms=round((time.monotonic() - began) * 1000),
        )


def _lost(of: StepRecord | Claim) -> None:
    """Tell of an attempt before this one, which nobody has heard of, and that it took its invocation with it."""
    metrics.count(Metric.ATTEMPTS_LOST)
    logs.tell(Action.ATTEMPT_LOST, step=of.key, losses=of.losses)
