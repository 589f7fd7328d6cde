"""A workflow's definition in the one form that the engine runs; the dialects' graphs and step lists are compiled to it.

Steps stand in *blocks*. The root block is the run itself. A container step (``loop``, ``race``, ``try_catch``) owns
blocks of its own: a loop's body, a race's arms, a try's ``try``, ``catch`` and ``finally``. Edges join steps of one
block only, so that each block is a graph without cycles, and everything about waiting, joining and failing is decided
block by block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from chalicelib.domain.retry import RetryPolicy
from chalicelib.domain.value import Json

if TYPE_CHECKING:
    # Polling a run needs definitions' names and neither conditions nor templates: they are loaded by what reads them.
    from chalicelib.domain.condition import Condition

#: The block that is the run itself.
ROOT = ""
#: The label of an edge that is taken when its source fails for good.
ON_ERROR = "error"


class StepType(StrEnum):
    """What a step does."""

    HTTP_REQUEST = "http_request"
    LAMBDA = "lambda"
    TRANSFORM = "transform"
    SLEEP = "sleep"
    SLEEP_UNTIL = "sleep_until"
    WAIT_FOR_EVENT = "wait_for_event"
    APPROVAL = "approval"
    BRANCH = "branch"
    PARALLEL = "parallel"
    RACE = "race"
    LOOP = "loop"
    BREAK = "break"
    TRY_CATCH = "try_catch"
    SUB_WORKFLOW = "sub_workflow"
    SUB_SCRIPT = "sub_script"
    JOB = "job"
    AGENT = "agent"


#: Steps that are not executed: the engine opens their blocks and concludes them.
CONTAINERS = frozenset({StepType.LOOP, StepType.RACE, StepType.TRY_CATCH})


class OnFailure(StrEnum):
    """What a step's failure for good does, where no error edge takes it."""

    FAIL_WORKFLOW = "fail_workflow"
    SKIP_DEPENDENTS = "skip_dependents"
    CONTINUE = "continue"


