"""What Stepwell's own functions are invoked with, and what Lambda tells them of the invocation."""

from __future__ import annotations

from typing import NotRequired, Protocol, TypedDict


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
