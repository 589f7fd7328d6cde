"""What people may do to a step, from which status, and what is recorded of it. The tables are the truth.

Skipping, force-completing, approving and rejecting write the step's record. Retrying and replaying write a ``Reset`` in
the run, and what that makes of the records follows from it (``resets``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chalicelib.domain.definition import ROOT, container_of, label_of
from chalicelib.domain.progress import Progress
from chalicelib.domain.recording import carried as carried_claims
from chalicelib.domain.recording import revision
from chalicelib.domain.refusal import BadRequest, Conflict, Refusal
from chalicelib.domain.resets import past, ref_of
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import ENDED, Reset, StepError, StepRecord, StepStatus, WaitKind
from chalicelib.domain.timeline import Entry, entry
from chalicelib.domain.value import Value

#: More resets than this are refused: each is part of the run's item, which every write of the run pays for.
MOST_RESETS: Final = 200
#: The code of the error of a step that a person skipped; its message is the reason.
SKIPPED: Final = "skipped"


class StepVerb(StrEnum):
    """What can be asked of a step."""

    APPROVE = "approve"
    REJECT = "reject"
    SKIP = "skip"
    FORCE_COMPLETE = "force-complete"
    RETRY = "retry"
    REPLAY = "replay-subtree"


#: The statuses that a step may have for each verb.
LEGAL: Mapping[StepVerb, frozenset[StepStatus]] = MappingProxyType(
    {
        StepVerb.APPROVE: frozenset({StepStatus.WAITING}),
        StepVerb.REJECT: frozenset({StepStatus.WAITING}),
        StepVerb.SKIP: frozenset({StepStatus.PENDING, StepStatus.WAITING}),
        StepVerb.FORCE_COMPLETE: frozenset({StepStatus.PENDING, StepStatus.WAITING, StepStatus.FAILED}),
        StepVerb.RETRY: ENDED,
        StepVerb.REPLAY: ENDED | {StepStatus.WAITING},
    },
)
#: Those that reopen a run that has ended; the others ask for one that has not.
REOPENING: Final = frozenset({StepVerb.RETRY, StepVerb.REPLAY})
_DECISIONS: Final = frozenset({StepVerb.APPROVE, StepVerb.REJECT})

#: The status that a verb leaves the step in, where it writes the step's record.
LEAVES: Mapping[StepVerb, StepStatus] = MappingProxyType(
    {
        StepVerb.APPROVE: StepStatus.COMPLETED,
        StepVerb.REJECT: StepStatus.FAILED,
        StepVerb.SKIP: StepStatus.SKIPPED,
        StepVerb.FORCE_COMPLETE: StepStatus.COMPLETED,
    },
)


def available(run: Run, progress: Progress, of: Entry) -> tuple[StepVerb, ...]:
    """Return the verbs that would be taken now, approvers and keys left aside."""
    return tuple(verb for verb in StepVerb if refusal(run, progress, of, verb) is None)


def refusal(run: Run, progress: Progress, of: Entry, verb: StepVerb) -> Refusal | None:
    """Return why a verb is declined; None where it is not."""
    if verb in _DECISIONS and not (of.wait and of.wait.kind is WaitKind.APPROVAL and of.status in LEGAL[verb]):
        return BadRequest(f"step {of.key} is not waiting for approval: it is {of.status}")
    if of.status not in LEGAL[verb]:
        return _illegal(of, verb)
    if verb not in REOPENING:
        return _of_one_that_cannot_be_decided(run, progress, of, verb)
    return _of_one_that_cannot_begin_anew(run, progress, of, verb)


def decided(
    progress: Progress,
    key: str,
    verb: StepVerb,
    *,
    now: datetime,
    output: Value = None,
    error: StepError | None = None,
) -> StepRecord:
    """Return the record that a verb writes of a step, which a driver that judged it before cannot write over."""
    before = progress.records.get(key)
    reached = key in progress.ready or key in progress.waiting or key in progress.retrying
    known = before or StepRecord(
        key=key,
        status=StepStatus.PENDING,
        attempt=0,
        started_at=None,
        generation=progress.run.generation,
        revision=0,
    )
    waits = known.status is StepStatus.WAITING
    return replace(
        known,
        status=LEAVES[verb],
        attempt=known.attempt + 1 if known.status is StepStatus.PENDING else known.attempt,
        started_at=known.started_at if waits else None,
        finished_at=now,
        output=output,
        error=error,
        # The way that a branch takes can be said with its result, as it would have answered itself.
        branch=str(output["branch"]) if isinstance(output, Mapping) and output.get("branch") is not None else None,
        retry_at=None,
        event_id=None,
        claims=carried_claims(progress, key),
        attempts=known.attempts if waits else past(known),
        # Nothing leads to it yet: what a person says counts all the same.
        forced=known.forced or not (reached or known.status.ended),
        revision=revision(progress, key),
    )


def reset(run: Run, progress: Progress, of: Entry, verb: StepVerb) -> Reset:
    """Return what a retry or a replay adds to the run."""
    return Reset(
        generation=run.generation + 1,
        step=of.key,
        subtree=verb is StepVerb.REPLAY,
        reopened=run.status.ended,
        forced=_is_passed_by(progress, of.key),
    )


def subtree(progress: Progress, key: str) -> frozenset[str]:
    """Return the refs of a step of the root block and of all that come after it, what stands in them included."""
    tops = {key, *progress.definition.descendants(key)}
    return frozenset(ref for ref in progress.definition.steps if progress.definition.top_of(ref) in tops)


def can_be_made_again(run: Run) -> bool:
    """Whether a retry of the run, as a run of its own, is taken."""
    return run.status.ended


def carried(run: Run, progress: Progress) -> Iterator[StepRecord]:
    """Yield the records that a retry of an ended run begins with: of the steps that had completed, with their outputs.

    What handled an error is left out: whether there is one will be seen anew.
    """
    for key, record in progress.records.items():
        late = (
            run.status is RunStatus.CANCELED
            and run.finished_at is not None
            and (record.finished_at is None or record.finished_at > run.finished_at)
        )
        if record.status is StepStatus.COMPLETED and not late and not _handles(progress, key):
            yield replace(record, generation=1, losses=0, wait=None, event_id=None, claims={}, revision=1)


def _illegal(of: Entry, verb: StepVerb) -> Refusal:
    if verb is StepVerb.RETRY:
        return BadRequest(f"step run must be terminal to retry: step {of.key} is {of.status}")
    if verb is StepVerb.REPLAY:
        return Conflict(f"cannot replay from step {of.key}: it is {of.status}")
    return BadRequest(f"cannot {verb} step in {of.status} status")


def _of_one_that_cannot_be_decided(run: Run, progress: Progress, of: Entry, verb: StepVerb) -> Refusal | None:
    if run.status.ended:
        return BadRequest(f"cannot {verb} a step of a run that has ended ({run.status}); retry the step instead")
    if progress.definition.steps[ref_of(of.key)].block != ROOT and not progress.counts(of.key):
        if of.status is StepStatus.FAILED:
            return BadRequest(f"cannot {verb} step {of.key}: what it stands in has dealt with its failure")
        return BadRequest(f"cannot {verb} step {of.key}: what it stands in has not begun")
    return None


def _of_one_that_cannot_begin_anew(run: Run, progress: Progress, of: Entry, verb: StepVerb) -> Refusal | None:
    ref = ref_of(of.key)
    if progress.definition.steps[ref].block != ROOT:
        top = progress.definition.top_of(ref)
        return BadRequest(f"step {of.key} stands in {top}: {verb} that one")
    if len(run.resets) >= MOST_RESETS:
        return Conflict(f"steps of this run began anew {MOST_RESETS} times, which is the limit; retry the run instead")
    if not run.status.ended:
        # Of a retry too: what runs after the step would come to its end with nothing leading to it.
        inside = subtree(progress, of.key)
        busy = sorted(key for key in (*progress.claimed, *progress.at_work) if ref_of(key) in inside)
        if busy:
            return Conflict(f"cannot {verb} from step {of.key}: {busy[0]}, which comes after it, is running")
    return None


def _is_passed_by(progress: Progress, key: str) -> bool:
    """Whether the way led elsewhere than to a step of the root block, whatever a person has since made of it."""
    node, edges = progress.node(key), progress.definition.incoming[key]
    return len(edges) > 0 and node.arrived == len(edges) and (node.barred or not node.alive)


def _handles(progress: Progress, key: str) -> bool:
    """Whether a step ran to handle an error, and what it stands in has not come to an end that is carried over."""
    ref, definition = ref_of(key), progress.definition
    if ref in definition.handlers:
        return True
    while definition.steps[ref].block != ROOT:
        block = definition.steps[ref].block
        ref = container_of(block)
        handled = label_of(block) in {"catch", "finally"}
        concluded = any(
            ref_of(one) == ref and found.status is StepStatus.COMPLETED for one, found in progress.records.items()
        )
        if handled and not concluded:
            return True
    return False


def judged(run: Run, progress: Progress, key: str, verb: StepVerb) -> Entry | None:
    """Return the step as it stands, if the verb is taken; None where the run has no such step. Raises the refusal."""
    of = entry(run, progress, key)
    refused = refusal(run, progress, of, verb) if of is not None else None
    if refused is not None:
        raise refused
    return of
