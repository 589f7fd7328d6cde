"""What Stepwell declines.

A refusal is raised by name, and turned into a dialect's error in one table of that dialect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One thing that is wrong, and where."""

    #: Where in the caller's input, dotted: ``nodes.2.data.url``. Empty for the whole.
    path: str
    #: What is wrong and what would be right.
    message: str
    #: The graph node that it belongs to, if any.
    node_id: str | None = None


class Refusal(Exception):
    """Something was declined; nothing was written."""

    #: For machines; dialects spell it their own way.
    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, field: str | None = None, details: tuple[Detail, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.details = details


class Unauthenticated(Refusal):
    """The key is missing, malformed, unknown, expired or revoked."""

    code = "unauthenticated"


class KeyMissing(Unauthenticated):
    """The request carries no key at all."""

    code = "key_missing"


class ScopeMissing(Refusal):
    """The key is good but may not do this."""

    code = "scope_missing"


class NotFound(Refusal):
    """It does not exist for this caller; another project's object is reported the same way."""

    code = "not_found"


class BadRequest(Refusal):
    """Well-formed, but it cannot be asked of this object."""

    code = "bad_request"


class MalformedBody(BadRequest):
    """The body is not JSON."""

    code = "malformed_body"


class Invalid(Refusal):
    """The input breaks a rule that its details name."""

    code = "invalid"


class InvalidDefinition(Refusal):
    """The workflow's graph or steps break a rule that the details name."""

    code = "invalid_definition"


class TooLarge(Refusal):
    """The input is over a published limit."""

    code = "too_large"


class BodyTooLarge(TooLarge):
    """The request's whole body is longer than any may be."""

    code = "body_too_large"


class Conflict(Refusal):
    """Somebody else was first, or the object's state forbids it."""

    code = "conflict"


class IllegalMove(Conflict):
    """The command is not legal in the state the object is in."""

    code = "illegal_move"


class IdempotencyMismatch(Refusal):
    """The idempotency key was used before, with another request."""

    code = "idempotency_mismatch"


class TooMany(Refusal):
    """A published rate or concurrency limit is reached; later it may succeed."""

    code = "too_many"


class TryLater(Refusal):
    """Something that Stepwell stands on does not answer; the request may or may not have taken effect."""

    code = "try_later"
