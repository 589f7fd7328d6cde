"""Why each step of a run stands where it does: what it waits for, what keeps it from starting, why it did not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Final

from chalicelib.domain.definition import OnFailure, StepType
from chalicelib.domain.progress import Progress
from chalicelib.domain.repair import SKIPPED
from chalicelib.domain.resets import CONDITION, DISABLED, ref_of
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.starting import Limit, Limits, limited
from chalicelib.domain.step import StepStatus, Wait, WaitKind
from chalicelib.domain.timeline import Entry, leads_on
from chalicelib.domain.timings import met_at

#: How many steps that a step comes after are named at most; the rest are counted.
_MOST_NAMED: Final = 5


class Cause(StrEnum):
    """Why a step stands where it does."""

    #: It waits: for an event, a decision, a time, a child run, a worker, an agent.
    WAIT = "wait"
    #: An attempt is being made.
    UNDER_WAY = "under_way"
    #: An attempt has failed, and the next one is due later.
    RETRY = "retry"
    #: It could start, but the run is paused, or held for a moment, or another limit is reached.
    PAUSED = "paused"
    HELD = "held"
    MAX_PARALLEL_STEPS = "max_parallel_steps"
    CONCURRENCY_KEY = "concurrency_key"
    RESOURCE_CLASS = "resource_class"
    #: It could start, and will.
    STARTING = "starting"
    #: A step that it comes after, or that it stands in.
    DEPENDENCY = "dependency"
    CONTAINER = "container"
    #: It was passed over: by its condition, by whoever started the run, or by a person.
    CONDITION = "condition"
    DISABLED = "disabled"
    PERSON = "person"
    #: It failed.
    ERROR = "error"
    #: The run ended before it did.
    RUN_ENDED = "run_ended"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason."""

    cause: Cause
    #: For people.
    message: str
    #: Another step that it is about, by key, and where that stands.
    step: str | None = None
    status: StepStatus | None = None
    since: datetime | None = None
    #: When it is over by itself.
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why one step stands where it does; a step that completed needs no reason."""

    entry: Entry
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a run's steps are explained by."""

    run: Run
    progress: Progress
    entries: Sequence[Entry]
    now: datetime
    by_key: Mapping[str, Entry] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {entry.key: entry for entry in self.entries})

    @cached_property
    def limited(self) -> Mapping[str, Limit]:
        """The steps that could start but for a limit."""
        return limited(self.progress, Limits(parallel=self.run.max_parallel_steps))

    @property
    def held_until(self) -> datetime | None:
        """Until when nothing starts, because a person's repair is being judged."""
        until = self.run.hold_until
        return until if until is not None and self.now < until else None

    def since(self, entry: Entry) -> datetime | None:
        """Return from when on a step could have started."""
        return met_at(self.run, self.progress.definition, self.by_key, entry.key)


def explain(case: Case) -> tuple[Explanation, ...]:
    """Return why each step of a run stands where it does."""
    return tuple(Explanation(entry=entry, reasons=tuple(_REASONS[entry.status](case, entry))) for entry in case.entries)


def _of_pending(case: Case, entry: Entry) -> Iterator[Reason]:
    could_go_on = entry.key in case.progress.ready or entry.key in case.progress.retrying
    if could_go_on and case.run.status is RunStatus.PAUSED:
        yield Reason(cause=Cause.PAUSED, message="the run is paused", since=case.since(entry))
    elif entry.key in case.progress.ready:
        yield _of_ready(case, entry)
    if entry.key in case.progress.retrying:
        said = f": {entry.error.message}" if entry.error is not None else ""
        yield Reason(
            cause=Cause.RETRY,
            message=f"attempt {entry.attempt} failed{said}; attempt {entry.attempt + 1} follows",
            since=case.progress.records[entry.key].finished_at,
            until=entry.retry_at,
        )
    elif entry.key not in case.progress.ready:
        yield from _of_unreached(case, entry)


