"""Looks, every minute, after the runs that should have been heard of by now.

It is what makes every other wake-up a mere hint.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from chalicelib import logs
from chalicelib.gateways.errors import Unavailable
from chalicelib.logs import Action
from chalicelib.services.faults import describe
from chalicelib.services.outside import Outside
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import runs
from chalicelib.store.errors import Superseded

#: Runs looked at in one sweep; what is left over is first in the next.
MOST_RUNS = 500


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep found."""

    #: Runs that nobody drove and that should have been driven.
    overdue: int
    #: Runs whose driver is still alive.
    driven: int


def sweep(*, now: datetime, outside: Outside) -> Swept:
    """Drive every run whose ``next_check_at`` has passed, unless its driver is alive; say how many there were.

    A run that cannot even be looked at counts as overdue, minute after minute.
    """
    found = Counter(_look_after(run_id, now, outside) for run_id in runs.overdue(now, MOST_RUNS))
    return Swept(overdue=found[_Found.OVERDUE], driven=found[_Found.DRIVEN])


class _Found(Enum):
    OVERDUE = "nobody drove it"
    DRIVEN = "its driver is alive"
    WELL = "it has ended or moved on since"


def _look_after(run_id: str, now: datetime, outside: Outside) -> _Found:
    """Have a run driven unless somebody does. Two sweeps at once are harmless: one of them takes the token away."""
    try:
        run = runs.load(run_id)
        if run is None or run.status.ended:
            return _Found.WELL
        if run.lease is not None and now < run.lease.expires_at:
            runs.check_at(run, run.lease.expires_at)
            return _Found.DRIVEN
        # A token that should have been used by now counts for nothing: the driver is to look for itself, and to park
        # anew.
        runs.unpark(run, now + CHECK_AFTER)
        outside.invoker.drive(run_id)
        logs.tell(Action.RUN_OVERDUE, run_id=run_id, workflow_id=run.workflow_id)
    except Superseded:
        logs.tell(Action.SWEEP_LATE, run_id=run_id)
        return _Found.WELL
    except Unavailable as error:
        logs.tell(Action.SWEEP_FAILED, run_id=run_id, fault=describe(error))
    except Exception as error:  # noqa: BLE001 - the outermost loop: one run's trouble must not stop the others
        logs.tell(Action.SWEEP_FAILED, level=logging.ERROR, run_id=run_id, fault=describe(error))
    return _Found.OVERDUE
