"""Whether a failed attempt is made again, and when. Nothing sleeps here: the decision is a value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

#: How far a delay is spread, so that many runs that failed together do not come back together.
JITTER = 0.2


class Backoff(StrEnum):
    """How the delay grows with each failed attempt."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and when a failed attempt is made again."""

    #: Attempts after the first.
    limit: int = 0
    delay: timedelta = timedelta(seconds=1)
    backoff: Backoff = Backoff.EXPONENTIAL
    #: No delay is longer, before the jitter.
    longest: timedelta = timedelta(hours=1)


def retry_after(
    policy: RetryPolicy,
    *,
    failures: int,
    seed: str,
    asked: timedelta | None = None,
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None when there is none.

    ``failures`` counts the attempts that failed, 1 or more. The jitter (±20 %) is drawn from ``seed``, so that the
    same facts give the same time. ``asked`` is what the far end asked for (Retry-After): it is honoured where it is
    longer, up to the policy's longest delay.
    """
    if failures > policy.limit:
        return None
    factor = {
        Backoff.CONSTANT: 1,
        Backoff.LINEAR: failures,
        Backoff.EXPONENTIAL: 2 ** min(failures - 1, 40),
    }[policy.backoff]
    seconds = min(policy.delay.total_seconds() * factor, policy.longest.total_seconds())
    jittered = timedelta(seconds=seconds * (1 + JITTER * _fraction(seed)))
    return max(jittered, min(asked, policy.longest)) if asked else jittered


def _fraction(seed: str) -> float:
    """Return a number from -1 up to 1 that is the same for the same seed."""
    drawn = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
    return drawn / 2**63 - 1
