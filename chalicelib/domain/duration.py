"""Durations and moments as people write them: seconds or ``"2 days"``, ISO 8601 or epoch seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from chalicelib.domain.value import Json

_SECONDS: Mapping[float, tuple[str, ...]] = {
    0.001: ("ms", "msec", "millisecond"),
    1: ("s", "sec", "second"),
    60: ("m", "min", "minute"),
    3_600: ("h", "hr", "hour"),
    86_400: ("d", "day"),
    604_800: ("w", "week"),
    2_592_000: ("month",),
    31_536_000: ("y", "year"),
}

#: Seconds by unit, singular and plural. A month is 30 days, a year 365: as where the trigger API comes from.
UNITS: Mapping[str, float] = MappingProxyType(
    {
        spelling: seconds
        for seconds, words in _SECONDS.items()
        for word in words
        for spelling in ((word, f"{word}s") if len(word) > 2 else (word,))  # noqa: PLR2004 - "ms" and "hr" are no words
    }
    | {"hrs": 3_600},
)

_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]+)")
_WHOLE = re.compile(rf"{_PART.pattern}(?:[\s,]+{_PART.pattern})*")
_LONGEST_TEXT = 100
_FORM = 'a duration is a number of seconds or text such as "10 seconds" or "2 days"'


def parse_duration(value: Json, *, longest: timedelta | None = None) -> timedelta:
    """Return the duration that a number of seconds, or text such as ``"10 seconds"`` or ``"1 hour 30 minutes"``, means.

    Whatever else, a negative number, or more than ``longest`` is a ``ValueError`` whose message is for people.
    """
    seconds = _text_seconds(value) if isinstance(value, str) else _number_seconds(value)
    try:
        parsed = timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("the duration is too long") from None
    if longest is not None and parsed > longest:
        raise ValueError(f"the duration may be {describe(longest)} at most")
    return parsed


def describe(duration: timedelta) -> str:
    """Return a duration as text in the largest unit, up to days, that divides it: ``365 days``, ``90 minutes``."""
    seconds = duration.total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, name)
    return _counted(seconds, "second")


def parse_timestamp(value: Json) -> datetime:
    """Return the moment, in UTC, that ISO 8601 text (no zone means UTC) or a number of epoch seconds stands for.

    Anything else is a ``ValueError`` whose message is for people.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError('a timestamp is ISO 8601 text such as "2026-11-22T09:30:00Z" or a number of epoch seconds')


def _number_seconds(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_FORM)  # noqa: TRY004 - one kind of error for the caller, whatever the input
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a duration is a finite number of seconds")
    if value < 0:
        raise ValueError("a duration is not negative")
    if value > timedelta.max.total_seconds():
        raise ValueError("the duration is too long")
    return value


def _text_seconds(text: str) -> float:
    stripped = text.strip()
    if len(stripped) > _LONGEST_TEXT or _WHOLE.fullmatch(stripped) is None:
        raise ValueError(_FORM)
    total = 0.0
    for number, unit in _PART.findall(stripped):
        size = UNITS.get(unit) or UNITS.get(unit.lower())
        if size is None:
            raise ValueError(f'"{unit}" is no unit of time; use ms, seconds, minutes, hours, days or weeks')
        total += float(number) * size
    return total


def _counted(number: float, name: str) -> str:
    return f"{number:g} {name}{'' if number == 1 else 's'}"