def _of_ready(case: Case, entry: Entry) -> Reason:
    since, limit = case.since(entry), case.limited.get(entry.key)
    if case.held_until is not None:
        message = "a person's command to the run is being carried out"
        return Reason(cause=Cause.HELD, message=message, since=since, until=case.held_until)
    if limit is not None:
        return Reason(cause=Cause(limit.value), message=_LIMITS[limit](case, entry), since=since)
    return Reason(cause=Cause.STARTING, message="nothing is in its way: it starts any moment", since=since)


def _of_unreached(case: Case, entry: Entry) -> Iterator[Reason]:
    """Yield what a step comes after and that has not ended; where there is nothing such, what it stands in."""
    ref = ref_of(entry.key)
    prefix, definition = entry.key.removesuffix(ref), case.progress.definition
    before = [case.by_key[prefix + edge.source] for edge in definition.incoming[ref]]
    open_ones = [one for one in before if not one.status.ended]
    yield from _named(open_ones, lambda one: f"comes after {one.key}, which is {one.status}")
    around = definition.container_around(entry.key, ref)
    if not open_ones and around is not None:
        yield _of_container(case, around[0], f"stands in {around[0]}")


def _of_waiting(_case: Case, entry: Entry) -> Iterator[Reason]:
    wait = entry.wait
    if wait is not None:
        yield Reason(cause=Cause.WAIT, message=said_of(wait), since=entry.started_at, until=wait.until)


def _of_running(case: Case, entry: Entry) -> Iterator[Reason]:
    if entry.wait is not None:
        yield from _of_waiting(case, entry)
        return
    claim = case.progress.claimed.get(entry.key)
    inside = entry.key in case.progress.open
    message = "the steps in it are under way" if inside else f"attempt {entry.attempt} is being made"
    until = claim.deadline if claim is not None else None
    yield Reason(cause=Cause.UNDER_WAY, message=message, since=entry.started_at, until=until)


def _of_failed(case: Case, entry: Entry) -> Iterator[Reason]:
    policy = case.progress.definition.steps[ref_of(entry.key)].on_failure
    if entry.error is not None:
        message = f"{entry.error.message} ({_POLICIES[policy]})"
        yield Reason(cause=Cause.ERROR, message=message, since=entry.finished_at)


def _of_skipped(case: Case, entry: Entry) -> Iterator[Reason]:
    error = entry.error
    if error is not None and error.code in _PASSED_OVER:
        yield Reason(cause=_PASSED_OVER[error.code], message=error.message, since=entry.finished_at)
        return
    ref = ref_of(entry.key)
    prefix, definition = entry.key.removesuffix(ref), case.progress.definition
    elsewhere = [
        case.by_key[prefix + edge.source]
        for edge in definition.incoming[ref]
        if not leads_on(case.progress, prefix, edge)
    ]
    yield from _named(elsewhere, lambda one: _led_elsewhere(case, one))
    around = definition.container_around(entry.key, ref)
    if not elsewhere and around is not None:
        yield _of_container(case, around[0], f"was not reached in {around[0]}")
    elif not elsewhere:
        message = f"the run went on without it: it is {case.run.status}"
        yield Reason(cause=Cause.RUN_ENDED, message=message, since=case.run.finished_at)


def _of_canceled(case: Case, entry: Entry) -> Iterator[Reason]:
    began = "while it was under way" if entry.started_at is not None else "before it began"
    around = case.progress.definition.container_around(entry.key, ref_of(entry.key))
    owner = case.by_key.get(around[0]) if around is not None else None
    if owner is not None and owner.status not in {StepStatus.CANCELED, StepStatus.RUNNING}:
        yield _of_container(case, owner.key, f"{owner.key}, in which it stands, ended {began}")
        return
    message = f"the run ended {began}: it is {case.run.status}"
    yield Reason(cause=Cause.RUN_ENDED, message=message, since=case.run.finished_at)


def _of_completed(_case: Case, _entry: Entry) -> Iterator[Reason]:
    yield from ()


def said_of(wait: Wait) -> str:
    """Return what a step waits for, for people."""
    return _WAITS[wait.kind](wait)


def _of_container(case: Case, key: str, said: str) -> Reason:
    owner = case.by_key.get(key)
    if owner is None:
        return Reason(cause=Cause.CONTAINER, message=said, step=key)
    return Reason(cause=Cause.CONTAINER, message=f"{said}, which is {owner.status}", step=key, status=owner.status)


