"""A run's row in the workflow-runs API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.api.workflow_runs_api.run_rows import LONGEST_LISTED, RunOut
from chalicelib.api.workflow_runs_api.surface import api
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepError
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import outside
from chalicelib.services.values import Values

NOW = datetime(2026, 11, 22, 7, 0, 0, 123000, tzinfo=UTC)
MINIMAL = Run(
    id="r-1",
    project_id="p",
    workflow_id="wf",
    version_id="v1",
    version=3,
    connection_id="conn_default",
    status=RunStatus.PENDING,
    triggered_by="api",
    created_by="ada",
    created_at=NOW,
    updated_at=NOW,
)
WHOLE = replace(
    MINIMAL,
    status=RunStatus.CANCELED,
    started_at=NOW,
    finished_at=NOW,
    expires_at=NOW,
    payload={"n": None},
    error=StepError(code="canceled", message="canceled by user"),
    tags={"team": "a"},
    max_parallel_steps=2,
    parent_run_id="r-0",
    parent_step="each.0.call:1:2",
    retry_of_run_id="r-2",
)


@pytest.fixture(autouse=True)
def values() -> Iterator[Values]:
    """Large values in memory."""
    payloads = FakePayloadStore()
    with outside.replaced(replace(outside.current(), payloads=payloads)):
        yield Values(project_id="p", payloads=payloads)


def shown(row: RunOut) -> Any:
    """What is sent."""
    return json.loads(sent(row))


def sent(row: RunOut) -> str:
    """The row as text."""
    return row.model_dump_json(exclude_none=api.dialect.omits_none)


def test_a_row_has_the_nineteen_fields_of_the_page() -> None:
    assert shown(RunOut.of(WHOLE)) == {
        "id": "r-1",
        "workflow_id": "wf",
        "project_id": "p",
        "status": "canceled",
        "triggered_by": "api",
        "workflow_version": 3,
        "max_parallel_steps": 2,
        "payload": {"n": None},
        "error": "canceled by user",
        "started_at": "2026-11-22T07:00:00.123Z",
        "finished_at": "2026-11-22T07:00:00.123Z",
        "expires_at": "2026-11-22T07:00:00.123Z",
        "retry_of_run_id": "r-2",
        "parent_workflow_run_id": "r-0",
        "parent_step_run_id": "r-0:each.0.call",
        "tags": {"team": "a"},
        "workflow_version_id": "v1",
        "created_by": "ada",
        "created_at": "2026-11-22T07:00:00.123Z",
    }
    assert len(RunOut.model_fields) == 19


def test_what_there_is_nothing_to_say_of_is_left_out() -> None:
    absent = {"payload", "error", "started_at", "finished_at", "expires_at", "retry_of_run_id"}
    absent |= {"parent_workflow_run_id", "parent_step_run_id"}
    assert RunOut.model_fields.keys() - shown(RunOut.of(MINIMAL)).keys() == absent


def test_a_row_by_itself_has_its_payload_although_it_lies_elsewhere(values: Values) -> None:
    long = "x" * 100_000
    run = replace(MINIMAL, payload=values.kept(long))
    assert run.payload != long
    assert shown(RunOut.of(run))["payload"] == long


@pytest.mark.parametrize(
    ("length", "there"), [(LONGEST_LISTED - 2, True), (LONGEST_LISTED - 1, False), (100_000, False)]
)
def test_a_row_in_a_list_has_a_payload_that_is_short(values: Values, length: int, *, there: bool) -> None:
    run = replace(MINIMAL, payload=values.kept("x" * length))
    assert ("payload" in shown(RunOut.listed(run))) is there


def test_the_longest_list_stays_within_lambdas_answer() -> None:
    # A quotation mark is escaped in the row and, with its backslash, in Lambda's own JSON.
    tags = {f"{number}{'𐍈' * 62}": "𐍈" * 256 for number in range(20)}
    run = replace(WHOLE, payload='"' * (LONGEST_LISTED // 2 - 1), tags=tags)
    rows = f"[{','.join([sent(RunOut.listed(run))] * 100)}]"
    assert len(json.dumps({"statusCode": 200, "body": rows}, ensure_ascii=False).encode()) < 6 * 1024 * 1024
