"""Times as they are stored: text that sorts, milliseconds for the sweep, seconds for expiry, microseconds in JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)


def text_of(at: datetime) -> str:
    """Return ``2026-11-22T07:30:00.000000Z``: of one length, so that texts sort as times do."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def time_of(text: str) -> datetime:
    """Return the time that ``text_of`` wrote; anything else is a ``ValueError``."""
    at = datetime.fromisoformat(text)
    if text_of(at) != text:
        message = "not a time as stored"
        raise ValueError(message)
    return at


def microseconds_of(at: datetime) -> int:
    """Return the microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the time that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=count)


def milliseconds_of(at: datetime) -> int:
    """Return the whole milliseconds since 1970; what is finer is dropped."""
    return (at - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """Return the time that many milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=count)


def seconds_of(at: datetime) -> int:
    """Return the whole seconds since 1970; what is finer is dropped."""
    return (at - _EPOCH) // _SECOND
