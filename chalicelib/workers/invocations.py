"""What Stepwell's own functions are invoked with, and what Lambda tells them of the invocation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NotRequired, Protocol, TypedDict

from chalicelib import logs
from chalicelib.services.faults import describe

log = logging.getLogger("stepwell.workers")


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still run."""


class DriveEvent(TypedDict):
    """Which run to drive."""

    run_id: str
    #: The lease under which it was parked, as a number or its text, where the end of that parking is what drives.
    lease_seq: NotRequired[str | int]


class WorkEvent(TypedDict):
    """Which attempts to make."""

    run_id: str
    keys: list[str]
    owner: str


class InvocationFailed(RuntimeError):
    """An invocation came to nothing; Lambda makes it again. Its cause stands in the log, without what it was about."""


@contextmanager
def invoked(context: LambdaContext, **ids: str) -> Iterator[None]:
    """Have every line of an invocation carry its ids, and its failure told without a word of what users sent.

    Lambda itself prints the message and the traceback of whatever a handler raises: so only this gets out.
    """
    with logs.carrying(request_id=context.aws_request_id, **ids):
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the outermost frame of an invocation
            log.error("an invocation failed", extra={"action": "invocation_failed", "fault": describe(error)})  # noqa: TRY400 - likewise
            failure = InvocationFailed(type(error).__name__)
        else:
            return
    raise failure from None
