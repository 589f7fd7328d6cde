"""A run as its records hold it: what a driver and others write, in the order in which they write it, and no more."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from chalicelib.domain import engine
from chalicelib.domain.definition import CONTAINERS, Definition
from chalicelib.domain.engine import Finish
from chalicelib.domain.outcome import Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import RunStatus
from chalicelib.domain.scope import RunFacts
from chalicelib.domain.starting import Driver, Limits
from chalicelib.domain.step import Claim, Event, Reset, StepError, StepRecord
from chalicelib.domain.value import Json
from tests.domain.building import FACTS, T0, never, seconds


@dataclass
class Stored:
    """A run's records, and the driver that keeps a ``Progress`` of them.

    It stores claims as the driver does: with the last record of a decision, else with the run itself, which keeps of
    its older claims only those that are needed.
    """

    definition: Definition
    limits: Limits = field(default_factory=Limits)
    status: RunStatus = RunStatus.RUNNING
    facts: RunFacts = FACTS
    now: datetime = T0
    records: dict[str, StepRecord] = field(default_factory=dict)
    run_claims: dict[str, Claim] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    finish: Finish | None = None
    ended_at: datetime = T0
    #: Every claim that has been stored, in order.
    started: list[Claim] = field(default_factory=list)
    #: Every write of a record: what lay there, and what lies there now.
    written: list[tuple[StepRecord | None, StepRecord]] = field(default_factory=list)
    #: The key and revision of each record that a person wrote.
    by_people: set[tuple[str, int]] = field(default_factory=set)
    progress: Progress = field(init=False)
    #: Whether the driver has time left to claim.
    driving: bool = True
    owner: str = "driver"
    #: How many of the next decision's writes succeed before the driver crashes.
    crash_after: int | None = None
    #: Whether a person has written something that the driver has not seen.
    stale: bool = False

    def __post_init__(self) -> None:
        self.progress = self.rebuilt()

    def rebuilt(self, *, events: bool = True) -> Progress:
        """Fold what is stored, in a random order."""
        records = list(self.records.values())
        claims = list(self.run_claims.items())
        drawn = random.Random(len(self.written))
        drawn.shuffle(records)
        drawn.shuffle(claims)
        return Progress.rebuild(
            self.definition,
            self.facts,
            records=records,
            claims=dict(claims),
            events=drawn.sample(self.events, len(self.events)) if events else (),
            resolve=never,
        )

    @property
    def run_status(self) -> RunStatus:
        """Where the run stands."""
        return self.finish.status if self.finish else self.status

    def crash(self) -> None:
        """Lose the driver, and begin another."""
        self.progress = self.rebuilt()

    def advance(self) -> None:
        self._go_on()

    def end(self, key: str, outcome: Outcome) -> None:
        """Let an attempt that the driver makes come to something."""
        record = engine.conclude(self.progress, key, outcome, now=self.now)
        assert self.progress.record(record)
        self._go_on(record)

    def _go_on(self, *ended: StepRecord) -> None:
        driver = Driver(owner=self.owner, deadline=self.now + seconds(900)) if self.driving else None
        decision = engine.advance(
            self.progress, status=self.run_status, now=self.now, driver=driver, limits=self.limits
        )
        self.write((*ended, *decision.records), decision.claims, decision.finish)
        # What has just become known may have been due long before.
        if not self.stale and decision.wake_at is not None and decision.wake_at <= self.now:
            self.advance()

    def write(self, records: tuple[StepRecord, ...], claims: tuple[Claim, ...], finish: Finish | None) -> None:
        if self.stale:
            # Each record is written over the one that the driver knows, or not at all; the run's own it cannot write.
            all(self.put_late(record) for record in records)
            return
        crash_after, self.crash_after = self.crash_after, None
        if crash_after is not None:
            for record in records[: min(crash_after, len(records) - 1)]:
                self.put(record)
            self.crash()
            self.advance()
            return
        new = {claim.key: claim for claim in claims}
        for record in records[:-1]:
            self.put(record)
        if records:
            last = replace(records[-1], claims={**records[-1].claims, **new})
            self.progress.records[last.key] = last
            self.put(last)
        elif claims:
            kept = {key: claim for key, claim in self.run_claims.items() if self.progress.is_needed(claim)}
            self.run_claims = {**kept, **new}
        self.started.extend(claims)
        if finish is not None:
            self.finish, self.ended_at = finish, self.now

    def hold(self, until: datetime | None) -> None:
        """Have whoever drives claim nothing before a time, or claim again."""
        self.limits = replace(self.limits, hold_until=until)
        self.crash()
        self.advance()

    def reset(self, reset: Reset) -> None:
        """Have steps begin anew; a run that has ended goes on."""
        self.facts = replace(self.facts, resets=(*self.facts.resets, reset))
        if self.finish is not None:
            self.finish, self.status = None, RunStatus.RUNNING

    def let_go(self) -> None:
        """Release the run, which then holds the claims that are needed still."""
        self.run_claims = {key: claim for key, claim in self.run_claims.items() if self.progress.is_needed(claim)}

    def put(self, record: StepRecord) -> None:
        before = self.records.get(record.key)
        assert record.revision == (before.revision + 1 if before else 1)
        self.written.append((before, record))
        self.records[record.key] = record

    def put_late(self, record: StepRecord) -> bool:
        """Store another party's record, unless something was written there since it looked."""
        before = self.records.get(record.key)
        if record.revision != (before.revision + 1 if before else 1):
            return False
        self.put(record)
        return True

    def under_way(self) -> list[Claim]:
        return list(self.progress.claimed.values())

    def send(self, type_: str, payload: Json = None, *, failure: StepError | None = None) -> None:
        event = Event(
            id=f"{len(self.events):04}",
            type=type_,
            payload=payload,
            sent_by="ada",
            received_at=self.now,
            failure=failure,
        )
        self.events.append(event)
        self.crash()

    @property
    def executing(self) -> int:
        return sum(self.progress.node(key).spec.type not in CONTAINERS for key in self.progress.claimed)


def fingerprint(progress: Progress) -> Mapping[str, object]:
    """Return all that decides what a run does next."""
    return {
        "ready": set(progress.ready),
        "claimed": dict(progress.claimed),
        "waiting": {key: record.revision for key, record in progress.waiting.items()},
        "at work": set(progress.at_work),
        "retrying": {key: record.revision for key, record in progress.retrying.items()},
        "open": {
            key: (
                [
                    (block.name, block.prefix, block.closed, block.remaining, block.failure, dict(block.names))
                    for block in container.blocks
                ],
                container.iteration,
                container.answers,
                [arm.name for arm in container.arms],
                container.failure,
            )
            for key, container in progress.open.items()
        },
        "conclusions": dict(progress.conclusions),
        "ended": (progress.done, progress.failure, progress.root.failure, progress.root.remaining),
        "answer": progress.answer_of(progress.root, by_name=True),
        # A child's or a job's event is of one attempt's own type: once that has been made again, nobody can take it.
        "events": {
            type_: [event.id for event in queue]
            for type_, queue in progress.events.items()
            if queue and not type_.startswith(("child:", "ticket:"))
        },
    }
