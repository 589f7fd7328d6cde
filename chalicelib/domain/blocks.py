"""The running parts of a definition.

Nodes, the blocks they stand in, and the containers that own blocks. Only ``progress`` changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from chalicelib.domain.definition import ON_ERROR, Edge, OnFailure, StepSpec, StepType
from chalicelib.domain.step import StepError, StepRecord, StepStatus
from chalicelib.domain.value import Json


@dataclass(slots=True, eq=False)
class Block:
    """One running of a block: the run's root, one iteration of a loop's body, a race's arm, a ``try``."""

    #: The definition's name for it.
    name: str
    #: What its steps' keys begin with: empty, or a loop's key, the iteration and a dot for each loop around it.
    prefix: str
    #: The container's key; empty for the root.
    owner: str
    #: Steps that have not settled.
    remaining: int
    #: The block around it; none for the root.
    outer: Block | None = None
    #: The loops around it, outermost first, each with the prefix that this iteration's keys begin with.
    loops: tuple[tuple[str, str], ...] = ()
    #: Names that only its steps see: a loop's item and index, a catch's error.
    names: Mapping[str, Json] = field(default_factory=dict)
    #: The failure that ends the block, or will end it once the rest is through.
    failure: Failure | None = None
    #: Nothing in it starts or counts any more.
    closed: bool = False


@dataclass(slots=True, eq=False)
class Node:
    """A step instance whose block is running."""

    key: str
    spec: StepSpec
    block: Block
    #: Dependencies that have settled, and whether one of them leads here.
    arrived: int = 0
    alive: bool = False
    #: Whether one that it cannot run without does not lead here.
    barred: bool = False
    settled: bool = False


@dataclass(slots=True, eq=False)
class Container:
    """A container step that has been opened and has not concluded."""

    node: Node
    blocks: list[Block] = field(default_factory=list)
    #: A loop's iterations so far, the one running included.
    iteration: int = 0
    #: A loop's iterations to come to: none for ``while``.
    total: int | None = None
    #: What a ``forEach`` goes over.
    items: tuple[Json, ...] = ()
    #: Each past iteration's answer.
    answers: list[Json] = field(default_factory=list)
    #: A race's arms that have settled.
    arms: list[Block] = field(default_factory=list)
    #: What went wrong in ``try`` or ``catch`` and is passed on after ``finally``.
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failure for good, on its way outwards."""

    error: StepError
    #: When it happened: of two, the earlier one counts, whatever order they are seen in.
    at: datetime
    key: str

    @classmethod
    def of(cls, record: StepRecord) -> Self:
        """Return the failure that a failed step's record tells of; each has an error and an end."""
        assert record.error is not None  # noqa: S101 - as just said
        assert record.finished_at is not None  # noqa: S101 - as just said
        return cls(error=record.error, at=record.finished_at, key=record.key)

    def before(self, other: Failure | None) -> bool:
        """Whether this failure counts rather than the other."""
        return other is None or (self.at, self.key) < (other.at, other.key)


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What an open container has come to."""

    output: Json = None
    failure: StepError | None = None
    branch: str | None = None


def taken(edge: Edge, spec: StepSpec, record: StepRecord, *, handled: bool) -> bool:
    """Whether an edge of a step that has settled leads on; ``handled`` says that its failure has an error edge."""
    if record.status is StepStatus.FAILED:
        return edge.label == ON_ERROR if handled else spec.on_failure is OnFailure.CONTINUE
    if edge.label == ON_ERROR or record.status is StepStatus.CANCELED:
        return False
    # A branch that a person skipped took none of its ways: a skipped step satisfies its dependents, so all of them go
    # on.
    return spec.type is not StepType.BRANCH or record.status is StepStatus.SKIPPED or edge.label == record.branch
