"""Analytics of a workflow: of thirty days and of a year, of a hundred runs and of a hundred thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final

from chalicelib.domain import rollup
from chalicelib.domain.rollup import Rollup
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.usage import ModelUsage, Units
from chalicelib.store import keys, statistics, transactions
from infra.local import LocalStack
from tests.bench.client import Client, publish
from tests.bench.scenarios import Scenario, Timed

FEW: Final = 100
MANY: Final = 100_000
WINDOWS: Final = (30, 365)
#: Answers of one go.
_ANSWERS: Final = 5
_YEAR: Final = max(WINDOWS)
_USED: Final = (
    ModelUsage(tool="claude", model="opus", input_tokens=12_345, output_tokens=678, cost_nano_usd=91_011_121),
    ModelUsage(tool="codex", model="", input_tokens=314, output_tokens=159, cost_nano_usd=265_358),
)


class Analytics:
    """A workflow's analytics, asked for again and again."""

    steps = _ANSWERS

    def __init__(self, count: int, days: int) -> None:
        self._count, self._days = count, days

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        project_id = f"proj_bench_analytics_{self._count}_{self._days}"
        self._client = until.enter_context(Client(stack.url, stack.add_project(project_id)))
        workflow_id = publish(self._client, [{"step_ref": "a", "step_type": "transform", "payload": 1}]).rpartition(
            "/"
        )[2]
        _put_statistics(workflow_id, self._count, datetime.now(UTC))
        self._path = f"/api/v1/workflows/analytics?id={workflow_id}&days={self._days}"
        # The key has been read too long ago by the time that this is measured: that read is not the analytics'.
        self._client.get(self._path)

    def go(self) -> Timed:
        began, cpu = time.perf_counter(), time.process_time()
        self._answers = [self._client.get(self._path)["data"] for _ in range(_ANSWERS)]
        took = time.perf_counter() - began
        return Timed(whole=took, driving=took, cpu=time.process_time() - cpu)

    def check(self) -> None:
        within = sum(_days_ago(number) < self._days for number in range(self._count))
        assert all(one["kpis"]["totalRuns"] == within for one in self._answers)
        assert all(len(one["runsOverTime"]) == self._days for one in self._answers)


def _put_statistics(workflow_id: str, count: int, now: datetime) -> None:
    """Put what so many runs have left on a hundred days of a year, as it would lie there had they ended on them."""
    days: dict[date, list[Rollup]] = {}
    for number in range(count):
        run = _ended(workflow_id, number, now - timedelta(days=_days_ago(number)))
        days.setdefault(run.finished_at.date() if run.finished_at else now.date(), []).append(rollup.of(run))
    places = statistics._places(workflow_id, [(one.tool, one.model) for one in _USED])
    for day, parts in days.items():
        amounts = statistics._amounts(rollup.together(parts), places)
        transactions.make(statistics._addition(keys.statistics_of_day(workflow_id, day), amounts))


def _days_ago(number: int) -> int:
    """Return when a run ended: on the same days, however many there are. A day without any costs less on this DynamoDB.

    AWS charges for an item that is not there as for a small one.
    """
    return number % FEW * _YEAR // FEW


def _ended(workflow_id: str, number: int, at: datetime) -> Run:
    run = Run(
        id=f"run-{number}",
        project_id="proj_bench",
        workflow_id=workflow_id,
        version_id="wfv_1",
        version=1,
        connection_id="conn_default",
        status=RunStatus.FAILED if number % 9 == 0 else RunStatus.COMPLETED,
        triggered_by="api",
        created_by="bench",
        created_at=at,
        updated_at=at,
        finished_at=at,
        units=Units(api_requests=1, invocations=2, lambda_mb_ms=500_000, write_halves=40, read_halves=9),
        usage=_USED,
    )
    return replace(run, started_at=at - timedelta(milliseconds=1 + number * number % 7_654_321))


def name(count: int, days: int) -> str:
    """Return what the scenario of a window is called."""
    return f"analytics-{count}-{days}"


def _maker(count: int, days: int) -> Callable[[str], Scenario]:
    return lambda _url: Analytics(count, days)


#: By name, as the other scenarios are.
ANALYTICS: Final[Mapping[str, Callable[[str], Scenario]]] = MappingProxyType(
    {name(count, days): _maker(count, days) for count in (FEW, MANY) for days in WINDOWS}
)
