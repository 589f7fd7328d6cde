"""The sweep's handler: what it reports."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.services import schedules, sweep, trash
from chalicelib.services.sweep import Swept
from chalicelib.workers import sweep as worker


def test_the_sweep_reports_overdue_runs_scheduled_ones_and_what_it_still_removes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_that_finds(monkeypatch, overdue=2, started=3, unfinished=1)
    [line] = reported(capsys)
    told = {"OverdueRuns": [2.0], "ScheduledRuns": [3.0], "UnfinishedPurges": [1.0]}
    assert told.items() <= line.items()


def test_a_sweep_that_finds_nothing_reports_nothing_so_that_an_idle_stack_pays_for_no_metric(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_that_finds(monkeypatch, overdue=0, started=0, unfinished=0)
    assert reported(capsys) == []


def sweep_that_finds(monkeypatch: pytest.MonkeyPatch, *, overdue: int, started: int, unfinished: int) -> None:
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setattr(worker, "current", lambda: None)
    monkeypatch.setattr(sweep, "sweep", lambda **_: Swept(overdue=overdue, driven=1))
    monkeypatch.setattr(schedules, "fire", lambda **_: started)
    monkeypatch.setattr(trash, "go_on_purging", lambda: unfinished)
    worker.handle({}, SimpleNamespace(aws_request_id="r1", memory_limit_in_mb="1024"))


def reported(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was printed for CloudWatch, line by line."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
