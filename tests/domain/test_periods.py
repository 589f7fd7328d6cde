"""Windows of days in a time zone, and the periods that they are told by."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.periods import Granularity, Window, quarter_of
from tests.domain.histories import ZONES, moments

DAY = timedelta(days=1)


def a_window(now: str, days: int, zone: str = "UTC") -> Window:
    return Window.up_to(datetime.fromisoformat(now).replace(tzinfo=UTC), days=days, zone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("granularity", "day", "name"),
    [
        (Granularity.DAILY, date(2026, 11, 22), "2026-11-22"),
        (Granularity.WEEKLY, date(2026, 11, 22), "2026-W47"),
        (Granularity.WEEKLY, date(2026, 11, 23), "2026-W48"),
        (Granularity.WEEKLY, date(2027, 1, 3), "2026-W53"),
        (Granularity.WEEKLY, date(2024, 12, 30), "2025-W01"),
        (Granularity.MONTHLY, date(2026, 11, 22), "2026-11"),
    ],
)
def test_each_day_is_in_one_period(granularity: Granularity, day: date, name: str) -> None:
    assert granularity.period(day) == name


def test_a_window_ends_with_today_and_lists_every_period() -> None:
    window = a_window("2026-11-03T23:59", 5)
    assert window.periods(Granularity.DAILY) == tuple(
        f"2026-{day}" for day in ("10-30", "10-31", "11-01", "11-02", "11-03")
    )
    assert window.periods(Granularity.WEEKLY) == ("2026-W44", "2026-W45")
    assert window.periods(Granularity.MONTHLY) == ("2026-10", "2026-11")
    assert len(a_window("2026-11-03T23:59", 365).days) == 365


@pytest.mark.parametrize(
    ("zone", "now", "start", "end"),
    [
        ("UTC", "2026-11-22T00:00", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("Asia/Kathmandu", "2026-11-22T18:14", "2026-11-21T18:15", "2026-11-22T18:15"),
        ("Asia/Kathmandu", "2026-11-22T18:15", "2026-11-22T18:15", "2026-11-23T18:15"),
        # The day on which clocks go back has 25 hours, that on which they go forward 23.
        ("America/New_York", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("America/New_York", "2026-03-08T12:00", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("Australia/Lord_Howe", "2026-10-03T20:00", "2026-10-03T13:30", "2026-10-04T13:00"),
        # There is no midnight on the day on which clocks go forward at midnight.
        ("Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00", "2026-04-24T21:00"),
    ],
)
def test_a_day_begins_and_ends_at_the_midnights_of_its_zone(zone: str, now: str, start: str, end: str) -> None:
    window = a_window(now, 1, zone)
    assert (f"{window.start:%Y-%m-%dT%H:%M}", f"{window.end:%Y-%m-%dT%H:%M}") == (start, end)


@settings(max_examples=50, deadline=None)
@given(moments(), moments(), st.sampled_from(ZONES), st.integers(1, 365))
def test_a_moment_and_its_quarter_of_an_hour_are_in_the_window_or_not(
    at: datetime, now: datetime, zone: str, days: int
) -> None:
    window = Window.up_to(now, days=days, zone=ZoneInfo(zone))
    day = window.day_of(at)
    assert (day is not None) == (window.start <= at < window.end)
    assert window.day_of(quarter_of(at)) == day
    assert quarter_of(at) <= at < quarter_of(at) + timedelta(minutes=15)
    assert day is None or day in window.days


@settings(max_examples=50, deadline=None)
@given(moments(), st.sampled_from(ZONES), st.integers(1, 365), st.sampled_from(list(Granularity)))
def test_the_periods_of_a_window_are_those_of_its_days(
    now: datetime, zone: str, days: int, granularity: Granularity
) -> None:
    window = Window.up_to(now, days=days, zone=ZoneInfo(zone))
    assert len(window.days) == days
    assert set(window.periods(granularity)) == {granularity.period(day) for day in window.days}
    assert list(window.periods(granularity)) == sorted(window.periods(granularity))


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Africa/Abidjan", "Europe/London"])
def test_a_zones_days_may_be_those_of_utc(zone: str) -> None:
    assert a_window("2026-12-20T12:00", 30, zone).follows_utc
    assert a_window("2026-12-20T12:00", 90, zone).follows_utc == (zone != "Europe/London")
