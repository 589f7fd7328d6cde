"""What an idempotency key was used for, so that the same request sent again is answered with what the first one did."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.value import Json

#: The name space of derived ids.
_IDS: Final = uuid.UUID("6c1f3b0e-8d43-5f0a-9a55-1f1f5d4c1b6e")


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

    #: The kind of request that the key is unique for; without ``#``.
    scope: str
    #: The key as its sender wrote it.
    key: str
    #: Of the request, so that another with the same key is refused.
    request_digest: str


@dataclass(frozen=True, kw_only=True)
class FirstUse:
    """When a key was first used, and for what: what the request creates has ids that follow from it alone.

    So a request that was cut off can be made again, and finds what it had created. A key that is free again after its
    time begins anew, and leads to other ids.
    """

    project_id: str
    #: The kind of request that the key is unique for.
    scope: str
    #: The key as its sender wrote it.
    key: str
    #: The first use.
    at: datetime

    def derived_id(self, noun: str) -> str:
        """Return the id of the ``noun`` that the request creates: a UUID, the same whenever it is made again."""
        parts = (self.project_id, self.scope, self.key, self.at.isoformat(), noun)
        return str(uuid.uuid5(_IDS, "\n".join(parts)))


def request_digest(request: Json) -> str:
    """Return what tells one request from another: the same for the same JSON, whatever the order of its names."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
