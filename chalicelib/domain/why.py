"""What a run waits for, who or what can unblock it, and which verbs would be taken now.

The verbs come from the tables that allow and refuse them: ``manners`` for the run, ``repair`` for its steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chalicelib.domain import repair
from chalicelib.domain.explain import Case, Cause, Reason, explain
from chalicelib.domain.manners import Manners
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run, RunCommand, RunStatus
from chalicelib.domain.step import StepStatus, Wait, WaitKind
from chalicelib.domain.timeline import Entry

#: A run's verbs that move it, in the order that they are offered in.
_COMMANDS: Final = (RunCommand.PAUSE, RunCommand.RESUME, RunCommand.CANCEL)
#: The verb that makes a run again, as a new one.
RETRY: Final = "retry"
_DECISIONS: Final = frozenset({StepVerb.APPROVE, StepVerb.REJECT})


class BlockerKind(StrEnum):
    """What a run waits for."""

    EVENT = "event"
    APPROVAL = "approval"
    SLEEP = "sleep"
    CHILD = "child"
    JOB = "job"
    AGENT = "agent"
    RETRY = "retry"
    PAUSE = "pause"
    LIMIT = "limit"
    #: Stepwell itself: it makes an attempt, or is about to.
    DRIVER = "driver"


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """One thing that a run waits for."""

    kind: BlockerKind
    #: The step, by key; none where it is the run as a whole.
    step: str | None = None
    since: datetime | None = None
    #: When it is over by itself.
    until: datetime | None = None
    #: The step's wait, if it waits.
    wait: Wait | None = None
    #: Who or what can unblock it, for people.
    who: str
    #: The step's verbs that would be taken now.
    actions: tuple[StepVerb, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Repairable:
    """A step of a run that has ended, by which the run can go on."""

    entry: Entry
    actions: tuple[StepVerb, ...]


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a run stands where it does."""

    #: One sentence for people.
    summary: str
    #: Empty once it has ended.
    waiting_on: tuple[Blocker, ...]
    #: Of a run that has ended: the steps that failed, or else those that the end cut off.
    repairable: tuple[Repairable, ...]
    #: The run's verbs that would be taken now.
    actions: tuple[str, ...]


def why(case: Case, *, manners: Manners, may_decide: Callable[[str, Wait], bool]) -> Why:
    """Return why a run stands where it does; ``may_decide`` says whether whoever asks may decide a step's wait."""
    actions = run_actions(case.run, manners)
    if case.run.status.ended:
        found = tuple(_repairable(case))
        return Why(summary=_ended(case.run), waiting_on=(), repairable=found, actions=actions)
    blockers = tuple(_blockers(case, may_decide))
    return Why(summary=_summary(case.run, blockers), waiting_on=blockers, repairable=(), actions=actions)


def run_actions(run: Run, manners: Manners) -> tuple[str, ...]:
    """Return the verbs that would be taken of a run now, and change something; its workflow's limits left aside."""
    moves = tuple(str(command) for command in _COMMANDS if manners.takes(command, run.status))
    return (*moves, RETRY) if repair.can_be_made_again(run) else moves


def _blockers(case: Case, may_decide: Callable[[str, Wait], bool]) -> Iterator[Blocker]:
    if case.run.status is RunStatus.PAUSED:
        yield Blocker(kind=BlockerKind.PAUSE, who=_RESUMING)
    found = False
    for one in explain(case):
        # Of two reasons the last is nearer: between two attempts of a paused run that is the attempt that is due.
        for reason in one.reasons[-1:]:
            # What an open container waits for is what the steps in it wait for.
            if reason.cause in _KINDS and one.entry.key not in case.progress.open:
                found = True
                yield _blocker(case, one.entry, reason, may_decide)
    if not found and case.run.status is not RunStatus.PAUSED:
        yield Blocker(kind=BlockerKind.DRIVER, who=_NOBODY)


def _blocker(case: Case, entry: Entry, reason: Reason, may_decide: Callable[[str, Wait], bool]) -> Blocker:
    wait = entry.wait if reason.cause is Cause.WAIT else None
    kind = BlockerKind(wait.kind.value) if wait is not None else _KINDS[reason.cause]
    actions = repair.available(case.run, case.progress, entry)
    if wait is not None and not may_decide(entry.key, wait):
        actions = tuple(verb for verb in actions if verb not in _DECISIONS)
    return Blocker(
        kind=kind,
        step=entry.key,
        since=reason.since,
        until=reason.until,
        wait=wait,
        who=_WHO[wait.kind](wait) if wait is not None else _BY_CAUSE.get(reason.cause, _NOBODY),
        actions=actions,
    )


def _repairable(case: Case) -> Iterator[Repairable]:
    tops = [entry for entry in case.entries if entry.key == case.progress.definition.top_of(ref_of(entry.key))]
    failed = [entry for entry in tops if entry.status is StepStatus.FAILED]
    for entry in failed or [entry for entry in tops if entry.status is StepStatus.CANCELED]:
        yield Repairable(entry=entry, actions=repair.available(case.run, case.progress, entry))


