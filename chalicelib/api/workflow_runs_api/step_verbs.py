"""What people do to a step of a run, in the workflow-runs API: approve, reject, skip, force-complete, retry, replay."""

from __future__ import annotations

from typing import Final, Literal

from chalicelib.api.bodies import AnyJson
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.step_rows import StepRunOut
from chalicelib.api.workflow_runs_api.surface import Body, Shown, Time, api
from chalicelib.api.workflow_runs_api.triggers import Reason
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import TooLarge
from chalicelib.domain.value import size_of
from chalicelib.services import repairs, step_pages
from chalicelib.services.repairs import Asked, Repaired
from chalicelib.services.runs import Ask
from chalicelib.services.values import LARGEST_OUTPUT_BYTES

_STEP: Final = "/v1/workflow-runs/{run_id}/steps/{step_ref}"


class ApproveStep(Body):
    """What the approver says."""

    comment: Reason | None = None


class RejectStep(Body):
    """Why it is not approved."""

    #: Becomes part of the step's error.
    reason: Reason | None = None


class SkipStep(Body):
    """Why a step is not to run."""

    #: Becomes the step's error.
    reason: Reason | None = None


class ForceCompleteStep(Body):
    """What a step is to have come to."""

    #: An object, up to 1 MB; becomes the step's output.
    result: dict[str, AnyJson] | None = None


class RetryStep(Body):
    """Why a step is to be made again."""

    #: For the history.
    reason: Reason | None = None


class ReplaySubtree(Body):
    """Why a step and all that comes after it are to be made again."""

    #: For the history.
    reason: Reason | None = None


class DecisionOut(Shown):
    """Who decided an approval, and how."""

    step_ref: str
    status: Literal["approved", "rejected"]
    #: The name of the key that decided.
    approver: str
    decided_at: Time
    comment: str | None = None


class StepChanged(Shown):
    """The step, as the verb has left it."""

    step_run: StepRunOut


class StepDecided(StepChanged):
    """The step, as the decision has left it, and the decision."""

    approval: DecisionOut


class SubtreeReset(Shown):
    """How many steps begin anew."""

    reset_steps: int


@api.endpoint("POST", f"{_STEP}/approve", scope=Scope.RUNS_APPROVE, body=ApproveStep)
def approve_step(caller: Caller, run_id: str, step_ref: str, body: ApproveStep) -> StepDecided:
    """Approve a step that waits for it, and complete it; also while the run is paused, which acts on it when resumed.

    The approver is the key's identity: 400 where the step names others.
    """
    done = repairs.approve(_asked(caller, run_id, step_ref, body.comment), comment=body.comment)
    return _decided(caller, done, "approved", body.comment)


@api.endpoint("POST", f"{_STEP}/reject", scope=Scope.RUNS_APPROVE, body=RejectStep)
def reject_step(caller: Caller, run_id: str, step_ref: str, body: RejectStep) -> StepDecided:
    """Reject a step that waits for approval: it fails, is not tried again, and its `on_failure` applies."""
    done = repairs.reject(_asked(caller, run_id, step_ref, body.reason))
    return _decided(caller, done, "rejected", body.reason)


@api.endpoint("POST", f"{_STEP}/skip", scope=Scope.RUNS_REPAIR, body=SkipStep)
def skip_step(caller: Caller, run_id: str, step_ref: str, body: SkipStep) -> StepChanged:
    """Skip a step that is pending or waiting; what depends on it goes on as if it had completed."""
    return _changed(repairs.skip(_asked(caller, run_id, step_ref, body.reason)))


@api.endpoint("POST", f"{_STEP}/force-complete", scope=Scope.RUNS_REPAIR, body=ForceCompleteStep)
def force_complete_step(caller: Caller, run_id: str, step_ref: str, body: ForceCompleteStep) -> StepChanged:
    """Complete a step that is pending, waiting or failed, in a run that has not ended; what depends on it goes on."""
    if size_of(body.result) > LARGEST_OUTPUT_BYTES:
        raise TooLarge(f"result is over {LARGEST_OUTPUT_BYTES} bytes of JSON", field="result")
    return _changed(repairs.force_complete(_asked(caller, run_id, step_ref, None), result=body.result))


@api.endpoint("POST", f"{_STEP}/retry", scope=Scope.RUNS_REPAIR, body=RetryStep)
def retry_step(caller: Caller, run_id: str, step_ref: str, body: RetryStep) -> StepChanged:
    """Have a step that has ended begin anew, in place, with the steps that did not run because of it.

    A run that has ended is reopened.
    """
    return _changed(repairs.retry(_asked(caller, run_id, step_ref, body.reason)))


@api.endpoint("POST", f"{_STEP}/replay-subtree", scope=Scope.RUNS_REPAIR, body=ReplaySubtree)
def replay_steps(caller: Caller, run_id: str, step_ref: str, body: ReplaySubtree) -> SubtreeReset:
    """Have a step and all that comes after it begin anew, in place; the others keep their outputs.

    A run that has ended is reopened. 409 where one of the steps is running; nothing is changed then.
    """
    done = repairs.replay(_asked(caller, run_id, step_ref, body.reason))
    return SubtreeReset(reset_steps=done.reset)


def _changed(done: Repaired) -> StepChanged:
    return StepChanged(step_run=_row(done))


def _decided(
    caller: Caller, done: Repaired, status: Literal["approved", "rejected"], comment: str | None
) -> StepDecided:
    approval = DecisionOut(
        step_ref=done.step.key,
        status=status,
        approver=caller.actor.name,
        decided_at=done.step.finished_at or caller.now,
        comment=comment,
    )
    return StepDecided(step_run=_row(done), approval=approval)


def _row(done: Repaired) -> StepRunOut:
    return StepRunOut.of(done.run, step_pages.fetched(done.run, done.step))


def _asked(caller: Caller, run_id: str, step_ref: str, reason: str | None) -> Asked:
    ask = Ask(actor=caller.actor, request_id=caller.request_id, reason=reason)
    return Asked(project_id=caller.project_id, run_id=run_id, key=step_ref, ask=ask)
