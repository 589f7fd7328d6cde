"""What an attempt at a step came to, as its executor says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.step import StepError, Wait
from chalicelib.domain.value import Value


@dataclass(frozen=True, kw_only=True)
class Completed:
    """It is done."""

    output: Value = None
    #: The label of the edge that is taken, for a branch.
    branch: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """It waits, and holds nothing meanwhile."""

    wait: Wait


@dataclass(frozen=True, kw_only=True)
class Failed:
    """It failed."""

    error: StepError
    #: Whether another attempt might fare better; the step's retry policy then decides.
    retryable: bool = True
    #: How long the far end asked us to wait.
    retry_after: timedelta | None = None


Outcome = Completed | Waiting | Failed
