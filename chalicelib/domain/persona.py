"""A persona: an agent that is described once and named by the steps of many workflows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.value import Json


class Tool(StrEnum):
    """A command-line agent, by the ``cliId`` that pipelines and personas name it by."""

    CLAUDE = "claude"
    CODEX = "codex"
    OPENCODE = "opencode"
    PI = "pi"

    @property
    def label(self) -> str:
        """What people call it."""
        return _LABELS[self]


_LABELS = {Tool.CLAUDE: "Claude Code", Tool.CODEX: "Codex", Tool.OPENCODE: "OpenCode", Tool.PI: "Pi"}


class Role(StrEnum):
    """What an agent is there for in a pipeline."""

    DESIGNER = "designer"
    CHECKER = "checker"
    OPTIMIZER = "optimizer"
    PROMPTER = "prompter"
    INVESTIGATOR = "investigator"
    DEEP_DIVE = "deep-dive"
    EVALUATOR = "evaluator"
    JUDGE = "judge"
    ANSWERER = "answerer"
    PLANNER = "planner"
    REVIEWER = "reviewer"
    CUSTOM = "custom"


class Effort(StrEnum):
    """How long an agent thinks before it acts."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass(frozen=True, kw_only=True)
class Persona:
    """An agent that is described once and named by the steps of many workflows."""

    id: str
    project_id: str
    name: str
    description: str
    #: Its role in a pipeline.
    type: Role
    cli_id: Tool
    #: None: the tool chooses by itself.
    model: str | None = None
    thinking_effort: str | None = None
    instructions: str = ""
    #: Whether steps that name it may start.
    is_enabled: bool = True
    created_at: datetime
    updated_at: datetime
    #: Set once it is deleted; runs of before still show it.
    deleted_at: datetime | None = None
    #: Counts the writes of the record; each is conditional on the one before.
    revision: int = 1

    def snapshot(self) -> dict[str, Json]:
        """Return what of it makes its steps' agents, as the payload of a run holds it."""
        return {
            "name": self.name,
            "type": self.type.value,
            "cliId": self.cli_id.value,
            "model": self.model,
            "thinkingEffort": self.thinking_effort,
            "instructions": self.instructions,
        }
