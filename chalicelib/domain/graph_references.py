"""Whether what templates refer to is there when they are rendered. Any dialect's definition can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from chalicelib.domain.definition import ROOT, Definition, StepType, block_name, container_of, label_of
from chalicelib.domain.graph_order import Places, successors_of
from chalicelib.domain.graph_problems import shown
from chalicelib.domain.references import STEPS, Reference
from chalicelib.domain.scope import BUILT_IN

#: Names that a loop's steps see beside the loop's own two.
LOOP_NAMES = frozenset({"item", "index"})
#: The parts of a ``try_catch`` in the order in which they run.
_PARTS: Mapping[str, int] = {"try": 0, "catch": 1, "finally": 2}
_WORDS = frozenset({"true", "false", "null"})


class Sight(StrEnum):
    """From where a reference looks."""

    #: From a step, when it is about to start.
    STEP = "step"
    #: From a ``while`` loop's condition, between two iterations.
    AGAIN = "again"
    #: From after the whole run, as a function's answer does.
    END = "end"


class Visibility:
    """Which steps each step of a definition may refer to."""

    def __init__(self, definition: Definition, *, order: Sequence[str]) -> None:
        self._definition = definition
        self._places = Places(definition.steps)
        edges = ((edge.source, edge.target) for edge in definition.edges)
        self._before = self._places.before(order, successors_of(definition.steps, edges))
        self._blocks_around: dict[str, tuple[str, ...]] = {}
        self._loop_names: dict[tuple[str, Sight], frozenset[str]] = {}

    def problem(self, reference: Reference, *, ref: str, sight: Sight = Sight.STEP) -> str | None:
        """Return what is wrong with a reference from step ``ref``, or None if all is well."""
        if reference.step is None and (reference.root in BUILT_IN or reference.root in self._names(ref, sight)):
            return None
        target = reference.step if reference.root == STEPS and reference.step is not None else reference.root
        if target not in self._definition.steps:
            return missing(reference)
        return self._hidden(target, ref, sight)

    def _names(self, ref: str, sight: Sight) -> frozenset[str]:
        """Return the names of the loops around a step."""
        if sight is Sight.END:
            return frozenset()
        if (ref, sight) not in self._loop_names:
            around = [container_of(block) for block in self._around(ref)]
            loops = [one for one in ([ref] if sight is Sight.AGAIN else []) + around if self._is_loop(one)]
            configs = [self._definition.steps[loop].config for loop in loops]
            named = {str(config.get(name)) for config in configs for name in ("itemVar", "indexVar")}
            self._loop_names[ref, sight] = LOOP_NAMES | named if loops else frozenset()
        return self._loop_names[ref, sight]

    def _around(self, ref: str) -> tuple[str, ...]:
        """Return the blocks that a step stands in, innermost first, the root left out."""
        if ref not in self._blocks_around:
            block = self._definition.steps[ref].block
            self._blocks_around[ref] = () if block == ROOT else (block, *self._around(container_of(block)))
        return self._blocks_around[ref]

    def _is_loop(self, ref: str) -> bool:
        return self._definition.steps[ref].type is StepType.LOOP

    def _hidden(self, target: str, ref: str, sight: Sight) -> str | None:
        # Each list leads from the step outwards: the step, then the containers around it.
        theirs = [target, *map(container_of, self._around(target))]
        mine = [] if sight is Sight.END else [ref, *map(container_of, self._around(ref))]
        if ref in theirs[1:] and sight is Sight.STEP:
            return f"{shown(target)} is inside {shown(ref)}, and starts after it"
        blocks = set() if sight is Sight.END else set(self._around(ref))
        if sight is Sight.AGAIN:
            blocks.add(block_name(ref, "body"))
            mine.insert(0, "")
        if target in mine:
            return _itself(target, ref)
        closed = [one for one in theirs[1:] if self._is_loop(one) and block_name(one, "body") not in blocks]
        if closed:
            return f"{shown(target)} is inside the loop {shown(closed[-1])}; use the loop's output"
        if sight is Sight.END or self._is_over(theirs, mine):
            return None
        return f"{shown(target)} does not come before {shown(ref)}, so it has no output there"

    def _is_over(self, theirs: Sequence[str], mine: Sequence[str]) -> bool:
        """Whether a step is over when another starts: the innermost block that is around both decides it."""
        common = next((one for one in theirs if one in mine), None)
        if common is None:
            return self._comes_before(theirs[-1], mine[-1])
        inner, outer = theirs[theirs.index(common) - 1], mine[mine.index(common) - 1]
        if not outer:
            return True
        theirs_in, mine_in = self._definition.steps[inner].block, self._definition.steps[outer].block
        if theirs_in == mine_in:
            return self._comes_before(inner, outer)
        if self._definition.steps[common].type is not StepType.TRY_CATCH:
            return False
        return _PARTS[label_of(theirs_in)] < _PARTS[label_of(mine_in)]

    def _comes_before(self, ref: str, other: str) -> bool:
        return bool(self._before[other] & self._places.bit[ref])


def missing(reference: Reference) -> str:
    """Say that there is no such name, with what may have been meant."""
    name = reference.step if reference.step is not None else reference.root
    said = f"there is no step {shown(name)}"
    if name in _WORDS or name[:1].isdigit():
        return f"{said}; true, false, null and numbers are written in backticks, as in `{name}`"
    if f'"{name}"' in reference.expression and reference.step is None:
        return f"{said}; text is written in single quotes, as in '{name}'"
    if "-" in name:
        return f"{said}; a hyphen is part of a name, never a minus"
    return said


def _itself(target: str, ref: str) -> str:
    if target == ref:
        return "a step cannot refer to itself: it has no output yet"
    return f"{shown(target)} contains {shown(ref)}, so it has no output there yet"
