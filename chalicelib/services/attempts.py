"""The attempts that one invocation makes.

Quick steps in its own thread, those that talk to the outside side by side.
"""

from __future__ import annotations

import contextvars
import logging
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib import logs, tracing
from chalicelib.domain.definition import StepSpec, StepType
from chalicelib.domain.outcome import Failed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import Run
from chalicelib.domain.scope import Scope
from chalicelib.domain.step import Claim, StepError
from chalicelib.logs import Action
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock
from chalicelib.services.executors.registry import EXECUTORS, attempt, timeout_of
from chalicelib.services.outside import Outside

#: Attempts made side by side in one invocation; more ready steps than this are handed to `work` invocations.
WIDE = 32
#: How long past its time-out an attempt may take to say so itself.
GRACE_SECONDS = 2.0
#: Steps that others make: they stand as nodes of their own in X-Ray's map of services.
_REMOTE = frozenset({StepType.HTTP_REQUEST, StepType.LAMBDA})


@dataclass(frozen=True, kw_only=True)
class _UnderWay:
    """An attempt, when it began and when it is to have ended, by the monotonic clock."""

    run: Run
    spec: StepSpec
    claim: Claim
    began: float
    until: float


@dataclass(kw_only=True)
class Attempts:
    """Attempts under way in this process."""

    clock: Clock
    outside: Outside
    #: How many have been begun.
    count: int = 0
    _pool: ThreadPoolExecutor | None = None
    _under_way: dict[str, _UnderWay] = field(default_factory=dict)
    _ended: queue.SimpleQueue[tuple[Claim, Outcome | BaseException]] = field(default_factory=queue.SimpleQueue)

    def under_way(self) -> frozenset[str]:
        """Return the steps whose attempts have been started and not taken back."""
        return frozenset(self._under_way)

    def start(self, run: Run, progress: Progress, claim: Claim) -> None:
        """Start an attempt beside the others."""
        spec, scope, now = progress.node(claim.key).spec, progress.scope(claim.key), self.clock.now()
        allowed, began = timeout_of(spec).total_seconds() + GRACE_SECONDS, self.clock.monotonic()
        self._under_way[claim.key] = _UnderWay(run=run, spec=spec, claim=claim, began=began, until=began + allowed)
        self.count += 1
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=WIDE, thread_name_prefix="step")

        def make() -> None:
            try:
                outcome = _attempted(run, spec, scope, claim, now=now, outside=self.outside)
            except BaseException as error:  # noqa: BLE001 - the outermost frame of this thread: its owner must hear of it
                self._ended.put((claim, error))
            else:
                self._ended.put((claim, outcome))

        # What the attempt uses, and what is told of it, is counted with the invocation that makes it.
        self._pool.submit(contextvars.copy_context().run, make)

    def make(self, run: Run, progress: Progress, claim: Claim) -> Outcome:
        """Make a quick attempt here and now."""
        spec, scope, began = progress.node(claim.key).spec, progress.scope(claim.key), self.clock.monotonic()
        self.count += 1
        try:
            outcome = _attempted(run, spec, scope, claim, now=self.clock.now(), outside=self.outside)
        except Exception as error:  # noqa: BLE001 - a fault in one step's executor must not end the run's driver
            outcome = _judged(claim, error)
        made = _UnderWay(run=run, spec=spec, claim=claim, began=began, until=began)
        return self._told(made, outcome)

    def next_ended(self, *, seconds: float) -> tuple[Claim, Outcome] | None:
        """Return an attempt that has ended or run out of time, waiting for one at most so long."""
        if not self._under_way:
            return None
        late = min(known.until for known in self._under_way.values()) if seconds > 0 else 0.0
        try:
            patience = max(0.0, min(seconds, late - self.clock.monotonic())) if seconds > 0 else 0.0
            claim, outcome = self._ended.get(timeout=patience) if patience else self._ended.get_nowait()
        except queue.Empty:
            return self._out_of_time()
        known = self._under_way.get(claim.key)
        if known is None or known.claim is not claim:
            # It had been given up, or belongs to an attempt before: its result comes too late and is dropped.
            return None
        del self._under_way[claim.key]
        return claim, self._told(known, _judged(claim, outcome) if isinstance(outcome, BaseException) else outcome)

    def _out_of_time(self) -> tuple[Claim, Outcome] | None:
        now = self.clock.monotonic()
        for key, known in self._under_way.items():
            if known.until <= now:
                del self._under_way[key]
                over = Failed(error=StepError(code="timeout", message="the step took too long", step=key))
                return known.claim, self._told(known, over)
        return None

    def _told(self, made: _UnderWay, outcome: Outcome) -> Outcome:
        """Tell that an attempt has ended: here, where its outcome is taken, so that one given up is told of once."""
        failed = isinstance(outcome, Failed)
        logs.tell(
            Action.ATTEMPT_ENDED,
            level=logging.WARNING if failed else None,
            run_id=made.run.id,
            workflow_id=made.run.workflow_id,
            project_id=made.run.project_id,
            step=made.claim.key,
            attempt=made.claim.attempt,
            step_type=made.spec.type.value,
            outcome=_word(outcome),
            code=outcome.error.code if isinstance(outcome, Failed) else None,
            ms=round((self.clock.monotonic() - made.began) * 1000),
        )
        return outcome

    def close(self) -> None:
        """Wait for nothing: what is still under way is lost, and its record will say so."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def attempts(*, clock: Clock, outside: Outside) -> Iterator[Attempts]:
    """Make attempts for the length of an invocation."""
    made = Attempts(clock=clock, outside=outside)
    try:
        yield made
    finally:
        made.close()


def is_inline(progress: Progress, key: str) -> bool:
    """Whether the driver makes attempts at this step in its own thread."""
    return EXECUTORS[progress.node(key).spec.type].inline


def _attempted(run: Run, spec: StepSpec, scope: Scope, claim: Claim, *, now: datetime, outside: Outside) -> Outcome:
    """Make an attempt, with all that is told meanwhile under its step, and a segment of its own."""
    namespace: tracing.Namespace = "remote" if spec.type in _REMOTE else "local"
    # The ref, not the key: each time round of a loop would be a node of its own in the map of services.
    with (
        logs.carrying(run_id=run.id, step=claim.key, attempt=claim.attempt),
        tracing.segment(
            f"{spec.type.value} {spec.ref}", namespace=namespace, step=claim.key, attempt=claim.attempt
        ) as segment,
    ):
        outcome = attempt(run, spec, scope, claim, now=now, outside=outside)
        segment.annotate(outcome=_word(outcome))
        if isinstance(outcome, Failed):
            segment.failed()
        return outcome


def _word(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()


def _judged(claim: Claim, error: BaseException) -> Outcome:
    """Return the outcome of an attempt that ended in an error of ours, or raise it where it is not the step's at all.

    A part of Stepwell that does not answer is nothing that a step can be blamed for: the invocation ends, and Lambda's
    retry of it makes the attempt again. A fault in an executor fails the step; another attempt may fare better.
    """
    if not isinstance(error, Exception) or isinstance(error, PASSING):
        raise error
    # No traceback: it may hold what the user sent.
    logs.tell(Action.STEP_CRASHED, step=claim.key, attempt=claim.attempt, fault=type(error).__name__)
    return Failed(error=StepError(code="internal", message=f"the step crashed: {type(error).__name__}", step=claim.key))
