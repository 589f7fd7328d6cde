"""Makes a batch of attempts that a driver has claimed, side by side, and records each.

It claims nothing: only a driver starts steps.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib import logs, metering
from chalicelib.domain import engine, recording
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import Run
from chalicelib.domain.step import Claim
from chalicelib.domain.value import Offloaded
from chalicelib.gateways.errors import Unavailable
from chalicelib.logs import Action
from chalicelib.services import definitions, emissions, telling
from chalicelib.services.attempts import Attempts, attempts, is_inline
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.services.telling import LetGo, Tally, tallied
from chalicelib.services.values import Values
from chalicelib.services.waking import CHECK_AFTER
from chalicelib.store import charges, runs
from chalicelib.store.errors import Superseded


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
    with attempts(clock=clock, outside=outside) as made, tallied("work", Action.WORK_ENDED, run_id=run_id) as tally:
        loaded = runs.load_collection(run_id)
        if loaded is not None and not loaded.run.status.ended:
            _work(loaded, keys, owner, deadline, made, tally)
            tally.attempts, tally.let_go = made.count, LetGo.HANDED_ON


def _work(
    loaded: runs.Loaded, keys: Sequence[str], owner: str, deadline: datetime, made: Attempts, tally: Tally
) -> None:
    run, outside = loaded.run, made.outside
    tally.of(run)
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
    _make(run, progress, claims, _Batch(made=made, values=values, tally=tally), deadline)
    # First the count, then the hint: a driver that is about to let go looks again, whichever of the two it meets.
    runs.wake(run.id, used=metering.used(closing=charges.WAKE))
    _have_driven(run.id, made.clock.now(), outside)


def _have_driven(run_id: str, now: datetime, outside: Outside) -> None:
    """Have the run driven; if that fails the sweep does, soon, not at the time at which its claims would be over."""
    try:
        outside.invoker.drive(run_id)
    except Unavailable as error:
        telling.wake_lost(run_id, error)
        run = runs.load(run_id)
        if run is not None:
            # Whoever has driven it since has set a time of its own, which stays.
            runs.check_at(run, now + CHECK_AFTER)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What the attempts of one batch share."""

    made: Attempts
    values: Values
    tally: Tally


def _make(run: Run, progress: Progress, claims: Sequence[Claim], batch: _Batch, deadline: datetime) -> None:
    made = batch.made
    beside = [claim for claim in claims if not is_inline(progress, claim.key)]
    for claim in beside:
        made.start(run, progress, claim)
    for claim in claims:
        if is_inline(progress, claim.key):
            _record(run, progress, claim, made.make(run, progress, claim), batch)
    while made.under_way() and made.clock.now() < deadline:
        try:
            ended = made.next_ended(seconds=(deadline - made.clock.now()).total_seconds())
        except PASSING as error:
            # That attempt is lost, and its claim's deadline will tell; the others need not be.
            logs.tell(Action.PART_UNAVAILABLE, fault=type(error).__name__)
            continue
        if ended is not None:
            _record(run, progress, *ended, batch)


def _record(run: Run, progress: Progress, claim: Claim, outcome: Outcome, batch: _Batch) -> None:
    made, values = batch.made, batch.values
    outcome = recording.transformed(progress, claim.key, outcome)
    if isinstance(outcome, Completed) and not isinstance(outcome.output, Offloaded):
        outcome = replace(outcome, output=values.kept(outcome.output))
    record = engine.conclude(progress, claim.key, outcome, now=made.clock.now())
    emissions.emit(run, progress, [record], now=made.clock.now(), outside=made.outside)
    try:
        runs.put_step(run.id, values.stored(record), write_id=secrets.token_hex(4))
    except Superseded:
        logs.tell(Action.RESULT_DROPPED, step=claim.key, attempt=claim.attempt)
    else:
        batch.tally.written([record])
