"""A run explained, as the workflow-runs API shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from pydantic import Field

from chalicelib.api.workflow_runs_api.step_rows import text_of
from chalicelib.api.workflow_runs_api.surface import Shown, Time
from chalicelib.domain.definition import StepType
from chalicelib.domain.explain import Cause, Explanation, Reason
from chalicelib.domain.history import HistoryRecord, Outcome
from chalicelib.domain.repair import StepVerb
from chalicelib.domain.run import RunStatus
from chalicelib.domain.run_graph import Link
from chalicelib.domain.step import StepStatus, WaitKind
from chalicelib.domain.timeline import Entry
from chalicelib.domain.timings import Timing
from chalicelib.domain.why import Blocker, BlockerKind, Repairable
from chalicelib.services.run_views import Asked, Drawn


class RunNodeOut(Shown):
    """A step in a run's graph."""

    step_ref: str
    step_type: StepType
    status: StepStatus

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Return what a graph shows of a step."""
        return cls(step_ref=entry.key, step_type=entry.type, status=entry.status)


class RunEdgeOut(Shown):
    """That one step comes after another."""

    from_: str = Field(serialization_alias="from")
    to: str
    #: A branch's label or `error`; of a container and the first steps in it, the label of their block.
    label: str | None = None

    @classmethod
    def of(cls, link: Link) -> Self:
        """Return what is shown of an edge."""
        return cls(from_=link.source, to=link.target, label=link.label or None)


class RunGraphOut(Shown):
    """A run's steps as a graph; of more than 4,000 the first ones."""

    workflow_run_id: str
    nodes: Sequence[RunNodeOut]
    edges: Sequence[RunEdgeOut]
    #: The steps that nothing comes before.
    roots: Sequence[str]
    #: Those that have not started, and that nothing but the run's limits keeps from it.
    runnable: Sequence[str]
    #: The path that has taken longest so far; what stands in a container is part of its time.
    critical_path: Sequence[str]

    @classmethod
    def of(cls, drawn: Drawn) -> Self:
        """Return what is shown of a graph."""
        graph = drawn.graph
        return cls(
            workflow_run_id=drawn.run.id,
            nodes=[RunNodeOut.of(entry) for entry in graph.nodes],
            edges=[RunEdgeOut.of(link) for link in graph.links],
            roots=graph.roots,
            runnable=graph.runnable,
            critical_path=drawn.critical_path,
        )


class StepTimesOut(Shown):
    """A step's times."""

    step_ref: str
    status: StepStatus
    attempt: int
    #: Of the newest attempt, until now while it goes on; what it waited is part of it.
    duration_secs: float | None = None
    #: From when what leads to it had ended until it first started.
    wait_secs: float | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    on_critical_path: bool

    @classmethod
    def of(cls, timing: Timing) -> Self:
        """Return what is shown of a step's times."""
        entry = timing.entry
        return cls(
            step_ref=entry.key,
            status=entry.status,
            attempt=entry.attempt_at_hand,
            duration_secs=_seconds(timing.duration),
            wait_secs=_seconds(timing.in_line),
            started_at=entry.started_at,
            finished_at=entry.finished_at,
            on_critical_path=timing.on_critical_path,
        )


class RunTimelineOut(Shown):
    """A run's steps and their times, in the workflow's order; of more than 4,000 the first ones."""

    workflow_run_id: str
    status: RunStatus
    steps: Sequence[StepTimesOut]


class ReasonOut(Shown):
    """Why a step stands where it does."""

    cause: Cause
    message: str
    #: Another step that it is about, and where that stands.
    step_ref: str | None = None
    status: StepStatus | None = None
    since: Time | None = None
    #: When it is over by itself.
    until: Time | None = None

    @classmethod
    def of(cls, reason: Reason) -> Self:
        """Return what is shown of a reason."""
        return cls(
            cause=reason.cause,
            message=reason.message,
            step_ref=reason.step,
            status=reason.status,
            since=reason.since,
            until=reason.until,
        )


class StepExplainedOut(Shown):
    """A step, and why it stands where it does; one that has completed needs no reason."""

    step_ref: str
    status: StepStatus
    reasons: Sequence[ReasonOut]

    @classmethod
    def of(cls, one: Explanation) -> Self:
        """Return what is shown of an explanation."""
        reasons = [ReasonOut.of(reason) for reason in one.reasons]
        return cls(step_ref=one.entry.key, status=one.entry.status, reasons=reasons)


