"""A run's timeline: what became of each step, and when; derived from its records, copied nowhere.

A step's own record comes first, then a claim on it, then whether the way to it was taken. Steps of a loop appear once
for each iteration that has begun; of a loop that has not gone round, once, under their plain refs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.blocks import taken
from chalicelib.domain.definition import ON_ERROR, Definition, Edge, StepType
from chalicelib.domain.progress import Progress
from chalicelib.domain.resets import past, ref_of
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import Claim, PastAttempt, StepError, StepRecord, StepStatus, Wait
from chalicelib.domain.value import Value


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One step instance of a run."""

    #: The step's ref; inside a loop, the loop's key, the iteration and the ref: ``each.2.charge``.
    key: str
    #: For people.
    name: str
    type: StepType
    status: StepStatus
    #: The newest attempt; 0 where there was none.
    attempt: int = 0
    #: A person's retry or replay began a new one.
    generation: int = 1
    #: When that attempt started.
    started_at: datetime | None = None
    #: None while it goes on, and where it never started or was cut short.
    finished_at: datetime | None = None
    #: Why it failed, or why its last attempt did.
    error: StepError | None = None
    #: When the next attempt is due.
    retry_at: datetime | None = None
    #: What it waits for, or waited for.
    wait: Wait | None = None
    #: The way taken: a branch's label, a race's winning arm.
    branch: str | None = None
    output: Value = None
    #: Earlier attempts, the oldest first.
    attempts: tuple[PastAttempt, ...] = ()
    #: The steps that it comes after, and how many of them lead on.
    required: int = 0
    met: int = 0

    @property
    def attempt_at_hand(self) -> int:
        """The attempt that its status is about: for a step that is pending the next one, the first is 1."""
        return self.attempt + 1 if self.status is StepStatus.PENDING else max(1, self.attempt)

    @property
    def duration(self) -> timedelta | None:
        """How long the newest attempt took, its wait included."""
        return self.finished_at - self.started_at if self.started_at and self.finished_at else None

    @property
    def waited(self) -> timedelta | None:
        """How long it waited, at no cost; a step that waits does nothing else."""
        return self.duration if self.wait else None


def entry(run: Run, progress: Progress, key: str) -> Entry | None:
    """Return what became of one step instance; None where the run has none of that key."""
    ref = ref_of(key)
    if ref not in progress.definition.steps or (key, ref) not in _keys(progress, ref):
        return None
    return _entry(run, progress, key, ref)


def timeline(run: Run, progress: Progress) -> tuple[Entry, ...]:
    """Return what became of each step, in the order of their starts; those that have not started come last.

    ``progress`` is that which the run's records tell of.
    """
    found = entries(run, progress)
    started = sorted((entry.started_at, at) for at, entry in enumerate(found) if entry.started_at is not None)
    return (*(found[at] for _, at in started), *(entry for entry in found if entry.started_at is None))


def entries(run: Run, progress: Progress) -> tuple[Entry, ...]:
    """Return what became of each step, in the definition's order, the iterations of a loop one after the other."""
    places = places_of(progress.definition)
    keys = sorted(_keys(progress), key=lambda pair: position(pair[0], places))
    return tuple(_entry(run, progress, key, ref) for key, ref in keys)


def places_of(definition: Definition) -> dict[str, int]:
    """Return the place of each step, by ref, in the definition's order."""
    return {ref: at for at, ref in enumerate(definition.steps)}


def position(key: str, places: Mapping[str, int]) -> tuple[int, ...]:
    """Return what puts keys in the definition's order, the iterations of a loop one after the other.

    A key that no step of the definition can have is a ``LookupError`` or a ``ValueError``.
    """
    return tuple(int(part) if at % 2 else places[part] for at, part in enumerate(key.split(".")))


def _keys(progress: Progress, *refs: str) -> Iterator[tuple[str, str]]:
    """Yield the key and ref of each step instance, of all steps or of those named."""
    definition, prefixes = progress.definition, _prefixes(progress)
    for ref in refs or definition.steps:
        around = definition.loops_around(ref)
        for prefix in prefixes.get(around[-1], [""]) if around else [""]:
            yield prefix + ref, ref