def _named(steps: Sequence[Entry], said: Callable[[Entry], str]) -> Iterator[Reason]:
    for one in steps[:_MOST_NAMED]:
        yield Reason(cause=Cause.DEPENDENCY, message=said(one), step=one.key, status=one.status, since=one.started_at)
    if len(steps) > _MOST_NAMED:
        yield Reason(cause=Cause.DEPENDENCY, message=f"and {len(steps) - _MOST_NAMED} more")


def _led_elsewhere(case: Case, one: Entry) -> str:
    if case.progress.definition.steps[ref_of(one.key)].type is StepType.BRANCH and one.branch is not None:
        return f"{one.key} took the way {one.branch}"
    return f"{one.key}, which it comes after, is {one.status}"


def _holders(case: Case, same: Callable[[str], bool]) -> str:
    running = [key for key in (*case.progress.claimed, *case.progress.at_work) if same(ref_of(key))]
    return ", ".join(running[:_MOST_NAMED]) or "a step that starts before it"


def _of_places(case: Case, _entry: Entry) -> str:
    return f"max_parallel_steps is reached: {case.run.max_parallel_steps} steps run at once"


def _of_key(case: Case, entry: Entry) -> str:
    steps = case.progress.definition.steps
    key = steps[ref_of(entry.key)].concurrency_key
    return f"concurrency_key {key} is held by {_holders(case, lambda ref: steps[ref].concurrency_key == key)}"


def _of_class(case: Case, entry: Entry) -> str:
    resource = case.progress.definition.steps[ref_of(entry.key)].resource_class
    most = resource.most if resource is not None else 0
    return f"resource_class {resource} is used up: {most} of its steps run at once"


def _of_event(wait: Wait) -> str:
    by_key = wait.ticket is not None
    return f"waits for the event key {wait.note}" if by_key else f"waits for an event of the type {wait.event_type}"


def _of_approval(wait: Wait) -> str:
    return f"waits for approval: {wait.note}" if wait.note else "waits for approval"


_LIMITS: Mapping[Limit, Callable[[Case, Entry], str]] = MappingProxyType(
    {Limit.MAX_PARALLEL_STEPS: _of_places, Limit.CONCURRENCY_KEY: _of_key, Limit.RESOURCE_CLASS: _of_class},
)
_PASSED_OVER: Mapping[str, Cause] = MappingProxyType(
    {SKIPPED: Cause.PERSON, CONDITION: Cause.CONDITION, DISABLED: Cause.DISABLED},
)
_POLICIES: Mapping[OnFailure, str] = MappingProxyType(
    {
        OnFailure.FAIL_WORKFLOW: "on_failure is fail_workflow: the run fails, unless an error edge or a try takes it",
        OnFailure.SKIP_DEPENDENTS: "on_failure is skip_dependents: what comes after it is skipped",
        OnFailure.CONTINUE: "on_failure is continue: what comes after it goes on",
    },
)
_WAITS: Mapping[WaitKind, Callable[[Wait], str]] = MappingProxyType(
    {
        WaitKind.EVENT: _of_event,
        WaitKind.APPROVAL: _of_approval,
        WaitKind.SLEEP: lambda _wait: "sleeps",
        WaitKind.CHILD: lambda wait: f"waits for the run {wait.note}, which it has started",
        WaitKind.JOB: lambda wait: f"waits for a worker to report on the job run {wait.ticket}",
        WaitKind.AGENT: lambda _wait: "waits for the agent that works on it to report",
    },
)
_REASONS: Mapping[StepStatus, Callable[[Case, Entry], Iterator[Reason]]] = MappingProxyType(
    {
        StepStatus.PENDING: _of_pending,
        StepStatus.WAITING: _of_waiting,
        StepStatus.RUNNING: _of_running,
        StepStatus.COMPLETED: _of_completed,
        StepStatus.FAILED: _of_failed,
        StepStatus.SKIPPED: _of_skipped,
        StepStatus.CANCELED: _of_canceled,
    },
)
