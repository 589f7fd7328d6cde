"""Workflows that start by themselves, over HTTP: saved with a schedule, started by the sweep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.store import runs, workflows
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, revised, saved

pytestmark = pytest.mark.store


def make_due(workflow: Any) -> None:
    """Have the schedule's next time be over."""
    stored = workflows.load(workflow["id"])
    assert stored is not None
    workflows.set_due(stored, datetime.now(UTC) - timedelta(minutes=3))


def swept(scene: Scene) -> None:
    scene.stack.invoke("sweep")
    scene.settle()


def triggers(workflow: Any) -> list[str]:
    """What started the workflow's runs."""
    page = runs.page_of_workflow(workflow["id"], status=None, cursor=None, limit=50)
    return [run.triggered_by for run in page.items]


def test_a_schedule_starts_one_run_for_each_time(scene: Scene) -> None:
    workflow = saved(scene, cron="*/5 * * * *", cron_timezone="Europe/Berlin")
    swept(scene)
    assert triggers(workflow) == []
    make_due(workflow)
    swept(scene)
    swept(scene)
    assert triggers(workflow) == ["schedule"]
    (row,) = scene.client.get(f"/api/workflows/{workflow['id']}/runs").json["data"]
    assert (row["status"], row["output"]) == ("complete", "only!")


def test_a_schedule_that_skips_waits_for_the_run_before(scene: Scene) -> None:
    wait = a_step("w", step_type="wait_for_event", event_key="k")
    workflow = saved(scene, wait, cron="0 * * * *", skip_if_running=True)
    for _ in range(2):
        make_due(workflow)
        swept(scene)
    assert triggers(workflow) == ["schedule"]


def test_a_schedule_that_is_switched_off_starts_nothing(scene: Scene) -> None:
    workflow = saved(scene, cron="0 * * * *")
    make_due(workflow)
    revised(scene, workflow, enabled=False)
    swept(scene)
    assert triggers(workflow) == []
