"""A step as a run records it.

Its record, the claims that come before one, what it may wait for, and its legal moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from chalicelib.domain.value import Value


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it unless a person retries it."""
        return self in ENDED


ENDED = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELED})

#: How many earlier attempts a record keeps.
MOST_ATTEMPTS = 50

#: From each status, the statuses that a step may go to next without a person's repair.
MOVES: Mapping[StepStatus, frozenset[StepStatus]] = MappingProxyType(
    {
        StepStatus.PENDING: frozenset(
            {
                StepStatus.WAITING,
                StepStatus.RUNNING,
                StepStatus.SKIPPED,
                StepStatus.CANCELED,
                StepStatus.COMPLETED,
            },
        ),
        StepStatus.WAITING: frozenset(
            {
                StepStatus.RUNNING,
                StepStatus.COMPLETED,
                StepStatus.FAILED,
                StepStatus.SKIPPED,
                StepStatus.CANCELED,
            },
        ),
        StepStatus.RUNNING: frozenset(
            {
                StepStatus.COMPLETED,
                StepStatus.FAILED,
                StepStatus.CANCELED,
                StepStatus.PENDING,
                StepStatus.WAITING,
            },
        ),
        StepStatus.COMPLETED: frozenset(),
        StepStatus.FAILED: frozenset(),
        StepStatus.SKIPPED: frozenset(),
        StepStatus.CANCELED: frozenset(),
    },
)


@dataclass(frozen=True, kw_only=True)
class StepError:
    """Why a step, or the run it failed, went wrong; error edges and ``catch`` see it."""

    #: For machines, such as ``http_status``, ``timeout``, ``template``, ``lost``.
    code: str
    #: For people.
    message: str
    #: The step it happened in, by key; none when it is the run's own.
    step: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return what templates see as ``error``."""
        return {"code": self.code, "message": self.message, "step": self.step}


class WaitKind(StrEnum):
    """What a waiting step, or a run that only waits, waits for."""

    EVENT = "event"
    APPROVAL = "approval"
    SLEEP = "sleep"
    CHILD = "child"
    #: A worker outside has the work; the step counts as running meanwhile.
    JOB = "job"
    #: An agent in a sandbox has the work; the step counts as running meanwhile.
    AGENT = "agent"
    RETRY = "retry"
    PAUSE = "pause"


#: Waits whose step counts as running: somebody outside works on it.
AT_WORK = frozenset({WaitKind.JOB, WaitKind.AGENT})


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What a waiting step waits for."""

    kind: WaitKind
    #: The type of event that ends it; none for a sleep.
    event_type: str | None = None
    #: When it ends by itself: a sleep completes, everything else fails. None: only an event ends it.
    until: datetime | None = None
    #: An agent that has not been heard of by then is looked for; None: nobody is listened for.
    beat_by: datetime | None = None
    #: What people are asked, a child run's id, or where an agent's sandbox is found.
    note: str | None = None
    #: Keys by id or name that may approve; empty means anyone who may send it.
    approvers: tuple[str, ...] = ()
    #: Whether the key that started the run may not approve.
    forbid_self_approval: bool = False
    #: What people and workers outside find the wait by; see ``ticket``.
    ticket: str | None = None

    @property
    def look_at(self) -> datetime | None:
        """When something may have become of it without an event."""
        return min((at for at in (self.until, self.beat_by) if at is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An attempt at a step, recorded before it starts so that it is counted even if it kills its Lambda."""

    key: str
    #: 1 for the first attempt.
    attempt: int
    #: When the attempt started.
    at: datetime
    #: The invocation that makes the attempt. Empty for a container (loop, race, try_catch), which nobody executes.
    owner: str = ""
    #: Past it the attempt is lost. None for a container.
    deadline: datetime | None = None
    #: A person's retry or replay begins a new generation; it is part of the idempotency key.
    generation: int = 1
    #: Attempts that failed so far in this generation, which is what the retry policy counts.
    failures: int = 0
    #: Attempts lost in a row just before this one.
    losses: int = 0


@dataclass(frozen=True, kw_only=True)
class PastAttempt:
    """An attempt that was not the last: one that failed and was retried, or one that a person had made again."""

    attempt: int
    generation: int
    status: StepStatus
    started_at: datetime | None
    finished_at: datetime | None
    output: Value = None
    error: StepError | None = None
    #: The event that ended its wait; it is not to be taken again.
    event_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What is known of a step instance, written once its attempt has come to something."""

    #: The step's ref; inside a loop, the loop's key, the iteration and the ref: ``each.2.charge``.
    key: str
    status: StepStatus
    attempt: int
    started_at: datetime | None
    #: When it ended; for a step that is pending between attempts, when the last one failed.
    finished_at: datetime | None = None
    generation: int = 1
    failures: int = 0
    losses: int = 0
    output: Value = None
    error: StepError | None = None
    #: When the next attempt is due; only for a step that is pending between attempts.
    retry_at: datetime | None = None
    wait: Wait | None = None
    #: The event that ended the wait. An event named by no record is still to be taken.
    event_id: str | None = None
    #: The way taken: a branch's label, a race's winning arm.
    branch: str | None = None
    #: The attempts released by this write, so that finishing a step and starting the next is one write.
    claims: Mapping[str, Claim] = field(default_factory=dict)
    #: Earlier attempts, the oldest first; the last ``MOST_ATTEMPTS`` of them.
    attempts: tuple[PastAttempt, ...] = ()
    #: Whether a person had it run although nothing leads to it.
    forced: bool = False
    #: Counts the writes of this record; each is conditional on the one before. 0: nothing is written yet.
    revision: int = 1


@dataclass(frozen=True, kw_only=True)
class Reset:
    """That a person had steps of a run begin anew.

    It is kept with the run, and what it makes of the steps' records follows from it, however many they are: what was
    recorded in an earlier generation counts as an earlier attempt.
    """

    #: What is recorded of the steps from now on; the first reset begins the second generation.
    generation: int
    #: The step, by ref.
    step: str
    #: Whether everything that comes after the step begins anew too, or only what had not run because of it.
    subtree: bool
    #: Whether the run had ended: what was under way then begins anew, wherever it stands.
    reopened: bool
    #: Whether the step is to run although nothing leads to it.
    forced: bool = False


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something sent to a run, kept until a wait takes it."""

    #: Sorts by arrival.
    id: str
    type: str
    payload: Value
    #: Who sent it: a key's name, or a run's id for a child.
    sent_by: str
    received_at: datetime
    #: Why what it reports the end of did not end well; a child run's or a job's.
    failure: StepError | None = None


def step_run_id(run_id: str, key: str) -> str:
    """Return the id by which a step of a run is known outside."""
    return f"{run_id}:{key}"
