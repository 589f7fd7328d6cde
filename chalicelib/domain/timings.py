"""How long a run's steps took and stood in line, and which of them the run's length is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.definition import ROOT, Definition
from chalicelib.domain.graph_order import ordered, successors_of
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.timeline import Entry

_NONE = timedelta()


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One step's times."""

    entry: Entry
    #: How long its newest attempt took, or takes already, what it waited included; None before its start.
    duration: timedelta | None
    #: How long it stood in line, from when what leads to it had ended to its first start.
    in_line: timedelta | None
    on_critical_path: bool


def timings(run: Run, definition: Definition, entries: Sequence[Entry], *, now: datetime) -> tuple[Timing, ...]:
    """Return each step's times."""
    path = frozenset(critical_path(run, definition, entries, now=now))
    by_key = {entry.key: entry for entry in entries}
    return tuple(
        Timing(
            entry=entry,
            duration=duration(run, entry, now=now),
            in_line=_in_line(entry, met_at(run, definition, by_key, entry.key)),
            on_critical_path=entry.key in path,
        )
        for entry in entries
    )


def duration(run: Run, entry: Entry, *, now: datetime) -> timedelta | None:
    """Return how long a step's newest attempt took: until its end, or the run's, or now."""
    if entry.started_at is None:
        return None
    return max(_NONE, (entry.finished_at or run.finished_at or now) - entry.started_at)


def critical_path(run: Run, definition: Definition, entries: Sequence[Entry], *, now: datetime) -> tuple[str, ...]:
    """Return the steps of the path that has taken longest so far, in their order; of equals the first ones.

    Steps inside a container are part of its time. A step that has taken none counts as nothing; where none has taken
    any, there is no such path.
    """
    took = {entry.key: duration(run, entry, now=now) or _NONE for entry in entries}
    refs = definition.blocks[ROOT]
    edges = [(edge.source, edge.target) for edge in definition.edges if definition.steps[edge.source].block == ROOT]
    reached: dict[str, timedelta] = {}
    before: dict[str, str] = {}
    for ref in ordered(successors_of(refs, dict.fromkeys(edges))):
        sources = [edge.source for edge in definition.incoming[ref]]
        # ``max`` keeps the first of equals.
        longest = max(sources, key=lambda source: reached[source], default=None)
        if longest is not None:
            before[ref] = longest
        reached[ref] = took[ref] + (reached[longest] if longest is not None else _NONE)
    end: str | None = max(refs, key=lambda ref: reached[ref])
    if end is None or reached[end] == _NONE:
        return ()
    path: list[str] = []
    while end is not None:
        path.append(end)
        end = before.get(end)
    return tuple(reversed(path))


def met_at(run: Run, definition: Definition, by_key: Mapping[str, Entry], key: str) -> datetime | None:
    """Return when the last of what leads to a step had ended; None while one of them has not."""
    ref = ref_of(key)
    prefix = key.removesuffix(ref)
    sources = [by_key[prefix + edge.source] for edge in definition.incoming[ref]]
    if not sources:
        around = definition.container_around(key, ref)
        if around is None:
            return run.created_at
        owner = by_key.get(around[0])
        return owner.started_at if owner is not None else None
    if not all(source.status.ended for source in sources):
        return None
    # A step that was passed by has no end of its own: the one that led past it has.
    return max((source.finished_at for source in sources if source.finished_at is not None), default=run.created_at)


def _in_line(entry: Entry, met_at: datetime | None) -> timedelta | None:
    """Return how long a step stood in line; what was carried over, or led to anew since, stood in none."""
    starts = (one.started_at for one in entry.attempts)
    started_at = next((at for at in starts if at is not None), entry.started_at)
    if started_at is None or met_at is None:
        return None
    return max(_NONE, started_at - met_at)
