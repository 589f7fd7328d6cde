"""A run's steps as a graph: which follows which, where each stands, and which could start now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib.domain.definition import ROOT, label_of
from chalicelib.domain.progress import Progress
from chalicelib.domain.resets import ref_of
from chalicelib.domain.run import Run
from chalicelib.domain.timeline import Entry


@dataclass(frozen=True, kw_only=True)
class Link:
    """That one step comes after another, by key."""

    source: str
    target: str
    #: A branch's label or ``error``; of a container and the first steps of a block of its, the block's label.
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class RunGraph:
    """How a run's steps hang together."""

    nodes: Sequence[Entry]
    links: Sequence[Link]
    #: The steps that nothing comes before.
    roots: Sequence[str]
    #: Those that have not started, and that nothing but the run's limits keeps from it.
    runnable: Sequence[str]


def graph_of(run: Run, progress: Progress, entries: Sequence[Entry]) -> RunGraph:
    """Return how those steps of a run hang together."""
    definition = progress.definition
    shown = {entry.key for entry in entries}
    ready = frozenset() if run.status.ended else frozenset(progress.ready)
    return RunGraph(
        nodes=entries,
        links=[link for entry in entries for link in _links_to(progress, entry.key) if link.source in shown],
        roots=[ref for ref in definition.blocks[ROOT] if not definition.incoming[ref]],
        runnable=[entry.key for entry in entries if entry.key in ready],
    )


def _links_to(progress: Progress, key: str) -> Iterator[Link]:
    definition, ref = progress.definition, ref_of(key)
    prefix = key.removesuffix(ref)
    for edge in definition.incoming[ref]:
        yield Link(source=prefix + edge.source, target=key, label=edge.label)
    around = definition.container_around(key, ref)
    if around is not None and not definition.incoming[ref]:
        yield Link(source=around[0], target=key, label=label_of(definition.steps[ref].block))
