"""Windows of days in a time zone, and the days, weeks and months that they are told by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

_DAY = timedelta(days=1)


class Granularity(StrEnum):
    """What a window is told by."""

    DAILY = "daily"
    #: ISO weeks, from Monday to Sunday.
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    def period(self, day: date) -> str:
        """Return the name of the period that a day is in: ``2026-11-22``, ``2026-W47``, ``2026-11``."""
        match self:
            case Granularity.DAILY:
                return day.isoformat()
            case Granularity.WEEKLY:
                year, week, _ = day.isocalendar()
                return f"{year:04d}-W{week:02d}"
            case Granularity.MONTHLY:
                return f"{day.year:04d}-{day.month:02d}"


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some whole days of a time zone, one after the other."""

    first: date
    #: Within the window too.
    last: date
    zone: tzinfo

    @classmethod
    def up_to(cls, now: datetime, *, days: int, zone: tzinfo) -> Window:
        """Return the window of as many days, the last of which is today."""
        today = now.astimezone(zone).date()
        return cls(first=today - (days - 1) * _DAY, last=today, zone=zone)

    @property
    def days(self) -> tuple[date, ...]:
        """The days, in order."""
        return tuple(self.first + number * _DAY for number in range((self.last - self.first).days + 1))

    @property
    def start(self) -> datetime:
        """When its first day begins, in UTC."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """When the day after its last begins, in UTC."""
        return _midnight(self.last + _DAY, self.zone)

    @property
    def follows_utc(self) -> bool:
        """Whether its days are those of UTC, whatever its zone is called."""
        return all(_midnight(day, self.zone) == _midnight(day, UTC) for day in (*self.days, self.last + _DAY))

    def day_of(self, at: datetime) -> date | None:
        """Return the day that a moment is in; None outside of the window."""
        day = at.astimezone(self.zone).date()
        return day if self.first <= day <= self.last else None

    def periods(self, granularity: Granularity) -> tuple[str, ...]:
        """Return the names of all periods that its days are in, in order; the first and the last may reach beyond."""
        return tuple(dict.fromkeys(granularity.period(day) for day in self.days))


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins; where clocks go forward at midnight, that is when they do."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def quarter_of(at: datetime) -> datetime:
    """Return when the quarter of an hour began that a moment is in, in UTC.

    Clocks everywhere are apart by whole quarters: each is in one day of any zone.
    """
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