class ResourceClass(StrEnum):
    """How much of the outside a step takes up."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"

    @property
    def most(self) -> int:
        """How many steps of the class run at once in a run."""
        return _MOST[self]


_MOST: Mapping[ResourceClass, int] = MappingProxyType(
    {ResourceClass.SMALL: 50, ResourceClass.MEDIUM: 20, ResourceClass.LARGE: 5},
)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """That ``target`` comes after ``source``."""

    source: str
    target: str
    #: A branch's label, ``error``, or empty.
    label: str = ""
    #: Whether ``target`` runs only if this edge is taken, whatever becomes of the others: a ``depends_on``.
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """One step of a version."""

    #: Unique in the version; what templates and URLs say.
    ref: str
    #: For people, and for ``EXPORT_``.
    name: str
    type: StepType
    #: The type's own fields, templates unrendered.
    config: Mapping[str, Json]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    #: Of one attempt; none means the type's own default.
    timeout: timedelta | None = None
    on_failure: OnFailure = OnFailure.FAIL_WORKFLOW
    #: Where it does not hold once the step could start, the step is skipped.
    condition: Condition | None = None
    #: Of the steps of a run that have the same one, one runs at a time.
    concurrency_key: str | None = None
    resource_class: ResourceClass | None = None
    #: A value whose templates see the step's own ``output`` too; it becomes the output. None: the output stays.
    output_transform: Json = None
    #: A template of the event key that the step's output is sent to when it completes.
    emit_key: str | None = None
    #: The block it stands in: ``ROOT``, or ``<container ref>/<label>``.
    block: str = ROOT


@dataclass(frozen=True, kw_only=True)
class Definition:
    """All steps of a version and how they hang together; checked, immutable, safe to keep between invocations."""

    steps: Mapping[str, StepSpec]
    edges: tuple[Edge, ...]
    #: A template that a function's answer is rendered from.
    answer: Json = None
    #: Whether a sub-workflow's run answers with each step's output, by ref.
    answers_by_step: bool = False

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that leave each step."""
        return _grouped(self.steps, ((edge.source, edge) for edge in self.edges))

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that enter each step."""
        return _grouped(self.steps, ((edge.target, edge) for edge in self.edges))

    @cached_property
    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """The refs that stand in each block, in the order of the definition."""
        found: dict[str, list[str]] = {ROOT: []}
        for spec in self.steps.values():
            found.setdefault(spec.block, []).append(spec.ref)
        return MappingProxyType({block: tuple(refs) for block, refs in found.items()})

    @cached_property
    def container_blocks(self) -> Mapping[str, tuple[str, ...]]:
        """The blocks of each container, in the order of the definition."""
        found: dict[str, list[str]] = {}
        for block in self.blocks:
            if block != ROOT:
                found.setdefault(container_of(block), []).append(block)
        return MappingProxyType({ref: tuple(blocks) for ref, blocks in found.items()})

    def top_of(self, ref: str) -> str:
        """Return the step of the root block that a step is, or stands in."""
        while self.steps[ref].block != ROOT:
            ref = container_of(self.steps[ref].block)
        return ref

    def descendants(self, ref: str) -> frozenset[str]:
        """Return all steps that come after a step, in its block."""
        found: set[str] = set()
        left = [ref]
        while left:
            for edge in self.outgoing[left.pop()]:
                if edge.target not in found:
                    found.add(edge.target)
                    left.append(edge.target)
        return frozenset(found)

    @cached_property
    def has_bounds(self) -> bool:
        """Whether some of its steps must not run beside each other."""
        return any(spec.concurrency_key or spec.resource_class for spec in self.steps.values())

    def container_around(self, key: str, ref: str) -> tuple[str, str] | None:
        """Return the key and ref of the container that a step stands in; None for one of the root block."""
        block = self.steps[ref].block
        if block == ROOT:
            return None
        owner, prefix = container_of(block), key.removesuffix(ref)
        if self.steps[owner].type is StepType.LOOP and prefix:
            # Less the iteration.
            return prefix.removesuffix(".").rsplit(".", 1)[0], owner
        return prefix + owner, owner

    def loops_around(self, ref: str) -> tuple[str, ...]:
        """Return the loops that a step stands in, outermost first."""
        return self._loops[ref]

    @cached_property
    def _loops(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}

        def loops(ref: str) -> tuple[str, ...]:
            if ref not in found:
                block = self.steps[ref].block
                owner = container_of(block) if block != ROOT else None
                inner = (owner,) if owner and self.steps[owner].type is StepType.LOOP else ()
                found[ref] = (*(loops(owner) if owner else ()), *inner)
            return found[ref]

        return MappingProxyType({ref: loops(ref) for ref in self.steps})

    def terminal(self, block: str) -> tuple[str, ...]:
        """Return the steps of a block that nothing comes after.

        An error edge is no dependent, nor is a ``break`` at the end.
        """
        return self._terminal.get(block, ())

    @cached_property
    def _terminal(self) -> Mapping[str, tuple[str, ...]]:
        ends = {ref for ref in self.steps if self._is_end(ref) and self.steps[ref].type is not StepType.BREAK}
        return {block: tuple(ref for ref in refs if ref in ends) for block, refs in self.blocks.items()}

    def _is_end(self, ref: str) -> bool:
        return all(
            edge.label == ON_ERROR or (self.steps[edge.target].type is StepType.BREAK and self._is_end(edge.target))
            for edge in self.outgoing[ref]
        )

    @cached_property
    def handlers(self) -> frozenset[str]:
        """The steps that only an error edge leads to, directly or by way of others.

        They do not run where nothing fails.
        """
        handlers: set[str] = set()
        found = True
        while found:
            found = False
            for ref, edges in self.incoming.items():
                handles = edges and all(edge.label == ON_ERROR or edge.source in handlers for edge in edges)
                if handles and ref not in handlers:
                    handlers.add(ref)
                    found = True
        return frozenset(handlers)


def block_name(container: str, label: str) -> str:
    """Return the name of a container's block."""
    return f"{container}/{label}"


def container_of(block: str) -> str:
    """Return the ref of the container that owns a block other than the root."""
    return block.rsplit("/", 1)[0]


def label_of(block: str) -> str:
    """Return a block's label within its container: ``body``, ``try``, an arm's name."""
    return block.rsplit("/", 1)[-1]


def _grouped(refs: Iterable[str], pairs: Iterable[tuple[str, Edge]]) -> Mapping[str, tuple[Edge, ...]]:
    grouped: dict[str, list[Edge]] = {ref: [] for ref in refs}
    for ref, edge in pairs:
        grouped[ref].append(edge)
    return MappingProxyType({ref: tuple(edges) for ref, edges in grouped.items()})
