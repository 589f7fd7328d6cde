"""What people and workers outside find a waiting step by: an approval, an event key, a job.

A ticket is a way to a wait, not the wait: the step's record says whether the step still waits. A ticket is written
before its step waits and closed after; one that was left open by a crash is closed by whoever meets it next.
"""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.step import StepError
from chalicelib.domain.value import Value

_IDS = uuid.UUID("0b9c2f67-1f0f-4f0e-8f43-2a8a3f6d7c55")
_LONGEST_EVENT_KEY: Final = 512
#: Controls, halves of surrogate pairs, and what begins a new line.
_UNFIT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: What ``is_event_key`` asks for, to go after the field's name.
EVENT_KEY_RULE: Final = f"must be 1 to {_LONGEST_EVENT_KEY} characters on one line"


class TicketKind(StrEnum):
    """What is waited for."""

    APPROVAL = "approval"
    EVENT = "event"
    JOB = "job"
    AGENT = "agent"


class TicketStatus(StrEnum):
    """What has become of the wait; each API has its own words."""

    OPEN = "open"
    #: Approved, received, completed.
    DONE = "done"
    #: Rejected, if only in that its step was skipped, or the worker reported a failure.
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    #: The step was skipped that waited for something else, or ended some other way; the run was canceled.
    CANCELED = "canceled"


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One wait, as the outside sees it."""

    id: str
    kind: TicketKind
    project_id: str
    workflow_id: str
    run_id: str
    #: The step's key, and which of its waits this is.
    step: str
    generation: int
    failures: int
    #: The event key, the job's ``job_id``, or the agent's role; none for an approval.
    name: str | None = None
    #: What the worker is to work on.
    payload: Value = None
    #: What people are asked; the end of what an agent has printed.
    note: str | None = None
    approvers: tuple[str, ...] = ()
    status: TicketStatus = TicketStatus.OPEN
    created_at: datetime
    #: When the step stops waiting; none: only the outside ends it.
    expires_at: datetime | None = None
    #: Jobs: from then on a worker may claim it; a claim or a heartbeat moves it on. Agents: heard of by then, or lost.
    visible_at: datetime | None = None
    #: Jobs: the name and id of the key that claimed it.
    holder: str | None = None
    holder_key_id: str | None = None
    #: Jobs: what the worker that claimed it calls itself, by which it is told from others with the same key.
    worker: str | None = None
    claimed_at: datetime | None = None
    #: Who ended it: a key's name.
    closed_by: str | None = None
    closed_at: datetime | None = None
    #: What was sent or reported; and its digest, by which the same is known when it comes again.
    result: Value = None
    result_digest: str | None = None
    error: StepError | None = None
    #: Agents: since when the sandbox is known to be ended, where it was not left to end by itself.
    stopped_at: datetime | None = None
    #: Agents: callbacks that were refused, and put on record.
    refused: int = 0
    #: Counts the writes; each is conditional on the one before.
    revision: int = 1


def ticket_id(run_id: str, step: str, generation: int, failures: int) -> str:
    """Return the id of a wait's ticket: an attempt that was lost, or made twice, makes no second one."""
    return str(uuid.uuid5(_IDS, f"{run_id}/{step}/{generation}/{failures}"))


def ticket_event(step: str, generation: int, failures: int) -> str:
    """Return the type of the event by which a ticket's end reaches its step. No user's event can have it."""
    return f"ticket:{step}:{generation}:{failures}"


def is_event_key(text: str) -> bool:
    """Whether an event can be waited for, and sent, by this key; see ``EVENT_KEY_RULE``."""
    return 0 < len(text) <= _LONGEST_EVENT_KEY and not any(unicodedata.category(one) in _UNFIT for one in text)
