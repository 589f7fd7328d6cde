"""What a run's resets make of its records: what was recorded in an earlier generation counts as a past attempt.

A reset is one entry in the run, written with one condition, however many steps it is about. Nothing of the steps is
written when it is made: each step's record is read as this module says, and written when the step next comes to
something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from chalicelib.domain.definition import Definition
from chalicelib.domain.step import MOST_ATTEMPTS, Claim, PastAttempt, Reset, StepRecord, StepStatus

#: The codes of the errors of steps that were skipped because of what was known then, not by a person.
CONDITION = "condition"
DISABLED = "disabled"


def renewed(
    definition: Definition,
    resets: Iterable[Reset],
    records: Mapping[str, StepRecord],
    claims: Mapping[str, Claim],
) -> dict[str, StepRecord]:
    """Return the records as they count after the resets, which come in their order.

    A claim on a step that began anew falls behind its record, and so counts no more.
    """
    now = dict(records)
    for reset in resets:
        after = definition.descendants(reset.step)
        for key in {**now, **claims}:
            record, claim = now.get(key), _ahead(claims.get(key), now.get(key))
            if record is not None and record.generation >= reset.generation:
                continue
            if claim is not None and claim.generation >= reset.generation:
                # It is under way anew; what is recorded came before, or came too late.
                if record is not None:
                    now[key] = _begun_anew(key, record, None, reset)
                continue
            top = definition.top_of(ref_of(key))
            if (
                top == reset.step
                or (reset.subtree and top in after)
                or (reset.reopened and (claim is not None or (record is not None and not record.status.ended)))
                or (top in after and record is not None and _passed_by(record))
            ):
                now[key] = _begun_anew(key, record, claim, reset)
        if reset.forced and reset.step not in now:
            now[reset.step] = _begun_anew(reset.step, None, None, reset)
    return now


def past(record: StepRecord) -> tuple[PastAttempt, ...]:
    """Return the attempts that a record tells of, its own included where it has come to something."""
    if record.started_at is None and not record.status.ended:
        return record.attempts
    own = PastAttempt(
        attempt=record.attempt,
        generation=record.generation,
        # Between two attempts the step is pending, and the attempt has failed; a wait that was given up is canceled.
        status=_status(record),
        started_at=record.started_at,
        finished_at=record.finished_at,
        output=record.output,
        error=record.error,
        event_id=record.event_id,
    )
    return (*record.attempts, own)[-MOST_ATTEMPTS:]


def taken_events(records: Collection[StepRecord]) -> frozenset[str]:
    """Return the events that have ended a wait, past attempts' too: none of them is to be taken again."""
    own = {record.event_id for record in records if record.event_id}
    return frozenset(own.union(one.event_id for record in records for one in record.attempts if one.event_id))


def ref_of(key: str) -> str:
    """Return the ref of a step instance, by its key."""
    return key.rsplit(".", 1)[-1]


def _status(record: StepRecord) -> StepStatus:
    if record.status.ended:
        return record.status
    return StepStatus.FAILED if record.retry_at is not None else StepStatus.CANCELED


def _begun_anew(key: str, record: StepRecord | None, claim: Claim | None, reset: Reset) -> StepRecord:
    attempts = past(record) if record is not None else ()
    if claim is not None:
        cut_short = PastAttempt(
            attempt=claim.attempt,
            generation=claim.generation,
            status=StepStatus.CANCELED,
            started_at=claim.at,
            finished_at=None,
        )
        attempts = (*attempts, cut_short)[-MOST_ATTEMPTS:]
    return StepRecord(
        key=key,
        status=StepStatus.PENDING,
        attempt=max((one.attempt for one in (record, claim) if one is not None), default=0),
        started_at=None,
        generation=reset.generation,
        claims=record.claims if record else {},
        attempts=attempts,
        forced=reset.forced and key == reset.step,
        revision=record.revision if record else 0,
    )


def _ahead(claim: Claim | None, record: StepRecord | None) -> Claim | None:
    """Return the claim if nothing has come of it yet."""
    if claim is None or record is None:
        return claim
    return claim if (record.generation, record.attempt) < (claim.generation, claim.attempt) else None


def _passed_by(record: StepRecord) -> bool:
    return record.error is not None and record.error.code == CONDITION
