"""A run told by the steps of its pipeline: iterations as attempts, agents' reports, no more than can be sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.definition import Definition
from chalicelib.domain.pipeline import compile_pipeline
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.run import RunStatus
from chalicelib.domain.step import PastAttempt, Reset, StepError, StepRecord, StepStatus, Wait, WaitKind
from chalicelib.domain.value import Json, Value
from chalicelib.gateways.payloads import FakePayloadStore
from chalicelib.services import definitions, pipeline_runs
from chalicelib.services.pipeline_runs import Attempt, Looked
from chalicelib.services.values import Values
from chalicelib.store import runs
from tests.store.builders import NOW, a_run, later

pytestmark = pytest.mark.usefixtures("table")

#: What an agent's step has waited for.
WAIT = Wait(kind=WaitKind.AGENT)
LOOP: dict[str, Json] = {"cliId": "claude", "loopId": "polish"}
PIPELINE: dict[str, Json] = {
    "pipelineSteps": [
        {"type": "planner", "cliId": "claude", "name": "Plan"},
        {"type": "designer", **LOOP},
        {"type": "checker", **LOOP},
        {"type": "reviewer", "cliId": "claude"},
    ]
}


def report(output: Json, **said: Json) -> Json:
    return {"output": output, "usage": {}, **said}


def a_record(key: str, output: Value = None, **changes: object) -> StepRecord:
    record = StepRecord(
        key=key, status=StepStatus.COMPLETED, attempt=1, started_at=NOW, finished_at=later(1), output=output
    )
    return replace(record, **changes)  # type: ignore[arg-type] # a test names what matters


@pytest.fixture(autouse=True)
def values(payloads: FakePayloadStore) -> Values:
    return Values(project_id="proj_1", payloads=payloads)


def looked(
    monkeypatch: pytest.MonkeyPatch,
    records: Iterable[StepRecord],
    *,
    definition: Definition | None = None,
    **changes: object,
) -> Looked:
    """Return what is told of a run with these records."""
    run = a_run(**{"status": RunStatus.RUNNING, "started_at": NOW, "payload": {"prompt": "draw"}, **changes})
    runs.put(run)
    runs.put_records(run.id, records)
    known = definition or compile_pipeline(PIPELINE)
    monkeypatch.setattr(definitions, "of", lambda *_: known)
    return pipeline_runs.load("proj_1", run.id, now=later(9))


def attempts(told: Looked, ref: str) -> list[tuple[Any, ...]]:
    [step] = [one for one in told.steps if one.ref == ref]
    return [(one.iteration, one.attempt, one.status.value, one.verdict, one.output) for one in step.attempts]


def only(told: Looked, ref: str = "planner_1") -> Attempt:
    [attempt] = next(one.attempts for one in told.steps if one.ref == ref)
    return attempt


def test_each_iteration_is_an_attempt_of_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        a_record("planner_1", report("a plan")),
        a_record("loop_1.0.designer_2", report("first")),
        a_record("loop_1.0.checker_3", report("no", verdict="fail", feedback="larger")),
        a_record("loop_1.0.loop_1_end", status=StepStatus.COMPLETED),
        a_record("loop_1.1.designer_2", report("second")),
    ]
    told = looked(monkeypatch, records)
    shown = [(one.ref, one.name, one.role, one.loop_id, one.status.value) for one in told.steps]
    assert shown == [
        ("planner_1", "Plan", "planner", None, "completed"),
        ("designer_2", "designer", "designer", "polish", "completed"),
        ("checker_3", "checker", "checker", "polish", "pending"),
        ("reviewer_4", "reviewer", "reviewer", None, "pending"),
    ]
    assert attempts(told, "designer_2") == [(1, 1, "completed", None, "first"), (2, 1, "completed", None, "second")]
    assert attempts(told, "checker_3") == [(1, 1, "completed", "fail", "no")]
    assert told.steps[2].attempts[0].feedback == "larger"
    assert attempts(told, "reviewer_4") == []


def test_an_attempt_that_was_made_again_is_told_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = StepError(code="agent_lost", message="not heard of")
    before = PastAttempt(
        attempt=1, generation=1, status=StepStatus.FAILED, started_at=NOW, finished_at=later(1), error=lost
    )
    told = looked(monkeypatch, [a_record("planner_1", report("a plan"), attempt=2, failures=1, attempts=(before,))])
    assert attempts(told, "planner_1") == [(1, 1, "failed", None, None), (1, 2, "completed", None, "a plan")]
    assert told.steps[0].attempts[0].error == lost


def test_a_personas_role_is_that_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = compile_pipeline({"personaPipelineSteps": [{"personaId": "per_1"}, {"personaId": "per_2"}]})
    payload: Json = {"prompt": "p", "personas": {"per_1": {"type": "judge"}}}
    told = looked(monkeypatch, [], definition=definition, payload=payload)
    assert [(one.ref, one.role) for one in told.steps] == [("persona_1", "judge"), ("persona_2", "custom")]


@pytest.mark.parametrize(
    ("output", "shown", "truncated"),
    [
        ("x" * 40_000, "x" * 32_768, True),
        ("x" * 30_000, "x" * 30_000, False),
        ({"a": "x" * 40_000}, None, True),
        ({"a": "x" * 30_000}, {"a": "x" * 30_000}, False),
        (None, None, False),
    ],
)
def test_a_large_output_is_cut_and_its_verdict_told(
    monkeypatch: pytest.MonkeyPatch, values: Values, *, output: Json, shown: Json, truncated: bool
) -> None:
    kept = values.kept(report(output, verdict="pass"))
    attempt = only(looked(monkeypatch, [a_record("planner_1", kept)]))
    assert (attempt.output, attempt.truncated, attempt.verdict) == (shown, truncated, "pass")


def test_no_more_is_told_than_can_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = {**PIPELINE, "maxIterations": 50}
    large = [
        a_record(f"loop_1.{at}.{ref}", report("x" * 32_000)) for at in range(40) for ref in ("designer_2", "checker_3")
    ]
    told = looked(monkeypatch, large, definition=compile_pipeline(pipeline))
    outputs = [one.output for step in told.steps for one in step.attempts]
    assert len(outputs) == 80
    assert sum(isinstance(output, str) for output in outputs) == 2 * 1024 * 1024 // 32_002


def test_not_too_many_large_outputs_are_fetched(
    monkeypatch: pytest.MonkeyPatch, values: Values, payloads: FakePayloadStore
) -> None:
    fetched: list[str] = []
    get = payloads.get

    def noted(project_id: str, digest: str) -> str:
        fetched.append(digest)
        return get(project_id, digest)

    monkeypatch.setattr(payloads, "get", noted)
    large = [a_record(f"loop_1.{at}.designer_2", values.kept(report(f"{at}" + "x" * 40_000))) for at in range(30)]
    told = looked(monkeypatch, large, definition=compile_pipeline({**PIPELINE, "maxIterations": 50}))
    shown = [one.output is not None for one in told.steps[1].attempts]
    assert (len(fetched), shown.count(True), len(shown)) == (20, 20, 30)
    assert all(one.truncated for one in told.steps[1].attempts)


def test_what_a_run_answered_is_shown_up_to_a_megabyte(monkeypatch: pytest.MonkeyPatch, values: Values) -> None:
    for size, truncated in ((900_000, False), (1_100_000, True)):
        answered = values.kept("x" * size)
        told = looked(
            monkeypatch,
            [],
            status=RunStatus.COMPLETED,
            finished_at=later(5),
            output=answered,
            next_check_at=None,
        )
        assert (told.truncated, told.output is None) == (truncated, truncated)


def test_an_iteration_that_a_replay_called_off_tells_of_no_attempt_that_was_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resets = (Reset(generation=2, step="loop_1", subtree=True, reopened=True),)
    records = [
        a_record("planner_1", report("a plan")),
        a_record("loop_1.0.designer_2", report("again"), generation=2, attempt=2),
        a_record("loop_1.0.checker_3", report("yes", verdict="pass"), generation=2, attempt=2),
        a_record("loop_1.1.designer_2", report("of before")),
        a_record("loop_1.1.checker_3", status=StepStatus.FAILED),
    ]
    told = looked(monkeypatch, records, resets=resets)
    designer, checker = told.steps[1:3]
    assert [(one.ref, one.status.value) for one in (designer, checker)] == [
        ("designer_2", "completed"),
        ("checker_3", "completed"),
    ]
    assert [(one.iteration, one.status.value) for one in checker.attempts] == [(1, "completed"), (2, "failed")]


def test_a_run_whose_workflow_is_gone_is_told_by_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        a_record("planner_1", report("a plan")),
        a_record("loop_1", status=StepStatus.WAITING),
        *(a_record(f"loop_1.{at}.designer_2", report(f"{at}", feedback="more"), wait=WAIT) for at in range(12)),
        a_record("loop_1.0.loop_1_end"),
    ]
    run = a_run(status=RunStatus.COMPLETED, workflow_id="wf-gone", finished_at=later(5), next_check_at=None)
    runs.put(run)
    runs.put_records(run.id, records)
    told = pipeline_runs.load("proj_1", run.id, now=later(9))
    assert [(one.ref, one.role, len(one.attempts)) for one in told.steps] == [
        ("designer_2", None, 12),
        ("planner_1", None, 1),
    ]
    attempts = told.steps[0].attempts
    assert [(one.iteration, one.output, one.feedback) for one in attempts] == [
        (at + 1, f"{at}", "more") for at in range(12)
    ]
    for project, name in (("other", run.id), ("proj_1", "nowhere"), ("proj_1", "a#b")):
        with pytest.raises(NotFound, match="Run not found"):
            pipeline_runs.load(project, name, now=NOW)
