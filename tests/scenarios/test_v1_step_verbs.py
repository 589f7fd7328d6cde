"""Every state of a step with every verb of the workflow-runs API, over HTTP: what is answered, what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.repair import StepVerb
from chalicelib.domain.step import StepStatus
from tests.scenarios.conftest import Web, echoed
from tests.scenarios.scene import Scene
from tests.scenarios.v1_runs import V1Run
from tests.scenarios.v1_states import STEP_STATES

pytestmark = pytest.mark.store

VERBS = ("approve", "reject", "skip", "force-complete", "retry", "replay-subtree")

#: By state: for each of the verbs above what the step becomes, or the status of the refusal.
TABLE: dict[str, tuple[str | int, ...]] = {
    "pending": (400, 400, "skipped", "completed", 400, 409),
    "pending before the run": (400, 400, "skipped", "completed", 400, 409),
    "pending in a paused run": (400, 400, "skipped", "completed", 400, 409),
    "between attempts": (400, 400, "skipped", "completed", 400, 409),
    "waiting for approval": ("completed", "failed", "skipped", "completed", 400, "pending"),
    "waiting for approval, paused": ("completed", "failed", "skipped", "completed", 400, "pending"),
    "waiting for an event": (400, 400, "skipped", "completed", 400, "pending"),
    "asleep": (400, 400, "skipped", "completed", 400, "pending"),
    "waiting for a child": (400, 400, "skipped", "completed", 400, "pending"),
    "running": (400, 400, 400, 400, 400, 409),
    "at a worker": (400, 400, 400, 400, 400, 409),
    "completed": (400, 400, 400, 400, "pending", "pending"),
    "completed, run too": (400, 400, 400, 400, "pending", "pending"),
    "failed": (400, 400, 400, "completed", "pending", "pending"),
    "failed, run too": (400, 400, 400, 400, "pending", "pending"),
    "skipped": (400, 400, 400, 400, "pending", "pending"),
    "skipped by a person": (400, 400, 400, 400, "pending", "pending"),
    "canceled": (400, 400, 400, 400, "pending", "pending"),
    "timed out": (400, 400, 400, 400, "pending", "pending"),
}
TAKEN = [
    (state, verb, cell)
    for state, row in TABLE.items()
    for verb, cell in zip(VERBS, row, strict=True)
    if isinstance(cell, str)
]


def refused_by(state: str) -> dict[str, int]:
    """The verbs that a state refuses, each with its status."""
    return {verb: cell for verb, cell in zip(VERBS, TABLE[state], strict=True) if isinstance(cell, int)}


def last(run: V1Run) -> Any:
    """The newest record of a run's history."""
    return run.get("/history")[-1]


def test_the_table_has_every_verb_every_status_and_every_state() -> None:
    assert set(VERBS) == set(StepVerb)
    assert {status for _, status, _ in STEP_STATES.values()} == set(StepStatus)
    assert TABLE.keys() == STEP_STATES.keys()


@pytest.mark.parametrize("state", TABLE)
def test_what_a_state_refuses_changes_nothing_and_is_on_record(scene: Scene, web: Web, state: str) -> None:
    put, step_status, run_status = STEP_STATES[state]
    at = put(scene, web)
    before, stands = at.run.get(f"/steps/{at.step}"), at.run.get()
    assert (before["status"], stands["status"]) == (step_status, run_status)

    for verb, status in refused_by(state).items():
        answered = at.run.ask(verb, at.step)
        error = answered.json["error"]
        assert answered.status == status, (verb, answered.text)
        assert error["code"] in {"bad_request", "conflict"}
        assert at.step in error["message"] or step_status in error["message"], error
        record = last(at.run)
        assert (record["command"], record["step_ref"], record["outcome"]) == (verb, at.step, "refused")
        assert (record["before"], record["after"], record["refusal"]) == (step_status, step_status, error["message"])
        assert at.run.get(f"/steps/{at.step}") == before
        assert at.run.get() == stands
    web.release()


@pytest.mark.parametrize(("state", "verb", "after"), TAKEN)
def test_what_a_state_takes_is_done_and_on_record(scene: Scene, web: Web, state: str, verb: str, after: str) -> None:
    put, step_status, run_status = STEP_STATES[state]
    at = put(scene, web)
    before = at.run.get(f"/steps/{at.step}")

    answered = at.run.ask(verb, at.step)

    assert answered.status == 200, answered.text
    record = last(at.run)
    assert (record["command"], record["step_ref"], record["outcome"]) == (verb, at.step, "done")
    assert (record["before"], record["after"]) == (step_status, after)
    if verb == "replay-subtree":
        assert answered.json["reset_steps"] == sum(ref in {at.step, "after"} for ref in at.run.statuses())
    else:
        row = answered.json["step_run"]
        assert (row["step_ref"], row["status"]) == (at.step, after)
        assert ("finished_at" in row) == (after != "pending")
        assert row["attempt"] == before["attempt"] + (after == "pending")
    web.answer = echoed
    scene.settle()
    if run_status not in {"running", "pending", "paused"}:
        assert at.run.status in {"running", "completed", "failed"}
