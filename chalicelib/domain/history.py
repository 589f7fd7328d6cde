"""What people and keys did to a run, for whoever asks later; recorded beside the change itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class HistoryRecord:
    """One command to a run, and what became of it."""

    id: str
    run_id: str
    at: datetime
    #: Who asked: a key's id and name.
    actor_key_id: str
    actor_name: str
    #: What was asked, as the domain calls it: ``pause``, ``cancel``.
    command: str
    #: The step, by key, that a command to a step was about.
    step: str | None = None
    #: The run's status before and after, or the step's for a command to a step; the same when nothing changed.
    before: str
    after: str
    #: Why, in the words of whoever asked.
    reason: str | None = None
    #: Why it was refused.
    refusal: str | None = None
    #: The id that the caller's response carried.
    request_id: str
    outcome: Outcome = Outcome.DONE
