"""What starts: within the run's limits, those of its steps, and their conditions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from chalicelib.domain import condition, template
from chalicelib.domain.definition import ResourceClass, StepSpec
from chalicelib.domain.outcome import Failed
from chalicelib.domain.progress import Progress
from chalicelib.domain.recording import failed, recorded
from chalicelib.domain.resets import CONDITION, DISABLED, ref_of
from chalicelib.domain.step import Claim, StepError, StepRecord, StepStatus


@dataclass(frozen=True, kw_only=True)
class Driver:
    """On whose behalf attempts are claimed."""

    owner: str
    #: Past it the driver cannot be alive, and its attempts are lost.
    deadline: datetime


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What bounds a run."""

    #: Steps running at once; 0 is unlimited.
    parallel: int = 0
    expires_at: datetime | None = None
    #: Nothing is claimed before this time.
    hold_until: datetime | None = None


class Limit(StrEnum):
    """What keeps a step that could start from starting."""

    MAX_PARALLEL_STEPS = "max_parallel_steps"
    CONCURRENCY_KEY = "concurrency_key"
    RESOURCE_CLASS = "resource_class"


@dataclass(kw_only=True)
class Started:
    """What was claimed, and what was not to run after all."""

    claims: list[Claim] = field(default_factory=list)
    records: list[StepRecord] = field(default_factory=list)


def start(progress: Progress, now: datetime, driver: Driver, limits: Limits) -> Started:
    """Claim what may start, and record what is skipped instead; both are taken in.

    A container holds no place, and opening one may make more ready. For the others the order of checks is: the run's
    limit, the step's ``concurrency_key``, its ``resource_class``, its condition. A step that waits holds no place; one
    that a worker outside is at does.
    """
    started = Started()
    while progress.ready_containers:
        _start(progress, next(iter(progress.ready_containers)), now, None, started)
    room = _Room.of(progress, limits)
    admitted: list[str] = []
    for key, node in progress.ready.items():
        if room.places == 0:
            break
        if room.barred(node.spec) is None:
            room.take(node.spec)
            admitted.append(key)
    for key in admitted:
        _start(progress, key, now, driver, started)
    return started


def limited(progress: Progress, limits: Limits) -> dict[str, Limit]:
    """Return the steps that could start but for a limit, and which; ``start`` goes by the same."""
    room, found = _Room.of(progress, limits), dict[str, Limit]()
    for key, node in progress.ready.items():
        if key in progress.ready_containers:
            continue
        barred = room.barred(node.spec)
        if barred is None:
            room.take(node.spec)
        else:
            found[key] = barred
    return found


@dataclass(kw_only=True)
class _Room:
    """How much more may run."""

    #: None is unlimited.
    places: int | None
    #: What the steps under way hold; left empty where no step of the definition asks for it.
    keys: set[str] = field(default_factory=set)
    classes: Counter[ResourceClass] = field(default_factory=Counter)

    @classmethod
    def of(cls, progress: Progress, limits: Limits) -> _Room:
        """Return what the steps under way leave."""
        running = len(progress.claimed) + len(progress.at_work)
        room = cls(places=max(0, limits.parallel - running) if limits.parallel else None)
        if progress.definition.has_bounds:
            for key in (*progress.claimed, *progress.at_work):
                room._hold(progress.definition.steps[ref_of(key)])
        return room

    def barred(self, spec: StepSpec) -> Limit | None:
        """Return what keeps the step from running beside what runs; None if nothing does."""
        if self.places == 0:
            return Limit.MAX_PARALLEL_STEPS
        if spec.concurrency_key in self.keys:
            return Limit.CONCURRENCY_KEY
        if spec.resource_class is not None and self.classes[spec.resource_class] >= spec.resource_class.most:
            return Limit.RESOURCE_CLASS
        return None

    def take(self, spec: StepSpec) -> None:
        """Have the step run."""
        if self.places is not None:
            self.places -= 1
        self._hold(spec)

    def _hold(self, spec: StepSpec) -> None:
        if spec.concurrency_key is not None:
            self.keys.add(spec.concurrency_key)
        if spec.resource_class is not None:
            self.classes[spec.resource_class] += 1


def _start(progress: Progress, key: str, now: datetime, driver: Driver | None, started: Started) -> None:
    claim = _next_claim(progress, key, now, driver)
    passed_by = _passed_by(progress, claim, now)
    if passed_by is None:
        started.claims.append(claim)
        progress.claim(claim)
    else:
        started.records.append(passed_by)
        progress.record(passed_by)


def _passed_by(progress: Progress, claim: Claim, now: datetime) -> StepRecord | None:
    """Return the record of a step that is not to run; None if it is."""
    spec = progress.node(claim.key).spec
    if spec.ref in progress.run.disabled:
        return _skipped(progress, claim, now, StepError(code=DISABLED, message="disabled when the run was started"))
    if spec.condition is None:
        return None
    try:
        holds = condition.holds(spec.condition, progress.scope(claim.key), progress.status_of)
    except template.TemplateError as error:
        fault = StepError(code="template", message=f"condition: {error}", step=claim.key)
        return failed(progress, claim, Failed(error=fault, retryable=False), now)
    return None if holds else _skipped(progress, claim, now, StepError(code=CONDITION, message="condition not met"))


def _skipped(progress: Progress, claim: Claim, now: datetime, why: StepError) -> StepRecord:
    record = recorded(progress, claim, StepStatus.SKIPPED, now, error=replace(why, step=claim.key))
    return replace(record, started_at=None)


def _next_claim(progress: Progress, key: str, now: datetime, driver: Driver | None) -> Claim:
    last, record = progress.claims.get(key), progress.records.get(key)
    lost = last is not None and (
        record is None or (record.generation, record.attempt) < (last.generation, last.attempt)
    )
    before = last if lost else record
    return Claim(
        key=key,
        attempt=before.attempt + 1 if before else 1,
        at=now,
        owner=driver.owner if driver else "",
        deadline=driver.deadline if driver else None,
        generation=before.generation if before else progress.run.generation,
        failures=before.failures if before else 0,
        losses=before.losses + 1 if before and lost else 0,
    )
