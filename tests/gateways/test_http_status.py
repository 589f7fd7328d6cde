"""Which statuses fail a call, and for how long a far end puts us off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.http import status_failure
from chalicelib.gateways.http_requests import HttpResponse

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def the_failure_of(status: int, retry_after: str | None = None) -> CallFailed | None:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return status_failure(HttpResponse(status=status, headers=headers, body=None), now=NOW)


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_a_status_below_400_is_no_failure(status: int) -> None:
    assert the_failure_of(status) is None


@pytest.mark.parametrize("status", range(400, 600))
def test_a_failing_status_is_retried_unless_it_is_the_requests_own_fault(status: int) -> None:
    failure = the_failure_of(status)
    assert failure is not None
    assert (failure.code, str(status) in failure.message) == ("http_status", True)
    assert failure.retryable == (status >= 500 or status in {408, 425, 429})


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 12:01:30 -0000", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("99999999999999999999", 86_400.0),
        ("Sun, 22 Nov 2099 11:00:00 GMT", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_honoured_in_seconds_and_as_a_date(said: str, seconds: float | None) -> None:
    failure = the_failure_of(503, said)
    assert failure is not None
    assert failure.retry_after == seconds


def test_retry_after_means_nothing_where_there_is_no_retry() -> None:
    failure = the_failure_of(404, "120")
    assert failure is not None
    assert failure.retry_after is None
