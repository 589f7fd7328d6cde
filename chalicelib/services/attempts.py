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

from chalicelib.domain.outcome import Failed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.run import Run
from chalicelib.domain.step import Claim, StepError
from chalicelib.services.availability import PASSING
from chalicelib.services.clock import Clock
from chalicelib.services.executors.registry import EXECUTORS, attempt, timeout_of
from chalicelib.services.outside import Outside

log = logging.getLogger("stepwell.attempts")

#: Attempts made side by side in one invocation; more ready steps than this are handed to `work` invocations.
WIDE = 32
#: How long past its time-out an attempt may take to say so itself.
GRACE_SECONDS = 2.0


@dataclass(kw_only=True)
class Attempts:
    """Attempts under way in this process."""

    clock: Clock
    outside: Outside
    _pool: ThreadPoolExecutor | None = None
    _under_way: dict[str, tuple[Claim, float]] = field(default_factory=dict)
    _ended: queue.SimpleQueue[tuple[Claim, Outcome | BaseException]] = field(default_factory=queue.SimpleQueue)

    def under_way(self) -> frozenset[str]:
        """Return the steps whose attempts have been started and not taken back."""
        return frozenset(self._under_way)

    def start(self, run: Run, progress: Progress, claim: Claim) -> None:
        """Start an attempt beside the others."""
        node, scope, now = progress.node(claim.key), progress.scope(claim.key), self.clock.now()
        allowed = timeout_of(node.spec).total_seconds() + GRACE_SECONDS
        self._under_way[claim.key] = (claim, self.clock.monotonic() + allowed)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=WIDE, thread_name_prefix="step")

        def make() -> None:
            try:
                outcome = attempt(run, node.spec, scope, claim, now=now, outside=self.outside)
            except BaseException as error:  # noqa: BLE001 - the outermost frame of this thread: its owner must hear of it
                self._ended.put((claim, error))
            else:
                self._ended.put((claim, outcome))

        # What the attempt uses is counted with the invocation that makes it.
        self._pool.submit(contextvars.copy_context().run, make)

    def make(self, run: Run, progress: Progress, claim: Claim) -> Outcome:
        """Make a quick attempt here and now."""
        spec, scope = progress.node(claim.key).spec, progress.scope(claim.key)
        try:
            return attempt(run, spec, scope, claim, now=self.clock.now(), outside=self.outside)
        except Exception as error:  # noqa: BLE001 - a fault in one step's executor must not end the run's driver
            return _judged(claim, error)

    def next_ended(self, *, seconds: float) -> tuple[Claim, Outcome] | None:
        """Return an attempt that has ended or run out of time, waiting for one at most so long."""
        if not self._under_way:
            return None
        late = min(until for _, until in self._under_way.values()) if seconds > 0 else 0.0
        try:
            patience = max(0.0, min(seconds, late - self.clock.monotonic())) if seconds > 0 else 0.0
            claim, outcome = self._ended.get(timeout=patience) if patience else self._ended.get_nowait()
        except queue.Empty:
            return self._out_of_time()
        known = self._under_way.get(claim.key)
        if known is None or known[0] is not claim:
            # It had been given up, or belongs to an attempt before: its result comes too late and is dropped.
            return None
        del self._under_way[claim.key]
        return claim, _judged(claim, outcome) if isinstance(outcome, BaseException) else outcome

    def _out_of_time(self) -> tuple[Claim, Outcome] | None:
        now = self.clock.monotonic()
        for key, (claim, until) in self._under_way.items():
            if until <= now:
                del self._under_way[key]
                return claim, Failed(error=StepError(code="timeout", message="the step took too long", step=key))
        return None

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


def _judged(claim: Claim, error: BaseException) -> Outcome:
    """Return the outcome of an attempt that ended in an error of ours, or raise it where it is not the step's at all.

    A part of Stepwell that does not answer is nothing that a step can be blamed for: the invocation ends, and Lambda's
    retry of it makes the attempt again. A fault in an executor fails the step; another attempt may fare better.
    """
    if not isinstance(error, Exception) or isinstance(error, PASSING):
        raise error
    about = {"action": "step_crashed", "step": claim.key, "fault": type(error).__name__}
    log.error("a step crashed", extra=about)  # no traceback: it may hold what the user sent
    return Failed(error=StepError(code="internal", message=f"the step crashed: {type(error).__name__}", step=claim.key))
