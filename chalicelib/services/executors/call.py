"""What an executor is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.definition import StepSpec
from chalicelib.domain.outcome import Outcome
from chalicelib.domain.run import Run
from chalicelib.domain.scope import Scope
from chalicelib.domain.step import Claim, StepError
from chalicelib.domain.value import Json
from chalicelib.services.outside import Outside


@dataclass(frozen=True, kw_only=True)
class StepCall:
    """One attempt at one step."""

    run: Run
    spec: StepSpec
    claim: Claim
    #: The step's fields, templates rendered, except those that the executor wants raw.
    config: Mapping[str, Json]
    #: The names that the step's templates see.
    scope: Scope
    #: When the attempt began.
    now: datetime
    #: How long the attempt may take.
    timeout: timedelta
    outside: Outside

    @property
    def idempotency_key(self) -> str:
        """The same for every automatic attempt, so that the far end can drop the double.

        A person's retry makes a new one.
        """
        return f"{self.run.id}/{self.claim.key}/{self.claim.generation}"

    def error(self, code: str, message: str) -> StepError:
        """Return an error of this step."""
        return StepError(code=code, message=message, step=self.claim.key)

    def text(self, name: str) -> str:
        """Return a field that must be text once rendered; a ``FieldError`` otherwise."""
        value = self.config.get(name)
        if not isinstance(value, str) or not value:
            raise FieldError(name, "must be text", value)
        return value


class FieldError(ValueError):
    """A field has come out of its template as something that the step cannot use."""

    def __init__(self, name: str, rule: str, value: Json) -> None:
        shown = "null" if value is None else type(value).__name__
        super().__init__(f"{name} {rule}; it came out as {shown}")


Execute = Callable[[StepCall], Outcome]


@dataclass(frozen=True, kw_only=True)
class Executor:
    """How a type of step is executed."""

    execute: Execute
    #: Whether it asks the table at most, and ends at once; the driver then executes it in its own thread.
    inline: bool = True
    #: Fields that are expressions themselves, not rendered before the call.
    raw: frozenset[str] = frozenset()
    #: How long an attempt may take, unless the step says otherwise.
    timeout: timedelta = timedelta(seconds=60)
