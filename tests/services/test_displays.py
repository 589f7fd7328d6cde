"""What a list of workflows shows beside each, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.domain.persona import Role, Tool
from chalicelib.domain.run import RunStatus
from chalicelib.services import displays, personas, workflows
from chalicelib.store import counters, runs
from chalicelib.store.table import connection
from tests.services.library import NOW, PROJECT, a_workflow, later
from tests.services.pipelines import CHECKER, a_designer, a_library_workflow
from tests.store.builders import a_run

pytestmark = pytest.mark.usefixtures("table", "payloads")


@contextmanager
def calls() -> Iterator[list[str]]:
    """Note what DynamoDB is asked meanwhile."""
    asked: list[str] = []
    events = connection().connection.client.meta.events

    def note(model: Any, **_: object) -> None:
        asked.append(model.name)

    events.register("before-call.dynamodb", note)
    try:
        yield asked
    finally:
        events.unregister("before-call.dynamodb", note)


def a_persona(persona_id: str, tool: Tool) -> str:
    draft = personas.Draft(
        name="p",
        description="",
        type=Role.JUDGE,
        cli_id=tool,
        model=None,
        thinking_effort=None,
        instructions="",
        is_enabled=True,
    )
    return personas.create(PROJECT, persona_id, draft=draft, now=NOW).id


def a_numbered_run(workflow_id: str, status: RunStatus) -> None:
    run = a_run(project_id=PROJECT, workflow_id=workflow_id, status=status, created_at=later(5))
    counters.next_number(workflow_id, run_id=run.id, at=run.created_at)
    runs.put(run)


def test_tools_are_the_steps_own_and_their_personas_each_once() -> None:
    staff = [a_persona("per_1", Tool.CODEX), a_persona("per_2", Tool.PI)]
    steps = [{"personaId": one} for one in (*staff, "per_unknown", *staff)]
    staffed = a_library_workflow(personaPipelineSteps=steps).workflow
    plain = a_library_workflow(a_designer(), CHECKER, a_designer()).workflow
    found = displays.of(PROJECT, [staffed, plain])
    assert (found[staffed.id].tools, found[staffed.id].step_count) == ((Tool.CODEX, Tool.PI), 5)
    assert (found[plain.id].tools, found[plain.id].step_count) == ((Tool.CLAUDE, Tool.CODEX), 3)


def test_the_last_run_is_shown_as_it_stands() -> None:
    made, never = a_library_workflow().workflow, a_workflow()
    a_numbered_run(made.id, RunStatus.PAUSED)
    found = displays.of(PROJECT, [made, never])
    assert (found[made.id].last_run_at, found[made.id].last_run_status) == (later(5), RunStatus.PAUSED)
    assert (found[never.id].last_run_at, found[never.id].last_run_status) == (None, None)


def test_a_page_costs_as_many_calls_however_many_workflows_it_shows() -> None:
    persona = a_persona("per_1", Tool.PI)
    for _ in range(12):
        made = a_library_workflow(personaPipelineSteps=[{"personaId": persona}]).workflow
        a_numbered_run(made.id, RunStatus.RUNNING)
    asked = {}
    for limit in (1, 12):
        with calls() as asked[limit]:
            page = workflows.page_with_runs(PROJECT, cursor=None, limit=limit)
            assert len(displays.of(PROJECT, page.items)) == limit
    assert asked[1] == asked[12] == ["Query", *["BatchGetItem"] * 4]
    with calls() as nothing:
        assert displays.of(PROJECT, []) == {}
    assert nothing == []
