"""Strategies for the engine's property tests: definitions with everything nested in everything, and what may happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

from hypothesis import strategies as st

from chalicelib.domain import condition
from chalicelib.domain.condition import Condition
from chalicelib.domain.definition import (
    ON_ERROR,
    ROOT,
    Definition,
    Edge,
    OnFailure,
    ResourceClass,
    StepSpec,
    StepType,
    block_name,
)
from chalicelib.domain.graph_problems import Place
from chalicelib.domain.value import Json
from tests.domain.building import a_step

MOST_STEPS = 12
DEEPEST = 3
BRANCHES = ("a", "b")
EVENT_TYPES = ("x", "y")

#: What loops go by. ``payload.n`` is 3; a body's steps answer {"go": …}, which may be no text to take the length of.
_ROUNDS = "index == `null` || index < `1`"
_LOOPS: tuple[dict[str, Json], ...] = (
    {"loopType": "times", "count": 2},
    {"loopType": "forEach", "collection": ["a", "b"]},
    {"loopType": "times", "count": "{{ payload.n }}"},
    {"loopType": "while", "condition": _ROUNDS},
    {"loopType": "times", "count": 0},
    {"loopType": "forEach", "collection": "{{ payload.n }}"},
)

_CONDITIONS = 5


@cache
def conditions(ref: str) -> tuple[Condition, ...]:
    """Return what a step may ask before it runs, of a step before it or of the payload; the last cannot be told."""
    asked: tuple[Json, ...] = (
        {"step_status": {"step_ref": ref, "status": "completed"}},
        {"step_status_in": {"step_ref": ref, "statuses": ["failed", "skipped"]}},
        {"not": {"step_status": {"step_ref": ref, "status": "failed"}}},
        {"eq": {"left": "{{ payload.n }}", "right": 3}},
        {"exists": "{{ length(payload.n) }}"},
    )
    found = [condition.read(one, Place()) for one in asked]
    return tuple(one for one in found if one is not None)


@dataclass
class _Drawing:
    draw: Callable[[st.SearchStrategy], object]
    steps: list[StepSpec] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def pick(self, *options: object) -> object:
        return self.draw(st.sampled_from(options))

    def number(self, least: int, most: int) -> int:
        drawn = self.draw(st.integers(least, most))
        assert isinstance(drawn, int)
        return drawn

    def block(self, name: str, *, depth: int) -> None:
        refs = [self.step(name, depth) for _ in range(self.number(1, 4)) if len(self.steps) < MOST_STEPS]
        for position, target in enumerate(refs):
            for source in refs[:position]:
                if self.draw(st.booleans()):
                    self.edge(source, target)

    def edge(self, source: StepSpec, target: StepSpec) -> None:
        labels = (*BRANCHES, ON_ERROR) if source.type is StepType.BRANCH else ("", "", ON_ERROR)
        label, required = str(self.pick(*labels)), self.number(0, 1) == 1
        self.edges.append(Edge(source=source.ref, target=target.ref, label=label, required=required))

    def step(self, block: str, depth: int) -> StepSpec:
        containers = (StepType.LOOP, StepType.RACE, StepType.TRY_CATCH) if depth < DEEPEST else ()
        plain = (StepType.TRANSFORM, StepType.TRANSFORM, StepType.TRANSFORM, StepType.BRANCH, StepType.BREAK)
        type_ = StepType(str(self.pick(*plain, *containers)))
        spec = a_step(
            f"s{len(self.steps)}",
            type_,
            block=block,
            retries=self.number(0, 2),
            on_failure=OnFailure(
                str(self.pick(OnFailure.FAIL_WORKFLOW, OnFailure.CONTINUE, OnFailure.SKIP_DEPENDENTS))
            ),
        )
        bounds: tuple[dict[str, Any], ...] = (
            {},
            {},
            {"concurrency_key": "one"},
            {"resource_class": ResourceClass.LARGE},
        )
        spec = replace(spec, **bounds[self.number(0, 3)])
        at = len(self.steps)
        self.steps.append(spec)
        if type_ is StepType.LOOP:
            config = self.pick(*_LOOPS)
            assert isinstance(config, dict)
            self.steps[at] = spec = replace(spec, config={"itemVar": "item", "indexVar": "index", **config})
        for label in self.labels(type_):
            inner = block_name(spec.ref, label)
            before = len(self.steps)
            self.block(inner, depth=depth + 1)
            if len(self.steps) == before:
                # No block is empty, however few steps are left to give.
                self.steps.append(a_step(f"s{before}", block=inner))
        return spec

    def conditions(self) -> None:
        """Give some steps of the root block, where step lists have them, a condition on a step right before them."""
        for edge in self.edges:
            at = next(at for at, spec in enumerate(self.steps) if spec.ref == edge.target)
            if self.steps[at].block == ROOT and self.number(0, 3) == 0:
                condition = conditions(edge.source)[self.number(0, _CONDITIONS - 1)]
                self.steps[at] = replace(self.steps[at], condition=condition)

    def labels(self, type_: StepType) -> tuple[str, ...]:
        match type_:
            case StepType.LOOP:
                return ("body",)
            case StepType.RACE:
                return ("left", "right")
            case StepType.TRY_CATCH:
                found = self.pick(("try", "catch"), ("try", "finally"), ("try", "catch", "finally"), ("try",))
                assert isinstance(found, tuple)
                return found
            case _:
                return ()


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Any definition of a dozen steps or so: graphs without cycles, block by block."""
    drawing = _Drawing(draw)
    drawing.block(ROOT, depth=0)
    drawing.conditions()
    return Definition(steps={spec.ref: spec for spec in drawing.steps}, edges=tuple(drawing.edges))


