from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.schedule import check, next_due

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    """Return a moment of 2026 in UTC: ``"03-29 01:00"``."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def times(cron: str, timezone: str, after: str, count: int) -> list[str]:
    found, moment = [], at(after)
    for _ in range(count):
        moment = next_due(cron, timezone, moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("* * * * *", "01-01 00:00", "01-01 00:01"),
        ("*/15 9-17 * * mon-fri", "01-02 17:50", "01-05 09:00"),
        ("0 0 1 * *", "01-01 00:00", "02-01 00:00"),
        ("0 0 L * *", "02-01 00:00", "02-28 00:00"),
        ("0 0 * * MON#2", "01-01 00:00", "01-12 00:00"),
        ("30 6 13 * 5", "01-01 00:00", "01-02 06:30"),
        ("  0\t0 31 * *  ", "01-31 00:00", "03-31 00:00"),
        ("0 0 * * 7", "01-01 00:00", "01-04 00:00"),
    ],
)
def test_a_schedule_is_due_next_at_the_first_minute_that_fits(cron: str, after: str, due: str) -> None:
    assert check(cron, "UTC") is None
    assert next_due(cron, "UTC", at(after)) == at(due)


def test_a_leap_day_may_be_years_off() -> None:
    assert next_due("0 0 29 2 MON#5", BERLIN, at("01-01 00:00")) == datetime(2028, 2, 28, 23, tzinfo=UTC)


def test_a_moment_within_a_minute_is_not_due_in_it_again() -> None:
    after = at("01-01 00:00") + timedelta(seconds=30, microseconds=5)
    assert next_due("* * * * *", "UTC", after) == at("01-01 00:01")


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        # Clocks go forward at 01:00 UTC on 29 March: 02:30 is left out.
        ("30 2 * * *", "03-28 01:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("*/30 * * * *", "03-29 00:00", ["03-29 00:30", "03-29 01:00", "03-29 01:30"]),
        ("0 9 * * *", "03-28 00:00", ["03-28 08:00", "03-29 07:00"]),
        # They go back at 01:00 UTC on 25 October: 02:30 comes at 00:30 UTC, and again an hour later.
        ("30 2 * * *", "10-24 00:00", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("30 2 * * *", "10-25 01:00", ["10-26 01:30"]),
        ("30 2 * * *", "10-25 01:40", ["10-26 01:30"]),
        ("0,30 2,3 * * *", "10-24 23:00", ["10-25 00:00", "10-25 00:30", "10-25 02:00", "10-25 02:30"]),
        ("*/30 * * * *", "10-25 00:10", ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"]),
        ("0 9 * * *", "10-24 00:00", ["10-24 07:00", "10-25 08:00"]),
    ],
)
def test_a_time_of_day_is_the_zones_whatever_the_clocks_do(cron: str, after: str, due: list[str]) -> None:
    assert times(cron, BERLIN, after, len(due)) == due


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("", "has five fields (minute, hour, day of month, month, day of week), not 0"),
        ("* * * *", "not 4"),
        ("0 * * * * *", "not 6"),
        ("@daily", "not 1"),
        ("60 * * * *", "the minute of the cron schedule cannot be read"),
        ("* 24 * * *", "the hour of the cron schedule"),
        ("* * 0 * *", "the day-of-month of the cron schedule"),
        ("* * * 13 *", "the month of the cron schedule"),
        ("* * * * funday", "the day-of-week of the cron schedule"),
        ("*/0 * * * *", "the minute of the cron schedule"),
        ("5-1 * * * *", "the minute of the cron schedule"),
        ("²9 * * * *", "the minute of the cron schedule"),
        ("0 0 31 2 *", "the day-of-month of the cron schedule cannot be read, or never comes"),
        ("0 0 30-31 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0," * 100 + "0 * * * *", "200 characters long at most"),
        ("1" * 5000 + " * * * *", "200 characters long at most"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(cron: str, message: str) -> None:
    assert message in (check(cron, "UTC") or "")


@pytest.mark.parametrize(
    "zone",
    [
        *("", "Mars/Base", "europe/berlin", "Europe", "Europe/", "Europe/Berlin ", "../etc/passwd", "/etc/localtime"),
        *("localtime", "right/UTC", "posix/UTC", "tzdata.zi", "UTC\x00", "\ud800", "X" * 5000, "GMT+1"),
    ],
)
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    assert check("* * * * *", zone) == 'a time zone is an IANA name such as "Europe/Berlin" or "UTC"'


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/New_York", "Asia/Kathmandu", "Etc/GMT+5", "Pacific/Chatham"])
def test_a_zone_of_the_list_is_taken(zone: str) -> None:
    assert check("* * * * *", zone) is None


FIELDS = [
    st.one_of(
        st.just("*"),
        st.integers(least, most).map(str),
        st.integers(1, most).map("*/{}".format),
        st.lists(st.integers(least, most), min_size=1, max_size=3).map(lambda several: ",".join(map(str, several))),
    )
    for least, most in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
]


@given(
    st.tuples(*FIELDS),
    st.sampled_from(["UTC", BERLIN, "America/St_Johns", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the bounds are naive
)
@settings(deadline=None)
def test_the_next_time_is_after_and_fits(fields: tuple[str, ...], zone: str, after: datetime) -> None:
    cron = " ".join(fields)
    assert check(cron, zone) is None
    due = next_due(cron, zone, after)
    assert due > after
    assert (due.second, due.microsecond, due.tzinfo) == (0, 0, UTC)
    local = due.astimezone(ZoneInfo(zone))
    moved = local.utcoffset() != (due - timedelta(hours=1)).astimezone(ZoneInfo(zone)).utcoffset()
    assert moved or (_fits(fields[0], local.minute, 0) and _fits(fields[1], local.hour, 0))
    assert _fits(fields[3], local.month, 1)
    day, weekday = _fits(fields[2], local.day, 1), _fits(fields[4], local.isoweekday() % 7, 0)
    assert (day and weekday) if "*" in fields[2] + fields[4] else (day or weekday)


def _fits(field: str, value: int, least: int) -> bool:
    if field.startswith("*/"):
        # Sunday is 0 and 7, and every second of 0 to 7 may be either.
        return any((one - least) % int(field[2:]) == 0 for one in ({0, 7} if least == value == 0 else {value}))
    return field == "*" or value in {int(one) for one in field.split(",")}
