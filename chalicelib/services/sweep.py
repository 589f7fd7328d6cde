"""Looks, every minute, after the runs that should have been heard of by now.

It is what makes every other wake-up a mere hint.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from chalicelib.gateways.errors import Unavailable
from chalicelib.services.outside import Outside
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import runs
from chalicelib.store.errors import Superseded

log = logging.getLogger("stepwell.sweep")

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
    """Drive every run whose ``next_check_at`` has passed, unless its driver is alive; say how many there were."""
    overdue = driven = 0
    for run_id in runs.overdue(now, MOST_RUNS):
        run = runs.load(run_id)
        if run is None or run.status.ended:
            continue
        try:
            if run.lease is not None and now < run.lease.expires_at:
                runs.postpone(run, run.lease.expires_at)
                driven += 1
                continue
            # A token that should have been used by now counts for nothing: the driver is to look for itself, and to
            # park anew.
            runs.unpark(run, now + CHECK_AFTER)
            overdue += 1
            outside.invoker.drive(run_id)
        except Superseded:
            log.info("the run moved on", extra={"action": "sweep_late", "run_id": run_id})
        except Unavailable as error:
            log.warning("not driven", extra={"action": "sweep_failed", "run_id": run_id, "fault": str(error)})
    return Swept(overdue=overdue, driven=driven)