class Kind(StrEnum):
    """What may happen to a run."""

    NOTHING = "nothing"
    COMPLETE = "complete"
    FAIL = "fail"
    FAIL_FOR_GOOD = "fail for good"
    WAIT = "wait"
    WAIT_BRIEFLY = "wait briefly"
    SLEEP = "sleep"
    ASK = "ask"
    CHILD = "child"
    JOB = "job"
    AGENT = "agent"
    WORK = "work"
    WORK_ENDS = "work ends"
    WORK_FAILS = "work fails"
    EVENT = "event"
    DECIDE = "decide"
    ANSWER = "a child or a worker answers"
    ANSWER_WITH_FAILURE = "a child or a worker answers that it failed"
    LATER = "later"
    PAUSE = "pause"
    RESUME = "resume"
    CRASH = "crash"
    CRASH_IN_WRITE = "crash in write"
    RECOVER = "recover"
    LATE_DRIVER = "late driver"
    #: What people do; ``MEANWHILE`` has the driver end attempts while the next of them does it.
    CANCEL = "cancel"
    APPROVE = "approve"
    REJECT = "reject"
    SKIP = "skip"
    FORCE = "force-complete"
    RETRY = "retry"
    REPLAY = "replay-subtree"
    MEANWHILE = "meanwhile"


@dataclass(frozen=True)
class Happening:
    """One thing that happens; ``pick`` says to which of those that it may happen to, and how."""

    kind: Kind
    pick: int = 0


#: Steps complete more often than not, so that runs come far; an example shrinks towards nothing that happens.
_KINDS = (*Kind, *[Kind.COMPLETE] * 8, Kind.FAIL, Kind.WORK, Kind.WORK, Kind.WORK_ENDS, Kind.WORK_ENDS, Kind.EVENT)
#: What people may do to the steps of a run that has ended, and what may be found of it only then.
_AFTERWARDS = (Kind.NOTHING, Kind.RETRY, Kind.REPLAY, Kind.WORK_ENDS)

happenings = st.lists(st.builds(Happening, st.sampled_from(_KINDS), st.integers(0, 7)), min_size=15, max_size=40)

afterwards = st.lists(st.builds(Happening, st.sampled_from(_AFTERWARDS), st.integers(0, 7)), max_size=4)
#: Steps that whoever started the run had skipped.
disabled = st.sets(st.integers(0, MOST_STEPS - 1), max_size=2).map(lambda found: tuple(f"s{at}" for at in found))
