"""Schedules: five cron fields in a time zone, checked when a workflow is saved, and asked when they are due next.

The fields are cronsim's, and so Debian's: where both day fields are narrowed, a day that fits either will do. When
clocks go forward, a time of day that is left out comes as soon as they have; when they go back, it does not come twice.
Only this module knows the library.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LONGEST_CRON = 200
LONGEST_ZONE = 100

_FIELDS = 5
#: A moment from which on each schedule must come to one that is due.
_SOME_TIME = datetime(2024, 1, 1, tzinfo=UTC)


def check(cron: str, timezone: str) -> str | None:
    """Return what is wrong with a schedule, for people; None if nothing is."""
    return cron_problem(cron) or zone_problem(timezone)


def cron_problem(cron: str) -> str | None:
    """Return what is wrong with five cron fields, for people; None if nothing is."""
    fields = cron.split()
    if len(cron) > LONGEST_CRON:
        return f"a cron schedule may be {LONGEST_CRON} characters long at most"
    if len(fields) != _FIELDS:
        return f"a cron schedule has five fields (minute, hour, day of month, month, day of week), not {len(fields)}"
    try:
        due = next(CronSim(cron, _SOME_TIME), None)
    except CronSimError as error:
        return f"the {str(error).removeprefix('Bad ')} of the cron schedule cannot be read, or never comes"
    return None if due is not None else "the cron schedule never comes"


def zone_problem(timezone: str) -> str | None:
    """Return what is wrong with a time zone, for people; None if nothing is."""
    if not 1 <= len(timezone) <= LONGEST_ZONE or _zone(timezone) is None:
        return 'a time zone is an IANA name such as "Europe/Berlin" or "UTC"'
    return None


def next_due(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first moment after ``after``, in UTC, at which a schedule that ``check`` took is due."""
    zone = _zone(timezone)
    if zone is None:
        raise ValueError(f"there is no time zone {timezone}")
    local = UTC if zone.key == "UTC" else zone
    for due in CronSim(cron, after.astimezone(local)):
        moment = due.astimezone(UTC)
        # Where clocks change, the library may come to a moment that has been.
        if moment > after:
            return moment
    raise ValueError(f"{cron} never comes")


def _zone(name: str) -> ZoneInfo | None:
    if not name[:1].isupper():
        # A machine's own files: "localtime" means something else on each, and "right/…" counts leap seconds.
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None
