"""A run and its legal moves. The table is the truth; ``move`` only looks it up, and an illegal move changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from chalicelib.domain.refusal import IllegalMove
from chalicelib.domain.step import Claim, Reset, StepError, WaitKind
from chalicelib.domain.usage import NO_UNITS, ModelUsage, Units
from chalicelib.domain.value import Value


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless a person reopens the run."""
        return self in ENDED


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELED})


class RunCommand(StrEnum):
    """What can be asked of a run."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    FAIL = "fail"
    TIME_OUT = "time out"
    CANCEL = "cancel"
    REOPEN = "reopen"


_ENDINGS = {
    RunCommand.COMPLETE: RunStatus.COMPLETED,
    RunCommand.FAIL: RunStatus.FAILED,
    RunCommand.TIME_OUT: RunStatus.TIMED_OUT,
    RunCommand.CANCEL: RunStatus.CANCELED,
}
_REOPENED = {RunCommand.REOPEN: RunStatus.RUNNING}

MOVES: Mapping[RunStatus, Mapping[RunCommand, RunStatus]] = MappingProxyType(
    {
        RunStatus.PENDING: {
            RunCommand.START: RunStatus.RUNNING,
            RunCommand.PAUSE: RunStatus.PAUSED,
            RunCommand.TIME_OUT: RunStatus.TIMED_OUT,
            RunCommand.CANCEL: RunStatus.CANCELED,
        },
        RunStatus.RUNNING: {RunCommand.PAUSE: RunStatus.PAUSED, **_ENDINGS},
        RunStatus.PAUSED: {RunCommand.RESUME: RunStatus.RUNNING, **_ENDINGS},
        RunStatus.COMPLETED: _REOPENED,
        RunStatus.FAILED: _REOPENED,
        RunStatus.TIMED_OUT: _REOPENED,
        RunStatus.CANCELED: _REOPENED,
    },
)

#: The status that a command leads to, so that asking again can be answered "it already is".
TARGETS: Mapping[RunCommand, RunStatus] = MappingProxyType(
    {
        RunCommand.START: RunStatus.RUNNING,
        RunCommand.PAUSE: RunStatus.PAUSED,
        RunCommand.RESUME: RunStatus.RUNNING,
        RunCommand.REOPEN: RunStatus.RUNNING,
        **_ENDINGS,
    },
)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to drive a run."""

    #: The invocation that drives: its request id, so that Lambda's own retry of it takes the lease straight back.
    owner: str
    #: That invocation's deadline; past it the driver cannot be alive.
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one version of a workflow."""

    id: str
    project_id: str
    workflow_id: str
    #: The version that it started with and keeps.
    version_id: str
    #: That version's number.
    version: int
    #: The connection to AWS that its steps use.
    connection_id: str
    status: RunStatus
    #: ``api``, ``event``, ``schedule``, ``workflow``, ``retry``.
    triggered_by: str
    #: The name or id of the key or run that started it.
    created_by: str
    created_at: datetime
    updated_at: datetime
    #: The id of the key that started it, if a key did.
    created_by_key_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    #: Past it the run is timed out.
    expires_at: datetime | None = None
    #: What it was started with.
    payload: Value = None
    #: What the steps without dependents answered; only once completed.
    output: Value = None
    #: Why it failed, timed out or was canceled.
    error: StepError | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    #: At most this many steps running at once; 0 is unlimited.
    max_parallel_steps: int = 0
    #: The run and step that wait for this one, if it is a sub-workflow.
    parent_run_id: str | None = None
    parent_step: str | None = None
    #: How many parents above it.
    depth: int = 0
    #: Its place among its workflow's runs, from 1; none until it is first driven, or started by the workflows API.
    number: int | None = None
    #: What it has used of AWS so far, as far as it was counted.
    units: Units = NO_UNITS
    #: What its agents have reported to have used, by tool and model.
    usage: tuple[ModelUsage, ...] = ()
    #: What its agents last reported to have worked on.
    branch_name: str | None = None
    pr_url: str | None = None
    retry_of_run_id: str | None = None
    #: Steps, by ref, that whoever started it had skipped.
    disabled: tuple[str, ...] = ()
    #: What people had begin anew, the oldest first.
    resets: tuple[Reset, ...] = ()
    #: Whether it counts towards its workflow's ``max_concurrent_runs``.
    counted: bool = False
    #: No step is claimed before this time: a person's repair is being judged.
    hold_until: datetime | None = None

    #: Grows by one with every verb; a driver lets go, and a parking execution stores its token, only if it is
    #: unchanged.
    wake_seq: int = 0
    #: Grows by one with every lease taken.
    lease_seq: int = 0
    lease: Lease | None = None
    #: Attempts claimed by a write of the run itself, by step key.
    claims: Mapping[str, Claim] = field(default_factory=dict)
    #: The Step Functions task token that wakes it, while it is parked.
    park_token: str | None = None
    #: What it only waits for, while nobody drives it; empty while something is to be done.
    waiting_for: tuple[WaitKind, ...] = ()
    #: The sweep looks at the run after this time; none once ended.
    next_check_at: datetime | None = None

    @property
    def generation(self) -> int:
        """The generation of what is recorded of it from now on."""
        return 1 + len(self.resets)


@dataclass(frozen=True, kw_only=True)
class RunMoved:
    """The fact that a run changed status."""

    run_id: str
    command: RunCommand
    before: RunStatus
    after: RunStatus
    actor: str
    at: datetime
    reason: str | None = None


def move(run: Run, command: RunCommand, *, actor: str, at: datetime, reason: str | None = None) -> tuple[Run, RunMoved]:
    """Return the run after ``command`` and the fact to record beside it, or raise ``IllegalMove``.

    Reopening clears the end time and the error; every move clears nothing else.
    """
    after = MOVES[run.status].get(command)
    if after is None:
        legal = ", ".join(MOVES[run.status]) or "nothing"
        message = f"cannot {command} a run that is {run.status}; legal now: {legal}"
        raise IllegalMove(message)
    fact = RunMoved(run_id=run.id, command=command, before=run.status, after=after, actor=actor, at=at, reason=reason)
    moved = replace(run, status=after, updated_at=at)
    if after.ended:
        moved = replace(moved, finished_at=at, next_check_at=None, waiting_for=())
    elif command is RunCommand.START:
        moved = replace(moved, started_at=at)
    elif command is RunCommand.REOPEN:
        moved = replace(moved, finished_at=None, error=None, output=None)
    return moved, fact
