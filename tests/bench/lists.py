"""Lists of runs: a page of 50, of a hundred runs and of a hundred thousand, of all statuses and of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from chalicelib.domain.run import Run, RunStatus
from chalicelib.store import keys, table, times, transactions
from chalicelib.store.run_items import RunItem
from infra.local import LocalStack
from tests.bench.client import Client
from tests.bench.scenarios import Scenario, Timed

FEW: Final = 100
MANY: Final = 100_000
#: Pages of one go.
_PAGES: Final = 20
_ROWS: Final = 50
_BATCH: Final = 25
_WRITERS: Final = 4
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Listing:
    """Pages of a project's runs, asked for one after the other."""

    steps = _PAGES

    def __init__(self, count: int, status: RunStatus | None) -> None:
        self._count, self._query = count, f"&status={status}" if status is not None else ""

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        project_id = f"proj_bench_{self._count}"
        key = stack.add_project(project_id)
        self._client = until.enter_context(Client(stack.url, key))
        self._path = f"/v1/workflow-runs?project_id={project_id}&limit={_ROWS}{self._query}"
        if not self._client.get(self._path):
            _put_runs(project_id, self._count)
            # The key has been read too long ago by now: that read is not the list's.
            self._client.get(self._path)

    def go(self) -> Timed:
        began, cpu = time.perf_counter(), time.process_time()
        self._rows = [self._client.get(self._path) for _ in range(_PAGES)]
        took = time.perf_counter() - began
        return Timed(whole=took, driving=took, cpu=time.process_time() - cpu)

    def check(self) -> None:
        assert all(len(rows) == _ROWS for rows in self._rows)


def _put_runs(project_id: str, count: int) -> None:
    """Put runs that have ended, half of them so and half so, as they would lie there had they run."""
    batches = ([*range(start, min(start + _BATCH, count))] for start in range(0, count, _BATCH))
    one = _an_item(project_id)

    def put(numbers: list[int]) -> None:
        requests = [{"PutRequest": {"Item": _item(one, number)}} for number in numbers]
        unwritten = table.call("BatchWriteItem", {"RequestItems": {table.connection().table_name: requests}})
        assert not unwritten.get("UnprocessedItems")

    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(put, batches):
            pass


def _an_item(project_id: str) -> Mapping[str, Any]:
    run = Run(
        id="run",
        project_id=project_id,
        workflow_id=f"wf_{project_id}",
        version_id="wfv_1",
        version=1,
        connection_id="conn_default",
        status=RunStatus.COMPLETED,
        triggered_by="api",
        created_by="bench",
        created_at=_FIRST,
        updated_at=_FIRST,
        started_at=_FIRST,
        finished_at=_FIRST,
    )
    raw: Mapping[str, Any] = transactions.put(RunItem.of(run)).arguments["Item"]
    return raw


def _item(one: Mapping[str, Any], number: int) -> dict[str, Any]:
    id_, created_at = f"bench-{number:06d}", _FIRST + timedelta(seconds=number)
    # A page of each is as full in a hundred runs as in a hundred thousand.
    status = RunStatus.COMPLETED if number % FEW <= FEW // 2 else RunStatus.FAILED
    return {
        **one,
        "pk": {"S": f"{keys.run(id_).pk}{one['project_id']['S']}"},
        "status": {"S": status.value},
        "list_key": {"S": keys.listed_run(status, created_at, f"{id_}{one['project_id']['S']}")},
        "created_at": {"S": times.text_of(created_at)},
    }


def name(count: int, status: RunStatus | None) -> str:
    """Return what a list's scenario is called."""
    return f"list-{count}" if status is None else f"list-{count}-{status}"


def _maker(count: int, status: RunStatus | None) -> Callable[[str], Scenario]:
    return lambda _url: Listing(count, status)


#: By name, as the other scenarios are.
LISTS: Final[Mapping[str, Callable[[str], Scenario]]] = MappingProxyType(
    {name(count, status): _maker(count, status) for count in (FEW, MANY) for status in (None, RunStatus.COMPLETED)}
)
