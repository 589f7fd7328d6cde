"""What a list of workflows shows beside each: its agents, how many steps it has, and what became of its last run.

It takes the same few calls for one workflow as for a page of them, and none is read but what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.persona import Persona, Tool
from chalicelib.domain.run import RunStatus
from chalicelib.domain.workflow import Outline, Workflow
from chalicelib.services import personas
from chalicelib.store import counters, run_lists


@dataclass(frozen=True, kw_only=True)
class Display:
    """What is shown beside a workflow."""

    #: The command-line agents of its steps, its personas' among them, each once.
    tools: tuple[Tool, ...]
    step_count: int
    #: When its last run was created.
    last_run_at: datetime | None
    last_run_status: RunStatus | None


def of(project_id: str, workflows: Sequence[Workflow]) -> dict[str, Display]:
    """Return what is shown beside each of a project's workflows, by its id."""
    if not workflows:
        return {}
    named = list(dict.fromkeys(persona for one in workflows for persona in one.outline.personas))
    known = personas.load_many(project_id, named) if named else {}
    last = counters.last_runs(one.id for one in workflows)
    statuses = run_lists.statuses(run.run_id for run in last.values()) if last else {}
    return {
        one.id: Display(
            tools=_tools(one.outline, known),
            step_count=one.outline.step_count,
            last_run_at=last[one.id].at if one.id in last else None,
            last_run_status=statuses.get(last[one.id].run_id) if one.id in last else None,
        )
        for one in workflows
    }


def _tools(outline: Outline, known: Mapping[str, Persona]) -> tuple[Tool, ...]:
    of_personas = (known[persona].cli_id for persona in outline.personas if persona in known)
    return tuple(dict.fromkeys([*map(Tool, outline.tools), *of_personas]))