def _prefixes(progress: Progress) -> dict[str, set[str]]:
    """Return what the keys of each loop's iterations begin with, by the loop's ref; of one a step may only be ready."""
    found: dict[str, set[str]] = {}
    for key in (*progress.records, *progress.claims, *progress.ready):
        parts = key.split(".")
        for at in range(2, len(parts), 2):
            found.setdefault(parts[at - 2], set()).add(".".join(parts[:at]) + ".")
    return found


def _entry(run: Run, progress: Progress, key: str, ref: str) -> Entry:
    spec, record, claim = progress.definition.steps[ref], progress.records.get(key), progress.claims.get(key)
    edges = progress.definition.incoming[ref]
    known = Entry(
        key=key,
        name=spec.name,
        type=spec.type,
        status=StepStatus.PENDING,
        attempts=record.attempts if record else (),
        required=len(edges),
        met=sum(leads_on(progress, key.removesuffix(ref), edge) for edge in edges),
    )
    if claim is not None and not _is_behind(record, claim):
        status = _under_way(run, progress, key)
        # What the record tells of, if there is one, was an attempt before this.
        attempts = past(record) if record else ()
        return replace(
            known,
            status=status,
            attempt=claim.attempt,
            generation=claim.generation,
            started_at=claim.at,
            attempts=attempts,
        )
    if record is None:
        return replace(known, status=_never_started(run, progress, key, ref), generation=progress.run.generation)
    status = _recorded(run, progress, record)
    return replace(
        known,
        status=status,
        attempt=record.attempt,
        generation=record.generation,
        started_at=record.started_at,
        finished_at=record.finished_at if record.status.ended else None,
        error=record.error,
        retry_at=record.retry_at,
        wait=record.wait,
        branch=record.branch,
        output=record.output,
    )


def leads_on(progress: Progress, prefix: str, edge: Edge) -> bool:
    """Whether the step at the beginning of an edge has settled so that the edge is taken."""
    record, spec = progress.records.get(prefix + edge.source), progress.definition.steps[edge.source]
    if record is None or not record.status.ended:
        return False
    handled = any(one.label == ON_ERROR for one in progress.definition.outgoing[edge.source])
    return taken(edge, spec, record, handled=handled)


def _is_behind(record: StepRecord | None, claim: Claim) -> bool:
    """Whether what the claim's attempt came to is on record."""
    return record is not None and (record.generation, record.attempt) >= (claim.generation, claim.attempt)


def _under_way(run: Run, progress: Progress, key: str) -> StepStatus:
    ended = run.status.ended or _is_closed(progress, key)
    return StepStatus.CANCELED if ended else StepStatus.RUNNING


def _recorded(run: Run, progress: Progress, record: StepRecord) -> StepStatus:
    """Return a record's status, unless the run, or the block around the step, ended before the step did."""
    if record.status.ended:
        late = run.status is RunStatus.CANCELED and _is_after(record.finished_at, run.finished_at)
        return StepStatus.CANCELED if late else record.status
    ended = run.status.ended or _is_closed(progress, record.key)
    return StepStatus.CANCELED if ended else record.status


def _is_after(finished_at: datetime | None, ended_at: datetime | None) -> bool:
    return finished_at is not None and ended_at is not None and finished_at > ended_at


def _never_started(run: Run, progress: Progress, key: str, ref: str) -> StepStatus:
    """Skipped where the way led elsewhere, which a run that completed has decided for every step."""
    if run.status is RunStatus.COMPLETED or _is_passed_by(progress, key, ref):
        return StepStatus.SKIPPED
    return StepStatus.CANCELED if run.status.ended else StepStatus.PENDING


def _is_passed_by(progress: Progress, key: str, ref: str) -> bool:
    """Whether the step can no longer be reached, although the run goes on."""
    try:
        node = progress.node(key)
    except KeyError:
        # Its block has not been opened, and never will be once the container around it has ended or was passed by.
        around = progress.definition.container_around(key, ref)
        return around is not None and _is_over(progress, *around)
    return node.settled or node.block.closed


def _is_over(progress: Progress, key: str, ref: str) -> bool:
    record = progress.records.get(key)
    return record.status.ended if record is not None else _is_passed_by(progress, key, ref)


def _is_closed(progress: Progress, key: str) -> bool:
    """Whether the step's block was ended from outside: a race that another arm has won, a body that broke or failed."""
    try:
        return progress.node(key).block.closed
    except KeyError:
        # A container that has ended is not opened once more when the run is folded.
        around = progress.definition.container_around(key, ref_of(key))
        return around is not None and _is_over(progress, *around)
