"""How a run is woken after something was recorded for it.

The record is what counts: a wake-up that is lost costs time, never an effect.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.domain.run import Run
from chalicelib.gateways.errors import Unavailable
from chalicelib.services import telling
from chalicelib.services.outside import Outside

#: How long a driver may act on what it has last seen of its run; see ``drive``.
SIGHT = timedelta(milliseconds=200)
#: How long a verb waits for that to be over; longer, because two clocks do not tick alike.
OUTLAST_SIGHT = SIGHT * 1.5
#: How long after something should have happened the sweep looks whether it has.
CHECK_AFTER = timedelta(seconds=60)


def wake(run: Run, *, now: datetime, outside: Outside) -> None:
    """Have the run driven, given as it was when the change was recorded.

    A parked run's token is answered: its execution then invokes drive. A run with a live lease needs nothing: its
    driver finds the wake counter changed before it lets go. Everything else is driven directly. If that fails, the
    sweep finds the run by its ``next_check_at``.
    """
    try:
        if run.park_token is not None and outside.parking.answer(run.park_token):
            telling.woken(run, by="token")
        elif run.lease is None or run.lease.expires_at <= now:
            outside.invoker.drive(run.id)
            telling.woken(run, by="invocation")
    except Unavailable as error:
        telling.wake_lost(run.id, error)
