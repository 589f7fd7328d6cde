"""People at a run: what they ask is judged and written as the service does it, with a driver at work around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chalicelib.domain import engine, repair, resets, timeline
from chalicelib.domain.progress import Progress
from chalicelib.domain.repair import LEAVES, StepVerb
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepError, StepRecord, StepStatus
from chalicelib.domain.timeline import Entry
from chalicelib.domain.value import Json
from chalicelib.domain.waits import REJECTED
from tests.domain.building import T0, seconds
from tests.domain.stored import Stored, fingerprint

HOLD = seconds(2)
_ERRORS: Mapping[StepVerb, StepError] = MappingProxyType(
    {
        StepVerb.SKIP: StepError(code=repair.SKIPPED, message="why not"),
        StepVerb.REJECT: StepError(code=REJECTED, message="no"),
    },
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A verb, asked of one of the steps that would take it."""

    verb: StepVerb
    #: Which of them: a part of the way through the definition, from 0 to 1.
    place: float
    output: Json
    #: What the driver does between the judging and the writing, and before it has seen what was written.
    meanwhile: Callable[[], None]


def ask(stored: Stored, asked: Asked) -> bool:
    """Do what a person asks, and have a driver come back to it; False where no step would take the verb."""
    if stored.finish is None:
        # Whoever drives sees the hold before anything is judged.
        stored.hold(stored.now + HOLD)
    claimed = len(stored.started)
    done = _judge_and_write(stored, asked)
    assert len(stored.started) == claimed, "a step was claimed while a person's verb was judged"
    stored.hold(None)
    return done


def run_of(stored: Stored) -> Run:
    """Return the run whose records these are."""
    return Run(
        id="run",
        project_id="p",
        workflow_id="wf",
        version_id="v",
        version=1,
        connection_id="c",
        status=stored.run_status,
        triggered_by="api",
        created_by="ada",
        created_at=T0,
        updated_at=T0,
        finished_at=stored.ended_at if stored.finish else None,
        disabled=stored.facts.disabled,
        resets=stored.facts.resets,
    )


def _judge_and_write(stored: Stored, asked: Asked) -> bool:
    run, progress = run_of(stored), stored.rebuilt()
    known = len(stored.written)
    followed = engine.advance(progress, status=run.status, now=stored.now, driver=None)
    ready = [of for of in timeline.entries(run, progress) if repair.refusal(run, progress, of, asked.verb) is None]
    if not ready:
        return False
    of = ready[int(asked.place * len(ready))]
    if not run.status.ended:
        asked.meanwhile()
        if stored.finish is not None:
            # The write is conditional on the status that it was judged on.
            return False
    if asked.verb not in LEAVES:
        _begin_anew(stored, run, progress, of, asked.verb)
    elif not _decide(stored, progress, of, asked):
        return False
    elif not followed.records and len(stored.written) == known + 1 and progress.record(stored.records[of.key]):
        _check_fold(stored, progress)
    if not run.status.ended:
        stored.stale = True
        asked.meanwhile()
        stored.stale = False
    return True


def _decide(stored: Stored, progress: Progress, of: Entry, asked: Asked) -> bool:
    record = repair.decided(
        progress, of.key, asked.verb, now=stored.now, output=asked.output, error=_ERRORS.get(asked.verb)
    )
    if not stored.put_late(record):
        return False
    stored.by_people.add((record.key, record.revision))
    return True


def _check_fold(stored: Stored, progress: Progress) -> None:
    """Hold the fold that took the record in against one of what is stored."""
    again = stored.rebuilt()
    for fold in (progress, again):
        engine.advance(fold, status=stored.status, now=stored.now, driver=None)
    assert fingerprint(progress) == fingerprint(again)


def _begin_anew(stored: Stored, run: Run, progress: Progress, of: Entry, verb: StepVerb) -> None:
    before = stored.rebuilt().records
    stored.reset(repair.reset(run, progress, of, verb))
    again, definition = stored.rebuilt(), stored.definition
    after = again.records
    assert again.done or again.failure or again.counts(of.key), f"{of.key} is not to run anew"
    below = definition.descendants(of.key)
    for key, was in before.items():
        top, now = definition.top_of(ref_of(key)), after[key]
        assert (now.generation, now.attempt) >= (was.generation, was.attempt)
        anew = top == of.key or (top in below and (verb is StepVerb.REPLAY or _asks_again(was)))
        if anew or (run.status.ended and not was.status.ended):
            assert (now.status, now.generation) == (StepStatus.PENDING, run.generation + 1)
            assert now.attempts == resets.past(was) or key in progress.claims
        elif was.status.ended or not run.status.ended:
            assert now == was or key in progress.claims, f"{key} is none of those that begin anew"


def _asks_again(record: StepRecord) -> bool:
    return record.error is not None and record.error.code == resets.CONDITION
