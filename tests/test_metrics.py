"""Metrics: one line an invocation, of what is above zero, with one dimension; each counted where it became true."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import metrics
from chalicelib.domain.access import Actor
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.gateways.errors import Unavailable
from chalicelib.metrics import Metric
from chalicelib.services import bulk, starts, verbs, waking
from chalicelib.services.bulk import Done
from chalicelib.services.verbs import Ask
from chalicelib.workers.invocations import InvocationFailed, invoked
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import Crash, House, a_call, a_house, a_line
from tests.store.builders import NOW, a_run, later

CONTEXT = SimpleNamespace(aws_request_id="q1", memory_limit_in_mb="1024", get_remaining_time_in_millis=lambda: 1000)

#: Returns what has been printed since it was last asked, line by line.
Printed = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Stepwell")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stepwell-test")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def counted(line: dict[str, Any]) -> dict[str, float]:
    """Return a line's metrics, by name."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: sum(line[metric["Name"]]) for metric in directive["Metrics"]}


def test_an_invocation_is_one_line_of_sums_with_the_service_alone_as_dimension(printed: Printed) -> None:
    with invoked(CONTEXT):
        metrics.count(Metric.RUNS_STARTED)
        metrics.count(Metric.RUNS_STARTED, 2)
        metrics.count(Metric.STEPS_FAILED, 0)
        with metrics.reported(), ThreadPoolExecutor() as pool:
            pool.submit(contextvars.copy_context().run, metrics.count, Metric.WAKE_UPS_LOST).result()
    [line] = printed()
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], line["service"]) == (
        "Stepwell",
        [["service"]],
        "stepwell-test",
    )
    assert {metric["Unit"] for metric in directive["Metrics"]} == {"Count"}
    assert counted(line) == {"RunsStarted": 3, "WakeUpsLost": 1}


def test_an_invocation_in_which_nothing_was_counted_prints_nothing(printed: Printed) -> None:
    with invoked(CONTEXT):
        metrics.count(Metric.OVERDUE_RUNS, 0)
    metrics.count(Metric.OVERDUE_RUNS)
    assert printed() == []


def test_what_was_counted_before_an_invocation_failed_is_reported(printed: Printed) -> None:
    def fails() -> None:
        with invoked(CONTEXT):
            metrics.count(Metric.RUNS_FAILED)
            raise ValueError

    with pytest.raises(InvocationFailed):
        fails()
    assert [counted(line) for line in printed()] == [{"RunsFailed": 1}]


def test_the_namespace_is_stepwells_where_the_environment_names_none(
    printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    with metrics.reported():
        metrics.count(Metric.RUNS_FAILED)
    assert printed()[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Stepwell"


def test_a_verb_on_many_is_counted_with_the_request_that_asks_for_it(printed: Printed) -> None:
    def act(id_: str) -> Done:
        metrics.count(Metric.RUNS_CANCELED)
        return Done(id=id_)

    with metrics.reported():
        bulk.each([f"run-{index}" for index in range(5)], act, noun="Run")
    assert [counted(line) for line in printed()] == [{"RunsCanceled": 5}]


class TestRuns:
    """What becomes of runs, on a real table."""

    @pytest.fixture
    def house(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
        return a_house(table, monkeypatch)

    def test_a_run_is_counted_when_it_is_recorded_and_not_when_it_was_there(
        self, house: House, printed: Printed
    ) -> None:
        def launch(run: Run) -> None:
            with metrics.reported():
                starts.launch(run, settings=WorkflowSettings(), now=NOW, outside=house.outside)

        run = a_run()
        launch(run)
        launch(replace(run, created_at=later(1)))
        assert [counted(line) for line in printed()] == [{"RunsStarted": 1}]

    def test_a_start_whose_first_wake_up_is_lost_counts_that(
        self, house: House, printed: Printed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(_run_id: str) -> None:
            raise Unavailable("Lambda: Throttling")

        monkeypatch.setattr(house.invoker, "drive", down)
        with metrics.reported():
            waking.wake(a_run(status=RunStatus.RUNNING), now=NOW, outside=house.outside)
        assert [counted(line) for line in printed()] == [{"WakeUpsLost": 1}]

    def test_each_end_of_a_run_has_its_metric(self, house: House, printed: Printed) -> None:
        fine = a_definition([a_step("a", config={"value": 1})])
        bad = a_line(a_call("a"), a_step("b", config={"value": 1}))
        house.answers = lambda *_: 400
        ask = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")
        with metrics.reported():
            house.settle(house.start(fine))
            house.settle(house.start(bad))
            house.settle(house.start(fine, expires_at=house.clock.now()))
            canceled = house.start(fine, invoked=False)
            for _ in range(2):
                verbs.terminate("p", canceled, ask=ask, now=house.clock.now(), outside=house.outside, clock=house.clock)
        [line] = printed()
        ends = {"RunsCompleted": 1, "RunsFailed": 1, "RunsTimedOut": 1, "RunsCanceled": 1}
        assert counted(line) == {**ends, "StepsFailed": 1}

    def test_an_attempt_whose_invocation_died_is_counted_by_the_one_that_makes_it_again(
        self, house: House, printed: Printed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies_twice(_key: str, nth: int) -> int:
            if nth < 3:
                raise Crash
            return 200

        house.answers = dies_twice
        with metrics.reported():
            house.settle(house.start(a_definition([a_call("a")])))
        assert (house.sent["a"], house.deaths) == (3, 2)
        assert [counted(line) for line in printed()] == [{"AttemptsLost": 2, "RunsCompleted": 1}]

    def test_a_step_that_is_lost_too_often_is_a_lost_attempt_and_a_failed_step(
        self, house: House, printed: Printed
    ) -> None:
        def dies(_key: str, _nth: int) -> int:
            raise Crash

        house.answers = dies
        with metrics.reported():
            run = house.settle(house.start(a_definition([a_call("a")])))
        assert run.status is RunStatus.FAILED
        assert [counted(line) for line in printed()] == [{"AttemptsLost": 3, "StepsFailed": 1, "RunsFailed": 1}]

    def test_an_invocation_that_is_made_again_counts_no_end_twice(
        self, house: House, printed: Printed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        definition = a_definition([a_step("a", config={"value": 1})])
        run_id = house.start(definition)
        with metrics.reported():
            house.settle(run_id)
            house.invoker.drive(run_id)
            house.drain()
        assert [counted(line) for line in printed()] == [{"RunsCompleted": 1}]
