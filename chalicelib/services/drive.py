"""Drives a run.

Takes the lease, makes the attempts that are due, records each, and lets go when there is nothing left to do but wait.

An invocation is only a hint. ``drive`` reads the run and does what its record says is still to be done; when it is
called too often, too late, or twice at once, the conditional writes leave one driver, and it does the same.

**What a driver has seen.** Every verb adds one to the run's wake counter. A driver may start a step only while its
sight of that counter is fresh: read, or confirmed by a conditional write, less than ``SIGHT`` ago by its own
monotonic clock. A verb that must hold from the moment it is answered (pause, terminate) waits for ``SIGHT`` when the
run has a live lease: whoever drives has looked again by then. So a chain of quick steps costs one read in 200
milliseconds instead of one a step, and still no step starts after a pause has been answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib import logs, settings
from chalicelib.domain import engine, recording
from chalicelib.domain.definition import CONTAINERS
from chalicelib.domain.engine import Decision
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Lease, Run, RunStatus
from chalicelib.domain.starting import Driver, Limits
from chalicelib.domain.step import Claim, StepRecord, StepStatus
from chalicelib.domain.value import Offloaded
from chalicelib.gateways.errors import Unavailable
from chalicelib.logs import Action
from chalicelib.services import abandoned, definitions, emissions, heartbeats, orphans, rest
from chalicelib.services.attempts import WIDE, Attempts, attempts, is_inline
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.services.telling import LetGo, Tally, tallied
from chalicelib.services.values import Values
from chalicelib.services.waking import CHECK_AFTER, SIGHT
from chalicelib.store import counters, runs
from chalicelib.store.errors import Superseded

#: A pause between attempts up to this long is spent in the driver: parking it would cost more than the Lambda does.
SHORT_PAUSE = timedelta(seconds=5)
#: A driver stops waiting for attempts this long before its deadline, to be able to let go in order.
LAST_MOMENT = timedelta(seconds=5)
#: How often a driver starts anew because the run changed under it, before it leaves the rest to another invocation.
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """The Lambda invocation that drives."""

    #: Its request id; Lambda's retry of an invocation that died has the same.
    owner: str
    started_at: datetime
    deadline: datetime
    #: The lease under which the run was parked, if it is the end of that parking which drives now.
    parked_under: int | None = None


def drive(run_id: str, invocation: Invocation, *, clock: Clock | None = None, outside: Outside | None = None) -> None:
    """Do what is to be done in a run now; a run that is driven already, has ended or is unknown is left alone."""
    clock, outside = clock or SystemClock(), outside or current()
    with attempts(clock=clock, outside=outside) as made, tallied("drive", Action.DRIVE_ENDED, run_id=run_id) as tally:
        _Drive(run_id, invocation, clock, outside, made, tally).go()
        tally.attempts = made.count


@dataclass
class _Drive:
    run_id: str
    invocation: Invocation
    clock: Clock
    outside: Outside
    attempts: Attempts
    tally: Tally
    #: Claims that are on record and whose attempts have not been started or handed over.
    unstarted: dict[str, Claim] = field(default_factory=dict)
    #: Monotonic time at which the wake counter was last known to be as in ``run``.
    seen_at: float = 0.0
    run: Run = field(init=False)
    progress: Progress = field(init=False)
    values: Values = field(init=False)

    def go(self) -> None:
        for _ in range(MOST_ROUNDS):
            self.seen_at = self.clock.monotonic()
            loaded = runs.load_collection(self.run_id)
            if loaded is None:
                return
            self.tally.of(loaded.run)
            if loaded.run.status.ended:
                abandoned.take_down(loaded.run, loaded.records.values(), now=self.clock.now(), outside=self.outside)
                return
            lease, now = loaded.run.lease, self.clock.now()
            if lease is not None and lease.owner != self.invocation.owner and now < lease.expires_at:
                # Its driver sees the wake counter that brought us here before it lets go.
                return
            try:
                self._round(loaded)
            except Superseded:
                continue
            return
        self.outside.invoker.drive(self.run_id)
        self.tally.let_go = LetGo.HANDED_ON

    def _round(self, loaded: runs.Loaded) -> None:
        """Drive from what has been loaded until there is nothing left to do.

        Superseded when the run changes meanwhile.
        """
        try:
            decision = self._judge(loaded)
        except definitions.Gone:
            orphans.end(loaded.run, loaded.records.values(), now=self.clock.now(), outside=self.outside)
            self.tally.let_go = LetGo.ENDED
            return
        if self._is_at_rest(decision):
            return
        decision = self._take_lease(decision)
        # What an earlier round has claimed and not started comes first.
        self._start(tuple(self.unstarted.values()))
        while decision.finish is None:
            self._start(decision.claims)
            ended = self._next(decision)
            if ended is not None:
                decision = self._conclude(*ended) or replace(decision, claims=())
            elif self._goes_on(decision):
                decision = self._advance()
                self._write(decision.records, decision.claims)
            else:
                self.tally.let_go = rest.let_go(
                    self.run,
                    self.progress,
                    wake_at=decision.wake_at,
                    unfinished=self._is_late(),
                    now=self.clock.now(),
                    outside=self.outside,
                )
                return
        rest.finish(
            self.run, self.progress, decision.finish, values=self.values, now=self.clock.now(), outside=self.outside
        )
        self.tally.let_go = LetGo.ENDED

    def _judge(self, loaded: runs.Loaded) -> Decision:
        run = loaded.run
        if run.status is RunStatus.PAUSED:
            self._withdraw(loaded)
        self.values = Values(project_id=run.project_id, payloads=self.outside.payloads)
        claims = {key: claim for key, claim in run.claims.items() if not self._withdrawn(run, claim)}
        self.run = run
        self.progress = Progress.rebuild(
            definitions.of(run, self.values),
            definitions.facts(run),
            records=loaded.records.values(),
            claims=claims,
            events=loaded.events,
            resolve=self.values.resolver(),
        )
        if run.status is RunStatus.PAUSED:
            self.unstarted.clear()
        else:
            mine = self.unstarted.items()
            self.unstarted = {key: claim for key, claim in mine if _same(self.progress.claimed.get(key), claim)}
        under_way = self.attempts.under_way() | self.unstarted.keys()
        engine.recover(self.progress, owner=self.invocation.owner, under_way=frozenset(under_way))
        return self._advance()

    def _is_at_rest(self, decision: Decision) -> bool:
        """Whether there is nothing to do, and another execution holds the run than one whose end brought us here."""
        idle = not (
            decision.records or decision.claims or decision.finish or self.unstarted or self.attempts.under_way()
        )
        return idle and self.run.park_token is not None and self.invocation.parked_under != self.run.lease_seq

    def _take_lease(self, decision: Decision) -> Decision:
        """Become the run's driver; the first claims go with the same write, unless a record goes before them."""
        now, run, before = self.clock.now(), self.run, self.clock.monotonic()
        expires_at = self.invocation.deadline
        late = run.next_check_at is not None and run.next_check_at > expires_at
        status = RunStatus.RUNNING if run.status is RunStatus.PENDING else run.status
        self.run = runs.take_lease(
            run,
            lease=Lease(owner=self.invocation.owner, expires_at=expires_at),
            claims=self._held({} if decision.records else _by_key(decision.claims)),
            status=status,
            started_at=run.started_at or (now if status is RunStatus.RUNNING else None),
            # Of two drivers that come first at once each has a number, and one the lease: the other number is left out.
            number=run.number or counters.next_number(run.workflow_id, run_id=run.id, at=run.created_at),
            next_check_at=expires_at if late else None,
            now=now,
        )
        self.seen_at = before
        if run.park_token is not None:
            # The execution that holds the token is of no more use. Its end invokes drive once more, which finds this
            # lease.
            self.outside.parking.answer(run.park_token)
        if decision.records:
            self._write(decision.records, decision.claims)
        else:
            self.tally.written((), decision.claims)
        return decision

    def _start(self, claims: tuple[Claim, ...]) -> None:
        """Start the attempts that are made beside others, hand over those for `work`; quick ones wait their turn."""
        executed = [claim for claim in claims if claim.deadline is not None]
        self.unstarted.update((claim.key, claim) for claim in executed)
        beside = [claim for claim in executed if not self._is_mine_and_quick(claim.key, claim)]
        if not beside:
            return
        self._look_again()
        handed = [claim for claim in beside if claim.owner != self.invocation.owner]
        for batch in _batches(handed):
            try:
                self.outside.invoker.work(self.run_id, [claim.key for claim in batch], batch[0].owner)
            except Unavailable:
                logs.tell(Action.WORK_HERE)
                beside.extend(replace(claim, owner=self.invocation.owner) for claim in batch)
        for claim in beside:
            self.unstarted.pop(claim.key, None)
            if claim.owner == self.invocation.owner:
                self.attempts.start(self.run, self.progress, claim)

    def _next(self, decision: Decision) -> tuple[Claim, Outcome] | None:
        """Return the next attempt that has ended; None when a time came first, or nothing is under way."""
        ended = self.attempts.next_ended(seconds=0)
        if ended is not None:
            return ended
        while self.unstarted:
            self._look_again()
            claim = self.unstarted.pop(next(iter(self.unstarted)))
            # The engine may since have closed the step's block, as when a race was won.
            if self.progress.is_under_way(claim):
                return claim, self.attempts.make(self.run, self.progress, claim)
        until = min(filter(None, (decision.wake_at, self.invocation.deadline - LAST_MOMENT)))
        return self.attempts.next_ended(seconds=max(0.001, (until - self.clock.now()).total_seconds()))

    def _conclude(self, claim: Claim, outcome: Outcome) -> Decision | None:
        """Record what an attempt came to, together with what it releases; None when it came too late."""
        if not _same(self.progress.claimed.get(claim.key), claim):
            logs.tell(Action.RESULT_DROPPED, step=claim.key, attempt=claim.attempt)
            return None
        outcome = recording.transformed(self.progress, claim.key, outcome)
        if isinstance(outcome, Completed) and not isinstance(outcome.output, Offloaded):
            outcome = replace(outcome, output=self.values.kept(outcome.output))
        record = engine.conclude(self.progress, claim.key, outcome, now=self.clock.now())
        if not self.progress.record(record):
            logs.tell(Action.RESULT_DROPPED, step=claim.key, attempt=claim.attempt)
            return None
        decision = self._advance()
        self._write((record, *decision.records), decision.claims)
        return decision

    def _advance(self) -> Decision:
        """Ask the engine what is next. Many claims at once on steps that talk to the outside are made out to `work`."""
        now = self.clock.now()
        heartbeats.listen(self.progress, now=now, given_up=heartbeats.give_up)
        driver = None if self._is_late() else Driver(owner=self.invocation.owner, deadline=self.invocation.deadline)
        limits = Limits(
            parallel=self.run.max_parallel_steps,
            expires_at=self.run.expires_at,
            hold_until=self.run.hold_until,
        )
        decision = engine.advance(self.progress, status=self.run.status, now=now, driver=driver, limits=limits)
        beside = [c for c in decision.claims if c.deadline is not None and not is_inline(self.progress, c.key)]
        if len(beside) <= WIDE:
            return decision
        deadline = now + timedelta(seconds=settings.current().function_timeout_seconds) + CHECK_AFTER
        handed = [replace(claim, owner=f"{self.invocation.owner}.work", deadline=deadline) for claim in beside]
        self.progress.reassign(handed)
        others = {claim.key for claim in handed}
        kept = (claim for claim in decision.claims if claim.key not in others)
        return replace(decision, claims=(*kept, *handed))

    def _write(self, records: tuple[StepRecord, ...], claims: tuple[Claim, ...]) -> None:
        """Record what the engine decided, in its order; the claims go with the last record, else with the run itself.

        A crash between two of these writes is harmless: each record follows from those before it, so that the next
        driver makes it again.
        """
        emissions.emit(self.run, self.progress, records, now=self.clock.now(), outside=self.outside)
        for record in records[:-1]:
            runs.put_step(self.run_id, self.values.stored(record), write_id=secrets.token_hex(4))
        if records:
            last = replace(records[-1], claims={**records[-1].claims, **_by_key(claims)})
            self.progress.records[last.key] = last
            runs.put_step(self.run_id, self.values.stored(last), write_id=secrets.token_hex(4))
            self.tally.written(records, claims)
            over = (*records, *self._left_behind(records))
            abandoned.take_down(self.run, over, now=self.clock.now(), outside=self.outside)
        elif claims:
            before = self.clock.monotonic()
            self.run = runs.update_claims(self.run, self._held(_by_key(claims)), now=self.clock.now())
            self.seen_at = before
            self.tally.written((), claims)

    def _left_behind(self, records: tuple[StepRecord, ...]) -> Iterator[StepRecord]:
        """Yield the waits, as over, of what a container has closed with its end, such as a race's losing arms."""
        steps = self.progress.definition.steps
        if any(record.status.ended and steps[ref_of(record.key)].type in CONTAINERS for record in records):
            for one in self.progress.records.values():
                if one.wait is not None and not one.status.ended and not self.progress.counts(one.key):
                    yield replace(one, status=StepStatus.CANCELED)

    def _goes_on(self, decision: Decision) -> bool:
        """Whether to stay although nothing has ended: attempts are under way, or the pause before one is short."""
        now = self.clock.now()
        if self.attempts.under_way():
            return now < self.invocation.deadline - LAST_MOMENT
        if self._is_held(now):
            # A person's repair is being judged; it is over when the wake counter says so.
            self.clock.sleep(SIGHT.total_seconds())
            self._look_again()
            return True
        soon = decision.wake_at is not None and decision.wake_at - now <= SHORT_PAUSE
        if soon and decision.wake_at is not None and self.progress.retrying and not self._is_late():
            self.clock.sleep(max(0.0, (decision.wake_at - now).total_seconds()))
            return True
        return decision.wake_at is not None and decision.wake_at <= now

    def _is_held(self, now: datetime) -> bool:
        return self.run.hold_until is not None and now < self.run.hold_until and bool(self.progress.ready)

    def _look_again(self) -> None:
        """Make sure that no verb has changed the run, if it is too long since that was known; Superseded if one has."""
        before = self.clock.monotonic()
        if before - self.seen_at < SIGHT.total_seconds():
            return
        look = runs.look(self.run_id)
        if look is None or look.wake_seq != self.run.wake_seq or look.lease_owner != self.invocation.owner:
            message = "a verb has changed the run, or the lease is lost"
            raise Superseded(message)
        self.seen_at = before

    def _withdraw(self, loaded: runs.Loaded) -> None:
        """Take back, in a paused run, the claims that were recorded before the pause was seen, and not started since.

        It rewrites the records that carry them. Nobody else writes those: they belong to steps that have ended, and
        verbs on ended steps are conditional on the same revision. Claims that the run itself holds go with the next
        lease.
        """
        for key, record in list(loaded.records.items()):
            kept = {held: claim for held, claim in record.claims.items() if not self._withdrawn(loaded.run, claim)}
            if len(kept) < len(record.claims):
                loaded.records[key] = replace(record, claims=kept, revision=record.revision + 1)
                runs.put_step(self.run_id, loaded.records[key], write_id=secrets.token_hex(4))

    def _withdrawn(self, run: Run, claim: Claim) -> bool:
        return run.status is RunStatus.PAUSED and _same(self.unstarted.get(claim.key), claim)

    def _held(self, claims: Mapping[str, Claim]) -> Mapping[str, Claim]:
        """Return the claims that the run itself must hold: the new ones, and of the old those still under way."""
        old = {key: claim for key, claim in self.run.claims.items() if self.progress.is_needed(claim)}
        return {**old, **claims}

    def _is_mine_and_quick(self, key: str, claim: Claim) -> bool:
        return claim.owner == self.invocation.owner and is_inline(self.progress, key)

    def _is_late(self) -> bool:
        """Whether half of the invocation's time is over: what starts now had better start in one that has all of it."""
        half = (self.invocation.deadline - self.invocation.started_at) / 2
        return self.clock.now() >= self.invocation.started_at + half


def _same(known: Claim | None, claim: Claim) -> bool:
    return known is not None and (known.generation, known.attempt) == (claim.generation, claim.attempt)


def _by_key(claims: tuple[Claim, ...]) -> dict[str, Claim]:
    return {claim.key: claim for claim in claims}


def _batches(claims: list[Claim]) -> list[list[Claim]]:
    """Divide claims evenly into as few batches as hold ``WIDE`` each."""
    count = -(-len(claims) // WIDE)
    return [claims[part::count] for part in range(count)]
