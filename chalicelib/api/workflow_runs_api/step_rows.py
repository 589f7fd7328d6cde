"""A step of a run as the workflow-runs API shows it: the published page's fields, those that say nothing left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from chalicelib.api.bodies import AnyJson
from chalicelib.api.workflow_runs_api.surface import Shown, Time
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.step import PastAttempt, StepError, StepStatus, WaitKind, step_run_id
from chalicelib.domain.timeline import Entry
from chalicelib.domain.value import Offloaded


class AttemptOut(Shown):
    """An earlier attempt at a step."""

    attempt: int
    #: A person's retry or replay began a new one.
    generation: int
    status: StepStatus
    #: What it answered; left out where it is over 16 KB.
    output: AnyJson = None
    error: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None

    @classmethod
    def of(cls, attempt: PastAttempt) -> Self:
        """Return what is shown of an attempt; what is large in it has been fetched."""
        return cls(
            attempt=attempt.attempt,
            generation=attempt.generation,
            status=attempt.status,
            output=None if isinstance(attempt.output, Offloaded) else attempt.output,
            error=text_of(attempt.error),
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
        )


class StepRunOut(Shown):
    """A step of a run."""

    #: The run's id and the step's ref.
    id: str
    workflow_run_id: str
    #: The version's id and the step's ref in it.
    workflow_step_id: str
    #: In a loop the loop's ref, the iteration and the step's own: `each.0.charge`.
    step_ref: str
    #: Of a job step: what its worker knows it by.
    job_run_id: str | None = None
    #: From 1.
    attempt: int
    status: StepStatus
    #: The steps that it comes after, and how many of them lead on.
    deps_completed: int
    deps_required: int
    output: AnyJson = None
    #: Why it failed, was skipped, or is to be tried again.
    error: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    created_at: Time
    #: Earlier attempts, the oldest first, if they are asked for.
    attempts: Sequence[AttemptOut] | None = None

    @classmethod
    def of(cls, run: Run, step: Entry) -> Self:
        """Return what is shown of a step; what is large in it has been fetched."""
        job = step.wait if step.wait is not None and step.wait.kind is WaitKind.JOB else None
        return cls(
            id=step_run_id(run.id, step.key),
            workflow_run_id=run.id,
            workflow_step_id=f"{run.version_id}:{ref_of(step.key)}",
            step_ref=step.key,
            job_run_id=job.ticket if job is not None else None,
            attempt=step.attempt_at_hand,
            status=step.status,
            deps_completed=step.met,
            deps_required=step.required,
            output=None if isinstance(step.output, Offloaded) else step.output,
            error=text_of(step.error),
            started_at=step.started_at,
            finished_at=step.finished_at,
            created_at=run.created_at,
        )

    @classmethod
    def with_attempts(cls, run: Run, step: Entry) -> Self:
        """Return what is shown of a step and of its earlier attempts."""
        return cls.of(run, step).model_copy(update={"attempts": [AttemptOut.of(one) for one in step.attempts]})


def text_of(error: StepError | None) -> str | None:
    """Return what an error says."""
    return error.message if error is not None else None
