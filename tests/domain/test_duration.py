from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.duration import UNITS, describe, parse_duration, parse_timestamp
from chalicelib.domain.value import Json


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, timedelta(0)),
        (10, timedelta(seconds=10)),
        (0.25, timedelta(milliseconds=250)),
        ("10 seconds", timedelta(seconds=10)),
        ("1 second", timedelta(seconds=1)),
        ("500 ms", timedelta(milliseconds=500)),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5 minutes", timedelta(seconds=90)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("5 mins", timedelta(minutes=5)),
        ("1 hour", timedelta(hours=1)),
        ("2h", timedelta(hours=2)),
        ("2 hrs", timedelta(hours=2)),
        ("2 days", timedelta(days=2)),
        ("1d", timedelta(days=1)),
        ("3 weeks", timedelta(weeks=3)),
        ("1 month", timedelta(days=30)),
        ("1 year", timedelta(days=365)),
        ("  2 Days ", timedelta(days=2)),
        ("1 hour 30 minutes", timedelta(minutes=90)),
        ("1h, 30m", timedelta(minutes=90)),
    ],
)
def test_a_duration_is_read_as_it_is_meant(written: Json, meant: timedelta) -> None:
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (None, "number of seconds or text"),
        (True, "number of seconds or text"),
        ([], "number of seconds or text"),
        ({}, "number of seconds or text"),
        ("", "number of seconds or text"),
        ("soon", "number of seconds or text"),
        ("10", "number of seconds or text"),
        ("-1 seconds", "number of seconds or text"),
        ("10 seconds later", "number of seconds or text"),
        ("1h30", "number of seconds or text"),
        ("1_0 s", "number of seconds or text"),
        ("1 second " * 50, "number of seconds or text"),
        ("10 fortnights", '"fortnights" is no unit of time'),
        (-1, "not negative"),
        (-0.5, "not negative"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (10**30, "too long"),
        (10**400, "too long"),
        ("999999999999999 years", "too long"),
    ],
)
def test_what_is_no_duration_is_refused_in_a_plain_sentence(written: Json, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(written)


def test_a_duration_may_be_as_long_as_the_longest_and_no_longer() -> None:
    year = timedelta(days=365)
    assert parse_duration("365 days", longest=year) == year
    with pytest.raises(ValueError, match="365 days at most"):
        parse_duration("366 days", longest=year)


@given(st.integers(0, 10_000), st.sampled_from(sorted(UNITS)))
def test_every_unit_multiplies_its_number(number: int, unit: str) -> None:
    assert parse_duration(f"{number} {unit}") == timedelta(seconds=number * UNITS[unit])


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_nothing_but_a_value_error_is_ever_raised(value: Json) -> None:
    for parse in (parse_duration, parse_timestamp):
        with contextlib.suppress(ValueError):
            parse(value)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=365), "365 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=3), "3 hours"),
        (timedelta(seconds=1.5), "1.5 seconds"),
        (timedelta(0), "0 seconds"),
    ],
)
def test_a_duration_is_described_in_its_largest_whole_unit(duration: timedelta, text: str) -> None:
    assert describe(duration) == text


@pytest.mark.parametrize(
    "written",
    ["2026-11-22T09:30:00Z", "2026-11-22T10:30:00+01:00", "2026-11-22T09:30", "2026-11-22 09:30:00", 1_795_339_800],
)
def test_a_moment_is_read_in_utc(written: Json) -> None:
    assert parse_timestamp(written) == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert parse_timestamp(written).tzinfo is UTC


@pytest.mark.parametrize("written", ["tomorrow", "", None, True, [], 10**30, float("nan"), "2026-13-01"])
def test_what_is_no_moment_is_refused(written: Json) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_timestamp(written)
