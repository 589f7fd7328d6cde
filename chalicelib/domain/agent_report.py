"""What an agent was given to work with, and what it says once it is done: what it made, and what that took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self, cast

from chalicelib.domain.usage import ModelUsage

if TYPE_CHECKING:
    from chalicelib.domain.related import Issue, Learning
    from chalicelib.domain.value import Json, Value

#: Billionths in one.
NANO: Final = 1_000_000_000
#: As much of what an agent has last printed as an error shows, in characters.
LONGEST_SHOWN: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What is to be remembered of an agent until it reports."""

    #: The command-line agent, and its model; None: the tool chooses by itself.
    cli_id: str
    model: str | None
    persona_id: str | None
    #: Of its sandbox; 1,024 units are one vCPU.
    cpu_units: int
    memory_mb: int

    @classmethod
    def of(cls, payload: Value) -> Self:
        """Return the assignment that ``as_json`` wrote."""
        if not isinstance(payload, Mapping):
            message = "an agent's ticket holds its assignment"
            raise TypeError(message)
        return cls(**cast("Mapping[str, Any]", payload))

    def as_json(self) -> dict[str, Json]:
        """Return what a ticket's payload is."""
        return asdict(self)


def with_tail(message: str, tail: str | None) -> str:
    """Return a message with the end of what an agent has printed, if it has printed anything."""
    printed = (tail or "").strip()[-LONGEST_SHOWN:]
    return f"{message}; it last printed: {printed}" if printed else message


class Verdict(StrEnum):
    """What a checker says of what it has looked at."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class AgentReport:
    """An agent's report; it becomes its step's output."""

    #: Any JSON.
    output: Json
    verdict: Verdict | None = None
    #: What is to be done better.
    feedback: str | None = None
    #: Where its work lies.
    branch_name: str | None = None
    pr_url: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    #: In billionths of a US dollar.
    cost_nano_usd: int = 0
    issues: tuple[Issue, ...] = ()
    learnings: tuple[Learning, ...] = ()

    def usage(self, tool: str, model: str) -> ModelUsage:
        """Return what it has used, as that of a tool and model."""
        return ModelUsage(
            tool=tool,
            model=model,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_nano_usd=self.cost_nano_usd,
        )

    def as_json(self) -> dict[str, Json]:
        """Return what its step's output is; what was not said is left out."""
        said: dict[str, Json] = {
            "verdict": self.verdict.value if self.verdict is not None else None,
            "feedback": self.feedback,
            "branchName": self.branch_name,
            "prUrl": self.pr_url,
            "issues": [{"title": one.title, "severity": one.severity} for one in self.issues] or None,
            "learnings": [{"title": one.title, "body": one.body} for one in self.learnings] or None,
        }
        return {
            "output": self.output,
            **{name: value for name, value in said.items() if value is not None},
            "usage": {
                "inputTokens": self.input_tokens,
                "outputTokens": self.output_tokens,
                "costUsd": self.cost_nano_usd / NANO,
            },
        }
