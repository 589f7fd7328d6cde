"""Which of a run's legal moves each API offers, and how it words what it declines; the moves are ``run``'s own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chalicelib.domain.refusal import BadRequest, IllegalMove, Refusal
from chalicelib.domain.run import MOVES, TARGETS, RunCommand, RunStatus


@dataclass(frozen=True, kw_only=True)
class Manners:
    """One API's verbs for a whole run."""

    #: The statuses that a command is taken in, where they are fewer than ``MOVES`` has.
    offered: Mapping[RunCommand, frozenset[RunStatus]]
    #: Commands that are answered "it is so already" where it is.
    repeatable: frozenset[RunCommand]
    #: What is said where a command is declined; ``{status}`` is the run's. Others say what would be legal.
    declined: Mapping[RunCommand, str]

    def is_done(self, command: RunCommand, status: RunStatus) -> bool:
        """Whether the run is as the command would have it, and that is as good."""
        return command in self.repeatable and status is TARGETS[command]

    def takes(self, command: RunCommand, status: RunStatus) -> bool:
        """Whether the command would move a run in this status."""
        return command in MOVES[status] and status in self.offered.get(command, frozenset(RunStatus))

    def refusal(self, command: RunCommand, status: RunStatus) -> Refusal | None:
        """Return why a command is declined; None where it is taken."""
        if self.takes(command, status):
            return None
        if command in self.declined:
            return BadRequest(self.declined[command].format(status=status))
        legal = ", ".join(one for one in MOVES[status] if self.takes(one, status)) or "nothing"
        return IllegalMove(f"cannot {command} a run that is {status}; legal now: {legal}")


#: Dialect A.
TRIGGER_API = Manners(
    offered=MappingProxyType({}),
    repeatable=frozenset({RunCommand.PAUSE, RunCommand.CANCEL}),
    declined=MappingProxyType({}),
)

#: Dialect B.
WORKFLOW_RUNS_API = Manners(
    offered=MappingProxyType({RunCommand.PAUSE: frozenset({RunStatus.RUNNING})}),
    repeatable=frozenset({RunCommand.PAUSE}),
    declined=MappingProxyType(
        {
            RunCommand.PAUSE: "cannot pause a workflow run in {status} status; only a running one can be paused",
            RunCommand.RESUME: "workflow run is not paused: it is {status}",
            RunCommand.CANCEL: "workflow run already in terminal state: it is {status}",
        },
    ),
)
