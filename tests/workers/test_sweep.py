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
    monkeypatch.setattr(worker, "current", lambda: None)
    monkeypatch.setattr(sweep, "sweep", lambda **_: Swept(overdue=2, driven=1))
    monkeypatch.setattr(schedules, "fire", lambda **_: 3)
    monkeypatch.setattr(trash, "go_on_purging", lambda: 1)

    worker.handle({}, SimpleNamespace(aws_request_id="r1", memory_limit_in_mb="1024"))

    told = {"OverdueRuns": [2.0], "ScheduledRuns": [3.0], "UnfinishedPurges": [1.0]}
    assert told.items() <= reported(capsys).items()


def reported(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What was printed for CloudWatch, taken together."""
    found: dict[str, Any] = {}
    for line in capsys.readouterr().out.splitlines():
        found |= json.loads(line)
    return found
