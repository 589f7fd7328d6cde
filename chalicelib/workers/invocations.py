"""What Stepwell's own functions are invoked with, and what Lambda tells them of the invocation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NotRequired, Protocol, TypedDict, Unpack

from chalicelib import logs, metering, metrics
from chalicelib.logs import Action, Ids
from chalicelib.services.faults import describe


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str

    @property
    def memory_limit_in_mb(self) -> int | str:
        """How much memory it has; Lambda itself says it in text."""

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


class UploadEvent(TypedDict):
    """Which objects have been put into the bucket; of S3's notification, what is read."""

    #: Each with its ``s3.object.key``, encoded as in a query string.
    Records: list[dict[str, Any]]


class InvocationFailed(RuntimeError):
    """An invocation came to nothing; Lambda makes it again. Its cause stands in the log, without what it was about."""


@contextmanager
def invoked(context: LambdaContext, **ids: Unpack[Ids]) -> Iterator[None]:
    """Meter an invocation, report what it counts, and have its every line carry its ids.

    Its failure is told without a word of what users sent: Lambda itself prints the message and the traceback of
    whatever a handler raises, so that only this gets out.
    """
    memory_mb = int(context.memory_limit_in_mb)
    ids["request_id"] = context.aws_request_id
    with logs.carrying(**ids), metrics.reported(), metering.measured(memory_mb=memory_mb):
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the outermost frame of an invocation
            logs.tell(Action.INVOCATION_FAILED, fault=describe(error))
            failure = InvocationFailed(type(error).__name__)
        else:
            return
    raise failure from None