class RunExplainedOut(Shown):
    """A run's steps, and why they stand where they do; of more than 4,000 the first ones."""

    workflow_run_id: str
    status: RunStatus
    steps: Sequence[StepExplainedOut]


class BlockerOut(Shown):
    """Something that a run waits for."""

    #: Absent where it is the run as a whole.
    step_ref: str | None = None
    kind: BlockerKind
    since: Time | None = None
    #: When it is over by itself.
    until: Time | None = None
    event_key: str | None = None
    #: Of an event that is sent to the run alone.
    event_type: str | None = None
    #: What people are asked.
    message: str | None = None
    approvers: Sequence[str] | None = None
    child_run_id: str | None = None
    job_run_id: str | None = None
    who_can_unblock: str
    #: The step's verbs that would be taken now.
    available_actions: Sequence[StepVerb]

    @classmethod
    def of(cls, one: Blocker) -> Self:
        """Return what is shown of it."""
        kind = one.wait.kind if one.wait is not None else None
        note = one.wait.note if one.wait is not None else None
        ticket = one.wait.ticket if one.wait is not None else None
        by_type = kind is WaitKind.EVENT and ticket is None and one.wait is not None
        return cls(
            step_ref=one.step,
            kind=one.kind,
            since=one.since,
            until=one.until,
            event_key=note if kind is WaitKind.EVENT and ticket is not None else None,
            event_type=one.wait.event_type if by_type and one.wait is not None else None,
            message=note if kind is WaitKind.APPROVAL else None,
            approvers=one.wait.approvers if kind is WaitKind.APPROVAL and one.wait is not None else None,
            child_run_id=note if kind is WaitKind.CHILD else None,
            job_run_id=ticket if kind is WaitKind.JOB else None,
            who_can_unblock=one.who,
            available_actions=one.actions,
        )


class RepairableOut(Shown):
    """A step by which a run that has ended can go on."""

    step_ref: str
    status: StepStatus
    error: str | None = None
    available_actions: Sequence[StepVerb]

    @classmethod
    def of(cls, one: Repairable) -> Self:
        """Return what is shown of it."""
        entry = one.entry
        return cls(step_ref=entry.key, status=entry.status, error=text_of(entry.error), available_actions=one.actions)


class WhyOut(Shown):
    """Why a run stands where it does, and what can be done about it."""

    workflow_run_id: str
    status: RunStatus
    #: One sentence.
    summary: str
    #: Why it ended, if it has, and the step that says so.
    error: str | None = None
    failed_step_ref: str | None = None
    finished_at: Time | None = None
    waiting_on: Sequence[BlockerOut]
    #: Of a run that has ended: the steps that failed, or else those that the end cut off.
    repairable: Sequence[RepairableOut]
    #: The run's verbs that would be taken now and change something; `cancel` is its DELETE.
    available_actions: Sequence[str]

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """Return what is shown of it."""
        run, why = asked.run, asked.why
        return cls(
            workflow_run_id=run.id,
            status=run.status,
            summary=why.summary,
            error=text_of(run.error),
            failed_step_ref=run.error.step if run.error is not None else None,
            finished_at=run.finished_at,
            waiting_on=[BlockerOut.of(one) for one in why.waiting_on],
            repairable=[RepairableOut.of(one) for one in why.repairable],
            available_actions=why.actions,
        )


class ActorOut(Shown):
    """Who did something."""

    key_id: str
    name: str


class HistoryOut(Shown):
    """A command to a run or a step of it, and what became of it."""

    id: str
    at: Time
    actor: ActorOut
    command: str
    #: The step that it was about; absent where it was the run.
    step_ref: str | None = None
    #: The run's status, or the step's, before and after.
    before: str
    after: str
    outcome: Outcome
    #: In the words of whoever asked.
    reason: str | None = None
    #: Why it was refused.
    refusal: str | None = None
    #: The id that its response carried.
    request_id: str

    @classmethod
    def of(cls, record: HistoryRecord) -> Self:
        """Return what is shown of a record."""
        return cls(
            id=record.id,
            at=record.at,
            actor=ActorOut(key_id=record.actor_key_id, name=record.actor_name),
            command=record.command,
            step_ref=record.step,
            before=record.before,
            after=record.after,
            outcome=record.outcome,
            reason=record.reason,
            refusal=record.refusal,
            request_id=record.request_id,
        )


def _seconds(length: timedelta | None) -> float | None:
    return round(length.total_seconds(), 3) if length is not None else None
