"""The analytics tab over HTTP: what runs of any API came to, in whose days one likes; and what is refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.scenarios.scene import Deployed, Scene, a_chain, a_wait
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import V1Run, v1_run

pytestmark = pytest.mark.store

ZONES = ("UTC", "Asia/Kathmandu", "America/New_York")
#: What a query gets wrong, and the words that it is refused with.
WRONG = [
    ({"days": "0"}, "days must be at least 1"),
    ({"days": "366"}, "days must be at most 365"),
    ({"days": "1.5"}, "days must be a whole number"),
    ({"granularity": "hourly"}, "granularity must be daily, weekly or monthly"),
    ({"timezone": "Mars/Olympus"}, "timezone must be an IANA time zone"),
]


def ask(scene: Scene, workflow_id: str, **query: str) -> Response:
    return scene.client.get(f"/api/v1/workflows/analytics?{urlencode({'id': workflow_id, **query})}")


def analytics(scene: Scene, workflow_id: str, **query: str) -> Any:
    answered = ask(scene, workflow_id, **query)
    assert answered.status == 200, answered.text
    assert answered.json.keys() == {"data"}
    return answered.json["data"]


def another(run: V1Run, **body: Json) -> V1Run:
    """Start one more run of the same workflow."""
    started = run.scene.client.post(f"/v1/workflows/{run.workflow_id}/trigger", body)
    assert started.status == 201, started.text
    run.scene.settle()
    return V1Run(scene=run.scene, id=started.json["id"], workflow_id=run.workflow_id)


def test_runs_are_counted_as_they_end_and_not_while_they_are_open_again(scene: Scene) -> None:
    first = v1_run(scene, a_step("ok", step_type="approval", approval_approvers=["*"]), a_step("then", "ok"))
    done, canceled = another(first), another(first)
    first.do("reject", "ok", reason="no")
    done.do("approve", "ok")
    canceled.do("cancel")
    # As it may be midnight by now, of two days.
    found = analytics(scene, first.workflow_id, days="2")
    kpis = found["kpis"]
    assert (kpis["totalRuns"], kpis["successRate"]) == (3, 0.5)
    assert 0 < kpis["averageDurationMs"] < 60_000
    assert 0 < kpis["p95DurationMs"] < 60_000
    assert kpis["totalCostUsd"] > 0
    assert kpis["averageCostUsd"] == pytest.approx(kpis["totalCostUsd"] / 3)
    [aws] = found["costBreakdown"]
    assert aws == {"tool": "aws", "model": None, "costUsd": kpis["totalCostUsd"], "inputTokens": 0, "outputTokens": 0}
    assert found["relatedEntities"] == {"personas": 0, "issues": 0, "learningVersions": 0}
    canceled.do("retry", "ok")
    assert analytics(scene, first.workflow_id, days="2")["kpis"]["totalRuns"] == 2
    canceled.do("approve", "ok")
    over_time = analytics(scene, first.workflow_id, days="2")["runsOverTime"]
    assert sum(period["completed"] for period in over_time) == 2
    assert sum(period["total"] for period in over_time) == 3


def test_the_window_is_whole_in_any_zone_and_granularity(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait()))
    run = scene.start(workflow)
    scene.settle()
    scene.told(run, "go")
    for zone in ZONES:
        check_window(scene, workflow, zone)


def check_window(scene: Scene, workflow: Deployed, zone: str) -> None:
    periods = {
        granularity: analytics(scene, workflow.id, days="30", granularity=granularity, timezone=zone)
        for granularity in ("daily", "weekly", "monthly")
    }
    for found in periods.values():
        assert sum(period["completed"] for period in found["runsOverTime"]) == 1
        rates = {period["period"]: period["rate"] for period in found["successRateSeries"]}
        assert list(rates) == [period["period"] for period in found["runsOverTime"]]
        assert sum(rates.values()) == 1
    assert len(periods["daily"]["runsOverTime"]) == 30
    assert len(periods["weekly"]["runsOverTime"]) in {5, 6}
    assert len(periods["monthly"]["runsOverTime"]) in {1, 2}
    assert analytics(scene, workflow.id, timezone=zone) == periods["daily"]


def test_a_workflow_without_runs_shows_zeros(scene: Scene) -> None:
    found = analytics(scene, scene.deploy(a_chain(a_wait())).id, days="365")
    assert set(found["kpis"].values()) == {0}
    assert len(found["runsOverTime"]) == len(found["successRateSeries"]) == 365
    assert {period["total"] for period in found["runsOverTime"]} == {0}


def test_what_cannot_be_asked_is_refused_by_its_name(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait()))
    for query, words in WRONG:
        refused = ask(scene, workflow.id, **query)
        assert refused.status == 400, query
        told = refused.json["error"]
        assert (told["code"], told["field"]) == ("VALIDATION", *query)
        assert told["message"].startswith(words)


def test_a_deleted_workflow_has_no_analytics(scene: Scene) -> None:
    workflow = scene.deploy(a_chain(a_wait()))
    assert scene.client.send("DELETE", workflow.path).status in {200, 204}
    for id_ in (workflow.id, "nowhere", "a#b"):
        refused = ask(scene, id_)
        assert (refused.status, refused.json["error"]["code"]) == (404, "NOT_FOUND")
