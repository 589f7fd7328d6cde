"""Whether a failed attempt is made again, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.retry import JITTER, Backoff, RetryPolicy, retry_after
from tests.domain.building import seconds

ROUNDING = timedelta(microseconds=1)


def a_policy(backoff: Backoff = Backoff.CONSTANT, *, limit: int = 100, longest: float = 3600) -> RetryPolicy:
    return RetryPolicy(limit=limit, delay=seconds(10), backoff=backoff, longest=seconds(longest))


def assert_about(pause: timedelta | None, expected: float) -> None:
    assert pause is not None
    assert seconds(expected * (1 - JITTER)) - ROUNDING <= pause <= seconds(expected * (1 + JITTER)) + ROUNDING


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff.CONSTANT, [10, 10, 10, 10]),
        (Backoff.LINEAR, [10, 20, 30, 40]),
        (Backoff.EXPONENTIAL, [10, 20, 40, 80]),
    ],
)
def test_the_delay_grows_with_each_failure(backoff: Backoff, delays: list[float]) -> None:
    for failures, expected in enumerate(delays, start=1):
        assert_about(retry_after(a_policy(backoff), failures=failures, seed="s"), expected)


@pytest.mark.parametrize("backoff", list(Backoff))
@pytest.mark.parametrize("failures", [1, 50, 5000])
def test_no_delay_is_longer_than_the_longest_but_for_the_jitter(backoff: Backoff, failures: int) -> None:
    pause = retry_after(a_policy(backoff, limit=9999, longest=9), failures=failures, seed="s")
    assert_about(pause, 9)


def test_there_are_as_many_retries_as_the_limit() -> None:
    granted = [retry_after(a_policy(limit=2), failures=failures, seed="s") is not None for failures in (1, 2, 3)]
    assert granted == [True, True, False]


def test_without_a_policy_there_is_no_retry() -> None:
    assert retry_after(RetryPolicy(), failures=1, seed="s") is None


@given(st.text())
def test_the_jitter_is_within_a_fifth_and_the_same_for_the_same_seed(seed: str) -> None:
    pause = retry_after(a_policy(), failures=1, seed=seed)
    assert_about(pause, 10)
    assert pause == retry_after(a_policy(), failures=1, seed=seed)


def test_the_jitter_spreads_runs_over_the_whole_fifth() -> None:
    pauses = [retry_after(a_policy(), failures=1, seed=str(number)) or seconds(0) for number in range(500)]
    assert min(pauses) < seconds(8.2)
    assert max(pauses) > seconds(11.8)
    assert len(set(pauses)) > 490


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(60, seconds(60)), (7200, seconds(3600))],
)
def test_what_the_far_end_asks_for_is_honoured_up_to_the_longest(asked: float, expected: timedelta) -> None:
    assert retry_after(a_policy(), failures=1, seed="s", asked=seconds(asked)) == expected


@pytest.mark.parametrize("asked", [0, 1])
def test_the_far_end_cannot_ask_for_less_than_the_policy(asked: float) -> None:
    assert_about(retry_after(a_policy(), failures=1, seed="s", asked=seconds(asked)), 10)


def test_the_far_end_cannot_ask_for_more_attempts() -> None:
    assert retry_after(a_policy(limit=0), failures=1, seed="s", asked=seconds(1)) is None
