"""What analytics cost, held as tests: the same for a window, however many runs there are."""

from __future__ import annotations

import pytest

from infra.local import LocalStack
from tests.bench import analytics
from tests.bench.test_counts import counted

pytestmark = pytest.mark.store


@pytest.mark.parametrize("days", analytics.WINDOWS)
def test_analytics_of_a_window_cost_as_much_however_many_runs_there_are(
    stack: LocalStack, dynamodb_endpoint: str | None, days: int
) -> None:
    if dynamodb_endpoint is None:
        pytest.skip("moto makes its units up")
    few, many = (counted(analytics.Analytics(count, days), stack) for count in (analytics.FEW, 1000))
    assert many.read_units == few.read_units
    assert many.calls == few.calls
