"""What starts runs in the workflow-runs API: a trigger, and the retry of a run that has ended."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from chalicelib.api.bodies import AnyJson
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.run_rows import RunOut
from chalicelib.api.workflow_runs_api.surface import Body, Tags, api
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import Detail, Invalid, TooLarge
from chalicelib.domain.value import size_of
from chalicelib.services import retries, runs
from chalicelib.services.connections import DEFAULT_CONNECTION

#: In bytes of JSON: 1 MB.
LONGEST_PAYLOAD: Final = 1024 * 1024

Reason = Annotated[str, StringConstraints(max_length=2000)]


class StepOverride(Body):
    """Whether a step is to run in this run."""

    step_ref: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    enabled: bool


class TriggerWorkflow(Body):
    """A run to start."""

    #: Any JSON value, up to 1 MB; reaches the steps as `payload`.
    payload: AnyJson = None
    #: Beside the workflow's own; of the same name, these count.
    tags: Tags = Field(default_factory=dict)
    #: Steps that are not to run: they are skipped, and satisfy what depends on them.
    step_overrides: Annotated[list[StepOverride], Field(max_length=1000)] = Field(default_factory=list)


class RetryRun(Body):
    """A run to make again."""

    #: For the history.
    reason: Reason | None = None


@api.endpoint("POST", "/v1/workflows/{workflow_id}/trigger", scope=Scope.RUNS_TRIGGER, status=201, body=TriggerWorkflow)
def trigger_workflow(caller: Caller, workflow_id: str, body: TriggerWorkflow) -> RunOut:
    """Start a run of a workflow's newest version.

    429 where as many of its runs have not ended as `max_concurrent_runs` allows.
    """
    if size_of(body.payload) > LONGEST_PAYLOAD:
        raise TooLarge(f"payload is over {LONGEST_PAYLOAD} bytes of JSON", field="payload")
    triggered = runs.trigger(
        caller.project_id,
        workflow_id,
        connection_id=DEFAULT_CONNECTION,
        payload=body.payload,
        actor=caller.actor,
        once=None,
        now=caller.now,
        tags=body.tags,
        overrides=_overrides(body.step_overrides),
        run_id=new_run_id(caller, "run"),
    )
    return RunOut.of(triggered.run)


@api.endpoint("POST", "/v1/workflow-runs/{run_id}/retry", scope=Scope.RUNS_TRIGGER, status=201, body=RetryRun)
def retry_run(caller: Caller, run_id: str, body: RetryRun) -> RunOut:
    """Start a run that has ended anew, as a new run of the same version and payload.

    Steps that had completed are carried over with their outputs; everything else is made afresh. The old run stays as
    it is.
    """
    ask = runs.Ask(actor=caller.actor, request_id=caller.request_id, reason=body.reason)
    new_id = new_run_id(caller, "run")
    return RunOut.of(retries.retry(caller.project_id, run_id, new_id=new_id, ask=ask, now=caller.now))


def new_run_id(caller: Caller, noun: str) -> str:
    """Return an id for a run that the request starts: the same one if it is made again under its idempotency key."""
    return caller.once.derived_id(noun) if caller.once is not None else str(uuid.uuid4())


def _overrides(given: list[StepOverride]) -> dict[str, bool]:
    """Return by step whether it is to run; a step that is named twice is refused, since either may be meant."""
    twice = {ref for ref, times in Counter(one.step_ref for one in given).items() if times > 1}
    details = tuple(
        Detail(path=f"step_overrides.{index}.step_ref", message=f"{one.step_ref} is given more than once")
        for index, one in enumerate(given)
        if one.step_ref in twice
    )
    if details:
        raise Invalid(f"step_overrides: {details[0].message}", field=details[0].path, details=details)
    return {one.step_ref: one.enabled for one in given}
