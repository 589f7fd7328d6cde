"""The two ways in which something outside can fail us: a step's call, or a part of Stepwell's own deployment."""

from __future__ import annotations


class CallFailed(Exception):
    """A call made on behalf of a step failed; the step's attempt fails with it.

    ``code`` and ``message`` are for the workflow's author and reach the run's record: they never hold a credential, a
    header's value or a payload of ours. ``retry_after`` is what the far end asked for, in seconds, if it asked.
    """

    def __init__(self, code: str, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"CallFailed({self.code!r}, {self.message!r}, retryable={self.retryable})"


class Unavailable(Exception):
    """A part of Stepwell's own deployment did not do as asked: the message names it and the reason.

    It is never a step's fault. A worker lets it end the invocation: the record is the truth, and Lambda's retry or the
    sweep takes the run up again.
    """
