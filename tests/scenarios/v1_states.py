"""Runs and steps put into each state that the workflow-runs API knows, for real."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

from chalicelib.domain.value import Json
from tests.gateways.servers import Answer, Asked
from tests.scenarios.conftest import Web
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step, saved
from tests.scenarios.v1_runs import V1Run, v1_run, v1_started, v1_undriven


@dataclass(frozen=True, kw_only=True)
class At:
    """A run, and the step that it is about."""

    run: V1Run
    step: str


def an_approval(ref: str = "gate", *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that anyone may approve."""
    return a_step(ref, *after, **{"step_type": "approval", "approval_approvers": ["*"], **fields})


def a_key_wait(ref: str = "wait", *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that waits for the event key ``paid``."""
    return a_step(ref, *after, step_type="wait_for_event", event_key="paid", **fields)


def a_request(ref: str, web: Web, *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that asks a server on this machine."""
    payload: Json = {"method": "POST", "url": web.url, "body": ref}
    return a_step(ref, *after, step_type="http_request", payload=payload, **fields)


def a_failure(ref: str, *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step that fails at once."""
    return a_step(ref, *after, **{"step_type": "transform", "payload": "{{ payload.a.b | keys(@) }}", **fields})


def held_up(scene: Scene, web: Web, *steps: Json) -> V1Run:
    """A run whose requests are not answered until `web.release` is called."""
    arrived, release = Event(), Event()

    def answer(_: Asked) -> Answer:
        arrived.set()
        assert release.wait(30)
        return Answer(body=json.dumps("late").encode())

    web.answer, web.release = answer, release.set
    run = v1_started(scene, *steps)
    assert arrived.wait(30)
    return run


def _pending(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, an_approval(), a_step("s", "gate")), step="s")


def _pending_before_the_run(scene: Scene, _web: Web) -> At:
    return At(run=v1_undriven(scene, a_step("s"), a_step("after", "s")), step="s")


def _pending_in_a_paused_run(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, an_approval(), a_step("s", "gate"), a_key_wait())
    run.do("pause")
    run.do("approve", "gate")
    return At(run=run, step="s")


def _between_attempts(scene: Scene, web: Web) -> At:
    web.answer = lambda _asked: Answer(status=503)
    run = v1_run(scene, a_request("s", web, retry_max_attempts=3, retry_initial_delay_secs=600))
    return At(run=run, step="s")


def _waiting_for_approval(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, an_approval("s"), a_step("after", "s")), step="s")


def _waiting_for_approval_in_a_paused_run(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, an_approval("s"), a_step("after", "s"))
    run.do("pause")
    return At(run=run, step="s")


def _waiting_for_an_event(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_key_wait("s"), a_step("after", "s")), step="s")


def _asleep(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_step("s", step_type="sleep", sleep_duration_secs=600)), step="s")


def _waiting_for_a_child(scene: Scene, _web: Web) -> At:
    child = saved(scene, an_approval())
    return At(run=v1_run(scene, a_step("s", step_type="sub_workflow", sub_workflow_id=child["id"])), step="s")


def _running(scene: Scene, web: Web) -> At:
    return At(run=held_up(scene, web, a_request("s", web), a_step("after", "s")), step="s")


def _at_a_worker(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_step("s", step_type="job", job_id="ship")), step="s")


def _completed(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_step("s"), a_step("after", "s"), an_approval()), step="s")


def _completed_in_a_run_that_has(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_step("s"), a_step("after", "s")), step="s")


def _failed(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, a_failure("s", on_failure="skip_dependents"), a_step("after", "s"), an_approval())
    return At(run=run, step="s")


def _failed_in_a_run_that_has(scene: Scene, _web: Web) -> At:
    return At(run=v1_run(scene, a_failure("s"), a_step("after", "s")), step="s")


def _skipped(scene: Scene, _web: Web) -> At:
    never: Json = {"type": "eq", "left": 1, "right": 2}
    return At(run=v1_run(scene, a_step("s", condition=never), a_step("after", "s"), an_approval()), step="s")


def _skipped_by_a_person(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, a_key_wait("s"), an_approval())
    run.do("skip", "s", reason="not today")
    return At(run=run, step="s")


def _canceled(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, an_approval("s"), a_step("after", "s"))
    run.do("cancel")
    return At(run=run, step="s")


def _timed_out(scene: Scene, _web: Web) -> At:
    run = v1_run(scene, an_approval("s"), a_step("after", "s"), timeout_secs=1)
    return At(run=run.until("timed_out"), step="s")


#: How a step comes into each state, and the status of the step and of its run that then show.
STEP_STATES: Mapping[str, tuple[Callable[[Scene, Web], At], str, str]] = {
    "pending": (_pending, "pending", "running"),
    "pending before the run": (_pending_before_the_run, "pending", "pending"),
    "pending in a paused run": (_pending_in_a_paused_run, "pending", "paused"),
    "between attempts": (_between_attempts, "pending", "running"),
    "waiting for approval": (_waiting_for_approval, "waiting", "running"),
    "waiting for approval, paused": (_waiting_for_approval_in_a_paused_run, "waiting", "paused"),
    "waiting for an event": (_waiting_for_an_event, "waiting", "running"),
    "asleep": (_asleep, "waiting", "running"),
    "waiting for a child": (_waiting_for_a_child, "waiting", "running"),
    "running": (_running, "running", "running"),
    "at a worker": (_at_a_worker, "running", "running"),
    "completed": (_completed, "completed", "running"),
    "completed, run too": (_completed_in_a_run_that_has, "completed", "completed"),
    "failed": (_failed, "failed", "running"),
    "failed, run too": (_failed_in_a_run_that_has, "failed", "failed"),
    "skipped": (_skipped, "skipped", "running"),
    "skipped by a person": (_skipped_by_a_person, "skipped", "running"),
    "canceled": (_canceled, "canceled", "canceled"),
    "timed out": (_timed_out, "canceled", "timed_out"),
}

#: A state of a step for each status of a run.
RUN_STATES: Mapping[str, str] = {
    "pending": "pending before the run",
    "running": "waiting for an event",
    "paused": "waiting for approval, paused",
    "completed": "completed, run too",
    "failed": "failed, run too",
    "timed_out": "timed out",
    "canceled": "canceled",
}
