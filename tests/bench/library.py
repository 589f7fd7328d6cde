"""Lists of workflows in projects with a few workflows and with many: what a page asks for, in units and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from chalicelib.domain.workflow import Outline, Workflow, WorkflowKind
from chalicelib.store import transactions
from chalicelib.store.workflow_items import WorkflowItem
from infra.local import LocalStack
from tests.bench.client import Client
from tests.bench.scenarios import Scenario, Timed

FEW: Final = 10
MANY: Final = 10_000
#: Rows that are asked for; with ``FEW`` a page of many can be compared row by row with all there are of few.
PAGE: Final = 50
#: Pages of one go.
_PAGES: Final = 20
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Library:
    """The first page of a project's workflows, asked for again and again."""

    steps = _PAGES

    def __init__(self, count: int, limit: int) -> None:
        self._count, self._limit = count, limit

    def prepare(self, stack: LocalStack, until: ExitStack) -> None:
        project_id = f"proj_library_{self._count}"
        key = stack.add_project(project_id)
        self._client = until.enter_context(Client(stack.url, key))
        self._path = f"/api/v1/workflows/list?limit={self._limit}"
        if not self._client.get(self._path)["data"]:
            transactions.put_many(WorkflowItem.of(_workflow(project_id, number)) for number in range(self._count))
            # The key has been read too long ago by now: that read is not the list's.
            self._client.get(self._path)

    def go(self) -> Timed:
        began, cpu = time.perf_counter(), time.process_time()
        self._pages = [self._client.get(self._path) for _ in range(_PAGES)]
        took = time.perf_counter() - began
        return Timed(whole=took, driving=took, cpu=time.process_time() - cpu)

    def check(self) -> None:
        rows = min(self._count, self._limit)
        assert all(len(page["data"]) == rows for page in self._pages)


def _workflow(project_id: str, number: int) -> Workflow:
    """Return a workflow as it would lie there had somebody saved it: of two steps, never run."""
    at = _FIRST + timedelta(seconds=number)
    return Workflow(
        id=f"bench-{number:06d}-{project_id}",
        project_id=project_id,
        name=f"Workflow {number:06d}",
        description="",
        kind=WorkflowKind.WORKFLOW,
        current_version=1,
        created_at=at,
        updated_at=at,
        outline=Outline(step_count=2, tools=("claude",)),
    )


def name(count: int, limit: int) -> str:
    """Return what a list's scenario is called."""
    return f"library-{count}" if limit == PAGE else f"library-{count}-{limit}"


def _maker(count: int, limit: int) -> Callable[[str], Scenario]:
    return lambda _url: Library(count, limit)


#: By name, as the other scenarios are.
LIBRARIES: Final[Mapping[str, Callable[[str], Scenario]]] = MappingProxyType(
    {name(count, limit): _maker(count, limit) for count, limit in ((FEW, PAGE), (MANY, FEW), (MANY, PAGE))}
)
