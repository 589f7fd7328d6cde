"""How what an attempt came to is put on record: on top of what is recorded of the step already."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import template
from chalicelib.domain.outcome import Completed, Failed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.resets import past
from chalicelib.domain.retry import retry_after
from chalicelib.domain.step import Claim, PastAttempt, StepError, StepRecord, StepStatus
from chalicelib.domain.value import resolved


def failed(progress: Progress, claim: Claim, outcome: Failed, now: datetime) -> StepRecord:
    """Return the record of a failed attempt: pending until the next one where the step's policy grants one."""
    spec, failures = progress.node(claim.key).spec, claim.failures + 1
    error = outcome.error if outcome.error.step else replace(outcome.error, step=claim.key)
    pause: timedelta | None = None
    if outcome.retryable:
        seed = f"{progress.run.id}/{claim.key}/{claim.generation}/{claim.attempt}"
        pause = retry_after(spec.retry, failures=failures, seed=seed, asked=outcome.retry_after)
    if pause is None:
        return recorded(progress, claim, StepStatus.FAILED, now, error=error, failures=failures)
    return recorded(
        progress, claim, StepStatus.PENDING, now, error=error, failures=failures, finished_at=now, retry_at=now + pause
    )


def recorded(
    progress: Progress,
    claim: Claim,
    status: StepStatus,
    now: datetime,
    **parts: object,
) -> StepRecord:
    """Return the record that an attempt has come to ``status``; ``parts`` are the record's others."""
    before = progress.records.get(claim.key)
    known = {"failures": claim.failures, "finished_at": now if status.ended else None, **parts}
    return StepRecord(
        key=claim.key,
        status=status,
        attempt=claim.attempt,
        started_at=claim.at,
        generation=claim.generation,
        revision=revision(progress, claim.key),
        claims=carried(progress, claim.key),
        attempts=_attempts(before, claim),
        forced=before is not None and before.forced,
        **known,  # type: ignore[arg-type]  # named parts of the record
    )


def revision(progress: Progress, key: str) -> int:
    """Return the revision that the step's next record has."""
    before = progress.records.get(key)
    return before.revision + 1 if before else 1


def carried(progress: Progress, key: str) -> dict[str, Claim]:
    """Return the claims that lie in the record which is about to be written over, and that are needed still."""
    before = progress.records.get(key)
    return {held: claim for held, claim in before.claims.items() if progress.is_needed(claim)} if before else {}


def transformed(progress: Progress, key: str, outcome: Outcome) -> Outcome:
    """Return the outcome with its output as the step's ``output_transform`` makes it; failed if that cannot be."""
    transform = progress.node(key).spec.output_transform
    if transform is None or not isinstance(outcome, Completed):
        return outcome
    scope = progress.scope(key).with_output(resolved(outcome.output, progress.resolve))
    try:
        return replace(outcome, output=template.render(transform, scope))
    except template.TemplateError as error:
        return Failed(error=StepError(code="template", message=f"output_transform: {error}", step=key), retryable=False)


def _attempts(before: StepRecord | None, claim: Claim) -> tuple[PastAttempt, ...]:
    """Return the attempts before the one claimed; a wait that is over is the same attempt as when it began."""
    if before is None:
        return ()
    return past(before) if before.attempt < claim.attempt else before.attempts
