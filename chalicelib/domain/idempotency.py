"""What an idempotency key was used for, so that the same request sent again is answered with what the first one did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class IdempotencyRecord:
    """One use of an idempotency key."""

    #: The kind of request that the key is unique for, such as ``trigger``; without ``#``.
    scope: str
    #: The key as its sender wrote it.
    key: str
    project_id: str
    #: Of the request that used it first: another request with the same key is refused.
    request_digest: str
    #: The run that it started, if that is what it did.
    run_id: str | None = None
    #: What was answered, where it cannot be derived; none while the first request is still in flight.
    response: str | None = None
    created_at: datetime
    #: From then on the key is free again.
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Once:
    """A caller's wish that a request take effect once, however often it is sent."""

    #: The key as its sender wrote it.
    key: str
    #: Of the request, so that another with the same key is refused.
    request_digest: str
