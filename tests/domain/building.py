"""Builders for the engine's tests: small definitions, and a world that executes nothing and forgets nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from chalicelib.domain import engine
from chalicelib.domain.definition import ROOT, Definition, Edge, OnFailure, StepSpec, StepType
from chalicelib.domain.engine import Decision, Finish
from chalicelib.domain.outcome import Completed, Failed, Outcome, Waiting
from chalicelib.domain.progress import Progress
from chalicelib.domain.retry import Backoff, RetryPolicy
from chalicelib.domain.run import RunStatus
from chalicelib.domain.scope import RunFacts
from chalicelib.domain.starting import Driver, Limits
from chalicelib.domain.step import Claim, Event, StepError, StepRecord, Wait, WaitKind
from chalicelib.domain.value import Json, Offloaded, Value

T0 = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = RunFacts(id="run", workflow_id="wf", version=1, payload={"n": 3}, created_at=T0.isoformat())


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def a_step(  # the parts of a step that tests vary
    ref: str,
    type_: StepType = StepType.TRANSFORM,
    *,
    config: Mapping[str, Json] | None = None,
    block: str = ROOT,
    retries: int = 0,
    on_failure: OnFailure = OnFailure.FAIL_WORKFLOW,
    name: str | None = None,
) -> StepSpec:
    return StepSpec(
        ref=ref,
        name=name or ref,
        type=type_,
        config=config or {},
        block=block,
        on_failure=on_failure,
        retry=RetryPolicy(limit=retries, delay=seconds(10), backoff=Backoff.CONSTANT),
    )


def a_definition(steps: Iterable[StepSpec], *edges: tuple[str, ...]) -> Definition:
    return Definition(
        steps={spec.ref: spec for spec in steps},
        edges=tuple(Edge(source=edge[0], target=edge[1], label=edge[2] if len(edge) > 2 else "") for edge in edges),
    )


def a_chain(count: int) -> Definition:
    refs = [f"s{index}" for index in range(count)]
    return a_definition([a_step(ref) for ref in refs], *pairwise(refs))


def never(handle: Offloaded) -> Json:
    raise AssertionError(handle)


def completed(output: Value = None, *, branch: str | None = None) -> Completed:
    return Completed(output=output, branch=branch)


def failed(message: str = "broken", *, retryable: bool = True) -> Failed:
    return Failed(error=StepError(code="test", message=message), retryable=retryable)


def waiting(
    event_type: str | None = None, *, until: datetime | None = None, kind: WaitKind = WaitKind.EVENT
) -> Waiting:
    return Waiting(wait=Wait(kind=kind, event_type=event_type, until=until))


def an_event(
    type_: str, payload: Json = None, *, at: datetime = T0, id_: str = "e1", failure: StepError | None = None
) -> Event:
    return Event(id=id_, type=type_, payload=payload, sent_by="ada", received_at=at, failure=failure)


@dataclass
class World:
    """What is recorded of a run, and a driver that records what the engine decides; steps end when a test says so."""

    definition: Definition
    status: RunStatus = RunStatus.RUNNING
    limits: Limits = field(default_factory=Limits)
    now: datetime = T0
    records: dict[str, StepRecord] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    finish: Finish | None = None
    #: Every attempt ever claimed, by key and attempt.
    started: list[tuple[str, int]] = field(default_factory=list)
    progress: Progress = field(init=False)
    owner: str = "driver"
    facts: RunFacts = FACTS

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Fold the records anew, in a random order: a driver that crashed and came back."""
        records = list(self.records.values())
        random.Random(len(records)).shuffle(records)
        self.progress = Progress.rebuild(
            self.definition,
            self.facts,
            records=records,
            claims=self.claims,
            events=self.events,
            resolve=never,
        )

    @property
    def running(self) -> set[str]:
        return set(self.progress.claimed)

    def advance(self) -> Decision:
        driver = Driver(owner=self.owner, deadline=self.now + seconds(900))
        decision = engine.advance(self.progress, status=self.status, now=self.now, driver=driver, limits=self.limits)
        for record in decision.records:
            self.keep(record)
        for claim in decision.claims:
            self.claims[claim.key] = claim
            self.started.append((claim.key, claim.attempt))
        self.finish = decision.finish or self.finish
        return decision

    def keep(self, record: StepRecord) -> None:
        before = self.records.get(record.key)
        assert record.revision == (before.revision + 1 if before else 1)
        self.records[record.key] = record

    def end(self, key: str, outcome: Outcome) -> Decision:
        record = engine.conclude(self.progress, key, outcome, now=self.now)
        if self.progress.record(record):
            self.keep(record)
        return self.advance()

    def complete(self, *keys: str, output: Json = None) -> Decision:
        for key in keys:
            decision = self.end(key, completed(output if output is not None else f"{key}!"))
        return decision

    def send(self, event: Event) -> Decision:
        self.events.append(event)
        self.reload()
        return self.advance()

    def later(self, pause: timedelta) -> Decision:
        self.now += pause
        return self.advance()

    def run(self, outcomes: Callable[[Claim], Outcome]) -> Finish:
        """Carry the run through, executing with ``outcomes``, the clock running on where nothing else does."""
        decision = self.advance()
        for _ in range(10_000):
            if decision.finish is not None:
                return decision.finish
            if self.progress.claimed:
                claim = next(iter(self.progress.claimed.values()))
                decision = self.end(claim.key, outcomes(claim))
            else:
                assert decision.wake_at is not None, "the run is stuck"
                self.now = max(self.now, decision.wake_at)
                decision = self.advance()
        raise AssertionError("the run does not end")


def a_world(definition: Definition, **parts: object) -> World:
    world = World(definition, **parts)  # type: ignore[arg-type] # a test names the parts
    world.advance()
    return world