def _ended(run: Run) -> str:
    said = _ENDED.get(run.status, f"The run is {run.status}")
    if run.error is None:
        return f"{said}."
    step = f" at step {run.error.step}" if run.error.step is not None else ""
    return f"{said}{step}: {run.error.message}."


def _summary(run: Run, blockers: tuple[Blocker, ...]) -> str:
    said = {RunStatus.PENDING: "The run has not begun", RunStatus.PAUSED: "The run is paused"}
    begun = said.get(run.status, "The run is under way")
    steps = [one for one in blockers if one.step is not None]
    if len(steps) == 1:
        return f"{begun}: step {steps[0].step} {_DOES[steps[0].kind]}."
    if not steps:
        return f"{begun}."
    counts = Counter(one.kind for one in steps)
    return f"{begun}: " + ", ".join(f"{count} {_DO[kind]}" for kind, count in counts.items()) + "."


def _of_event(wait: Wait) -> str:
    if wait.ticket is not None:
        return f"whoever sends the event {wait.note}"
    return f"whoever sends the run an event of the type {wait.event_type}, through the trigger API"


def _of_approval(wait: Wait) -> str:
    named = wait.approvers and "*" not in wait.approvers
    who = f"the keys {', '.join(wait.approvers)}" if named else "any key that may approve"
    return f"{who}, but not the one that started the run" if wait.forbid_self_approval else who


_NOBODY: Final = "nobody need do anything: Stepwell goes on by itself"
_RESUMING: Final = "whoever resumes the run"
_WHO: Mapping[WaitKind, Callable[[Wait], str]] = MappingProxyType(
    {
        WaitKind.EVENT: _of_event,
        WaitKind.APPROVAL: _of_approval,
        WaitKind.SLEEP: lambda _wait: "nobody need do anything: it is over by itself",
        WaitKind.CHILD: lambda wait: f"what the run {wait.note} waits for",
        WaitKind.JOB: lambda wait: f"the worker that reports on the job run {wait.ticket}",
        WaitKind.AGENT: lambda _wait: "the agent that works on it: it reports, or is lost",
    },
)
_KINDS: Mapping[Cause, BlockerKind] = MappingProxyType(
    {
        # A wait's own kind stands in place of this one.
        Cause.WAIT: BlockerKind.DRIVER,
        Cause.UNDER_WAY: BlockerKind.DRIVER,
        Cause.STARTING: BlockerKind.DRIVER,
        Cause.HELD: BlockerKind.DRIVER,
        Cause.RETRY: BlockerKind.RETRY,
        Cause.PAUSED: BlockerKind.PAUSE,
        Cause.MAX_PARALLEL_STEPS: BlockerKind.LIMIT,
        Cause.CONCURRENCY_KEY: BlockerKind.LIMIT,
        Cause.RESOURCE_CLASS: BlockerKind.LIMIT,
    },
)
_BY_CAUSE: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.PAUSED: _RESUMING,
        Cause.RETRY: "nobody need do anything: the next attempt begins by itself",
        Cause.MAX_PARALLEL_STEPS: "the steps that run now: as soon as one of them ends",
        Cause.CONCURRENCY_KEY: "the step that has the same concurrency_key: as soon as it ends",
        Cause.RESOURCE_CLASS: "the steps of the same resource_class: as soon as one of them ends",
    },
)
_ENDED: Mapping[RunStatus, str] = MappingProxyType(
    {
        RunStatus.COMPLETED: "The run has completed",
        RunStatus.FAILED: "The run failed",
        RunStatus.TIMED_OUT: "The run took longer than it may",
        RunStatus.CANCELED: "The run was canceled",
    },
)
_DOES: Mapping[BlockerKind, str] = MappingProxyType(
    {
        BlockerKind.EVENT: "waits for an event",
        BlockerKind.APPROVAL: "waits for approval",
        BlockerKind.SLEEP: "sleeps",
        BlockerKind.CHILD: "waits for a run that it has started",
        BlockerKind.JOB: "waits for a worker",
        BlockerKind.AGENT: "is worked on by an agent",
        BlockerKind.RETRY: "is to be tried again",
        BlockerKind.PAUSE: "starts once the run is resumed",
        BlockerKind.LIMIT: "waits for its turn",
        BlockerKind.DRIVER: "is under way",
    },
)
_DO: Mapping[BlockerKind, str] = MappingProxyType(
    {
        BlockerKind.EVENT: "waiting for events",
        BlockerKind.APPROVAL: "waiting for approval",
        BlockerKind.SLEEP: "sleeping",
        BlockerKind.CHILD: "waiting for other runs",
        BlockerKind.JOB: "waiting for workers",
        BlockerKind.AGENT: "worked on by agents",
        BlockerKind.RETRY: "to be tried again",
        BlockerKind.PAUSE: "to start once the run is resumed",
        BlockerKind.LIMIT: "waiting for their turn",
        BlockerKind.DRIVER: "under way",
    },
)
