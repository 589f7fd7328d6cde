"""What a step's templates see.

The payload, the run, the steps before it, and the names of the loops and catches around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from chalicelib.domain.blocks import Block
from chalicelib.domain.definition import ON_ERROR, Definition, StepType
from chalicelib.domain.lazy import LazyMapping
from chalicelib.domain.step import Reset, StepRecord
from chalicelib.domain.value import Json, Resolve, Value, resolved

#: Names that always mean the same; a step's ref or a loop's variable cannot take them.
BUILT_IN = frozenset({"event", "payload", "steps", "run", "error"})


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What of a run its steps may see, and what people have decided about them."""

    id: str
    workflow_id: str
    version: int
    payload: Value
    created_at: str
    triggered_by: str = "api"
    #: Steps, by ref, that are to be skipped.
    disabled: tuple[str, ...] = ()
    #: What people had begin anew, the oldest first.
    resets: tuple[Reset, ...] = ()

    @property
    def generation(self) -> int:
        """The generation of what is recorded from now on."""
        return 1 + len(self.resets)

    @cached_property
    def reopened_in(self) -> int:
        """The generation that began when a run that had ended was last reopened; 0 where it never was."""
        return max((reset.generation for reset in self.resets if reset.reopened), default=0)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The names visible from one step, looked up one by one: a step's output is fetched only if a template names it."""

    definition: Definition
    run: RunFacts
    records: Mapping[str, StepRecord]
    block: Block
    resolve: Resolve
    #: The step that looks; none for a container's own block.
    ref: str | None = None

    def get(self, name: str) -> Json:
        """Return what ``name`` means here; None where it means nothing."""
        match name:
            case "payload":
                return resolved(self.run.payload, self.resolve)
            case "event":
                return {"payload": resolved(self.run.payload, self.resolve), "timestamp": self.run.created_at}
            case "run":
                return self._run()
            case "steps":
                return LazyMapping(self.definition.steps, self.step)
            case "error":
                return self._error()
            case _:
                return self._named(name)

    def step(self, ref: str) -> Mapping[str, Json] | None:
        """Return a step's output, status and error as ``steps.<ref>`` shows them.

        None where it has not come to anything.
        """
        record = self._record(ref)
        if record is None:
            return None
        shown: dict[str, Callable[[], Json]] = {
            "output": lambda: resolved(record.output, self.resolve),
            "status": lambda: str(record.status),
            "error": lambda: record.error.as_json() if record.error else None,
        }
        return LazyMapping(shown, lambda name: shown[name]())

    def with_output(self, output: Json) -> WithOutput:
        """Return these names, and the step's own ``output``."""
        return WithOutput(scope=self, output=output)

    def _run(self) -> Json:
        facts = self.run
        return {
            "id": facts.id,
            "workflow_id": facts.workflow_id,
            "version": facts.version,
            "created_at": facts.created_at,
            "triggered_by": facts.triggered_by,
        }

    def _named(self, name: str) -> Json:
        block: Block | None = self.block
        while block is not None:
            if name in block.names:
                return block.names[name]
            block = block.outer
        record = self._record(name)
        if record is None:
            return None
        output = resolved(record.output, self.resolve)
        return _with_body(output) if self.definition.steps[name].type is StepType.HTTP_REQUEST else output

    def _record(self, ref: str) -> StepRecord | None:
        key = self.key_of(ref)
        return self.records.get(key) if key is not None else None

    def key_of(self, ref: str) -> str | None:
        """Return the key of the instance that ``ref`` means from here.

        None inside a loop that this step is outside of.
        """
        if ref not in self.definition.steps:
            return None
        around = self.definition.loops_around(ref)
        here = self.block.loops
        if len(around) > len(here) or any(mine[0] != theirs for mine, theirs in zip(here, around, strict=False)):
            return None
        return (here[len(around) - 1][1] if around else "") + ref

    def _error(self) -> Json:
        """Return the error that led here: by an error edge, else the one that the nearest ``catch`` caught."""
        for edge in self.definition.incoming[self.ref] if self.ref else ():
            record = self._record(edge.source)
            if edge.label == ON_ERROR and record is not None and record.error is not None:
                return record.error.as_json()
        block: Block | None = self.block
        while block is not None:
            if "error" in block.names:
                return block.names["error"]
            block = block.outer
        return None


@dataclass(frozen=True, kw_only=True)
class WithOutput:
    """What an ``output_transform`` sees: the names of its step, and ``output``."""

    scope: Scope
    output: Json

    def get(self, name: str) -> Json:
        """Return what ``name`` means here."""
        return self.output if name == "output" else self.scope.get(name)


def _with_body(output: Json) -> Json:
    """Return an HTTP answer with its body's own fields beside it, so that ``{{ id.x }}`` finds them."""
    if isinstance(output, Mapping) and isinstance(output.get("body"), Mapping):
        body = output["body"]
        assert isinstance(body, Mapping)  # noqa: S101 - tells the type checker what the line before has tested
        return {**body, **output}
    return output
