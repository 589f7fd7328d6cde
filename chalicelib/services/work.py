"""Makes a batch of attempts that a driver has claimed, side by side, and records each.

It claims nothing: only a driver starts steps.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib import metering
from chalicelib.domain import engine, recording
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import Run
from chalicelib.domain.step import Claim
from chalicelib.domain.value import Offloaded
from chalicelib.services import definitions, emissions
from chalicelib.services.attempts import Attempts, attempts, is_inline
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.store import charges, runs
from chalicelib.store.errors import Superseded

log = logging.getLogger("stepwell.work")


def work(
    run_id: str,
    keys: Sequence[str],
    *,
    owner: str,
    deadline: datetime,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> None:
    """Make the attempts at ``keys`` that ``owner`` claims, then have the run driven.

    A batch that is delivered twice makes its attempts twice, and one result of each is kept: the records are
    conditional. One that never arrives is found by its claims' deadline.
    """
    clock, outside = clock or SystemClock(), outside or current()
    loaded = runs.load_collection(run_id)
    if loaded is None or loaded.run.status.ended:
        return
    run = loaded.run
    values = Values(project_id=run.project_id, payloads=outside.payloads)
    progress = Progress.rebuild(
        definitions.of(run, values),
        definitions.facts(run),
        records=loaded.records.values(),
        claims=run.claims,
        # Which wait takes which event is the driver's to say: it sees all of them, one after the other.
        events=(),
        resolve=values.resolver(),
    )
    claims = [claim for key in keys if (claim := progress.claimed.get(key)) is not None and claim.owner == owner]
    with attempts(clock=clock, outside=outside) as made:
        _make(run, progress, claims, made, values, deadline)
    # First the count, then the hint: a driver that is about to let go looks again, whichever of the two it meets.
    runs.wake(run_id, used=metering.used(closing=charges.WAKE))
    outside.invoker.drive(run_id)


def _make(
    run: Run,
    progress: Progress,
    claims: Sequence[Claim],
    made: Attempts,
    values: Values,
    deadline: datetime,
) -> None:
    beside = [claim for claim in claims if not is_inline(progress, claim.key)]
    for claim in beside:
        made.start(run, progress, claim)
    for claim in claims:
        if is_inline(progress, claim.key):
            _record(run, progress, claim, made.make(run, progress, claim), values, made)
    while made.under_way() and made.clock.now() < deadline:
        try:
            ended = made.next_ended(seconds=(deadline - made.clock.now()).total_seconds())
        except PASSING as error:
            # That attempt is lost, and its claim's deadline will tell; the others need not be.
            log.warning("an attempt is lost", extra={"action": "lost", "run_id": run.id, "fault": type(error).__name__})
            continue
        if ended is not None:
            _record(run, progress, *ended, values, made)


def _record(
    run: Run,
    progress: Progress,
    claim: Claim,
    outcome: Outcome,
    values: Values,
    made: Attempts,
) -> None:
    outcome = recording.transformed(progress, claim.key, outcome)
    if isinstance(outcome, Completed) and not isinstance(outcome.output, Offloaded):
        outcome = replace(outcome, output=values.kept(outcome.output))
    record = engine.conclude(progress, claim.key, outcome, now=made.clock.now())
    emissions.emit(run, progress, [record], now=made.clock.now(), outside=made.outside)
    try:
        runs.put_step(run.id, values.stored(record), write_id=secrets.token_hex(4))
    except Superseded:
        log.info("a result came too late", extra={"action": "dropped", "run_id": run.id, "step": claim.key})
