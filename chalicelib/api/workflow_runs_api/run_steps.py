"""Steps of a run in the workflow-runs API: listed and shown. What people do to them is in ``step_verbs``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.step_rows import StepRunOut
from chalicelib.api.workflow_runs_api.surface import Parameters, api, listed
from chalicelib.domain.access import Scope
from chalicelib.domain.run import Run
from chalicelib.domain.timeline import Entry
from chalicelib.services import step_pages


class StepQuery(Parameters):
    """What of a step is asked for."""

    #: `attempts` adds the earlier attempts.
    include: Literal["attempts"] | None = None

    @property
    def attempts(self) -> bool:
        """Whether earlier attempts are asked for."""
        return self.include is not None

    @property
    def row(self) -> Callable[[Run, Entry], StepRunOut]:
        """What shows a step as it is asked for."""
        return StepRunOut.with_attempts if self.attempts else StepRunOut.of


class StepsQuery(StepQuery):
    """Which of a run's steps."""

    cursor: Annotated[str | None, Field(min_length=1, max_length=1000)] = None


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/steps", scope=Scope.RUNS_READ, query=StepsQuery)
def list_step_runs(caller: Caller, run_id: str, query: StepsQuery) -> Reply[Sequence[StepRunOut]]:
    """List a run's steps in their workflow's order, the iterations of a loop after it.

    All of them, unless their outputs are more than one answer holds: then `X-Next-Cursor` leads on.
    """
    found = step_pages.page(caller.project_id, run_id, attempts=query.attempts, cursor=query.cursor)
    return listed([query.row(found.run, one) for one in found.page.items], found.page.cursor)


@api.endpoint("GET", "/v1/workflow-runs/{run_id}/steps/{step_ref}", scope=Scope.RUNS_READ, query=StepQuery)
def show_step_run(caller: Caller, run_id: str, step_ref: str, query: StepQuery) -> StepRunOut:
    """Show a step of a run as it is now."""
    found = step_pages.one(caller.project_id, run_id, step_ref, attempts=query.attempts)
    [step] = found.page.items
    return query.row(found.run, step)
