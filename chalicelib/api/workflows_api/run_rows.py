"""A run as the workflows API shows it, in a list and whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Self

from chalicelib.api.bodies import AnyJson
from chalicelib.api.workflows_api.surface import Identified, Shown, Time
from chalicelib.domain.pricing import NANO
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepError, StepStatus
from chalicelib.domain.usage import ModelUsage
from chalicelib.domain.value import Json
from chalicelib.services import costs
from chalicelib.services.pipeline_runs import Attempt, Looked, Step
from chalicelib.services.pipeline_starts import SHOWN_IN_LISTS

_MILLISECOND: Final = timedelta(milliseconds=1)
_SHORT_ID: Final = 8


class RunRow(Identified):
    """A run's row."""

    #: Its number behind a `#`; of a run that ended before it had one, the beginning of its id.
    display_id: str
    run_number: int | None
    status: RunStatus
    #: As its agents reported it last; until then, the one that it was started with.
    branch_name: str | None
    pr_url: str | None
    prompt: str | None
    #: Whether the prompt is longer than is shown.
    prompt_truncated: bool
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    duration_ms: int | None
    #: Of its agents, and of AWS.
    cost_usd: float

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return a run's row in a list."""
        return cls(**_fields(run, run.payload, most=SHOWN_IN_LISTS))


class ErrorShown(Shown):
    """Why a run or an attempt went wrong."""

    code: str
    message: str
    #: The step that it happened in.
    step: str | None

    @classmethod
    def of(cls, error: StepError | None) -> Self | None:
        """Return what is shown of an error, if there is one."""
        return None if error is None else cls(code=error.code, message=error.message, step=error.step)


class AttemptShown(Shown):
    """One attempt at a step; each iteration of a loop is one at least."""

    #: Of the loop around the step, from 1.
    iteration: int
    #: From 1 in each iteration.
    attempt: int
    status: StepStatus
    started_at: Time | None
    finished_at: Time | None
    #: What a checker said: `pass` or `fail`.
    verdict: str | None
    feedback: str | None
    #: Up to 32 KB, of text the beginning; null where there is more.
    output: AnyJson
    output_truncated: bool
    error: ErrorShown | None

    @classmethod
    def of(cls, one: Attempt) -> Self:
        """Return what is shown of an attempt."""
        return cls(
            iteration=one.iteration,
            attempt=one.attempt,
            status=one.status,
            started_at=one.started_at,
            finished_at=one.finished_at,
            verdict=one.verdict,
            feedback=one.feedback,
            output=one.output,
            output_truncated=one.truncated,
            error=ErrorShown.of(one.error),
        )


class StepShown(Shown):
    """A step of the workflow, and what became of it in the run."""

    ref: str
    name: str
    #: What its agent is there for; null for a step without one.
    role: str | None
    #: The loop that it stands in.
    loop_id: str | None
    #: That of its latest iteration.
    status: StepStatus
    #: The oldest first.
    attempts: list[AttemptShown]

    @classmethod
    def of(cls, step: Step) -> Self:
        """Return what is shown of a step."""
        return cls(
            ref=step.ref,
            name=step.name,
            role=step.role,
            loop_id=step.loop_id,
            status=step.status,
            attempts=[AttemptShown.of(one) for one in step.attempts],
        )


class UsageShown(Shown):
    """What agents of one tool and model have reported to have used."""

    tool: str
    #: Empty where the tool chooses by itself.
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float

    @classmethod
    def of(cls, usage: ModelUsage) -> Self:
        """Return what is shown of a usage."""
        return cls(
            tool=usage.tool,
            model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_nano_usd / NANO,
        )


class RunShown(RunRow):
    """A run, whole."""

    workflow_id: str
    #: The number of the workflow's version that it runs.
    version: int
    github_repo_url: str | None
    #: What stood in place of the workflow's defaults.
    config: AnyJson
    reference_image_ids: list[str]
    #: In the workflow's order.
    steps: list[StepShown]
    #: What the last steps answered; null until it has completed.
    output: AnyJson
    #: Whether the output is over 1 MB, and so not shown.
    output_truncated: bool
    error: ErrorShown | None
    usage: list[UsageShown]

    @classmethod
    def whole(cls, looked: Looked) -> Self:
        """Return all that is shown of a run."""
        run, given = looked.run, _given(looked.payload)
        images = given.get("referenceImageIds")
        return cls(
            **_fields(run, looked.payload, most=None),
            workflow_id=run.workflow_id,
            version=run.version,
            github_repo_url=_text(given.get("githubRepoUrl")),
            config=given.get("config"),
            reference_image_ids=[str(one) for one in images] if isinstance(images, list) else [],
            steps=[StepShown.of(step) for step in looked.steps],
            output=looked.output,
            output_truncated=looked.truncated,
            error=ErrorShown.of(run.error),
            usage=[UsageShown.of(one) for one in run.usage],
        )


def _fields(run: Run, payload: object, *, most: int | None) -> dict[str, Any]:
    given = _given(payload)
    prompt = _text(given.get("prompt"))
    duration = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return {
        "id": run.id,
        "also_id": run.id,
        "display_id": f"#{run.number or run.id[:_SHORT_ID]}",
        "run_number": run.number,
        "status": run.status,
        "branch_name": run.branch_name or _text(given.get("branchName")),
        "pr_url": run.pr_url,
        "prompt": prompt[:most] if prompt is not None else None,
        "prompt_truncated": prompt is not None and most is not None and len(prompt) > most,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_ms": duration // _MILLISECOND if duration is not None else None,
        "cost_usd": costs.of_run(run).total_nano_usd / NANO,
    }


def _given(payload: object) -> Mapping[str, Json]:
    """Return what a run was started with, as far as it is what the workflows API starts runs with."""
    return payload if isinstance(payload, Mapping) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
