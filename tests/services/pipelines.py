"""Workflows of the workflow library, in as few words as a test needs."""

from __future__ import annotations

from datetime import datetime

from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowVersion
from chalicelib.services import identifiers, library
from chalicelib.services.library import Changes, Request
from chalicelib.services.publishing import Published
from chalicelib.store import versions as version_store
from tests.services.library import ALICE, NOW, PROJECT

CHECKER: dict[str, Json] = {"type": "checker", "cliId": "codex"}


def a_designer(**fields: Json) -> dict[str, Json]:
    """Return a step of a pipeline."""
    return {"type": "designer", "cliId": "claude", **fields}


def asked(at: datetime = NOW) -> Request:
    """Return who asks."""
    return Request(actor=ALICE, now=at)


def a_library_workflow(*steps: Json, name: str = "Posters", at: datetime = NOW, **fields: Json) -> Published:
    """Create a workflow of steps, or of one."""
    pipeline: dict[str, Json] = {"pipelineSteps": list(steps or (a_designer(),)), **fields}
    new_id = identifiers.workflow_id()
    return library.create(PROJECT, new_id, name=name, description="", pipeline=pipeline, request=asked(at))


def update(published: Published, *, at: datetime = NOW, name: str | None = None, **fields: Json) -> Published:
    """Change a workflow's fields, its name among them if one is given."""
    changes = Changes(pipeline=fields) if name is None else Changes(name=name, pipeline=fields)
    return library.update(PROJECT, published.workflow.id, changes=changes, request=asked(at))


def history(workflow_id: str) -> list[WorkflowVersion]:
    """Return a workflow's versions, the oldest first."""
    page = version_store.page(workflow_id, cursor=None, limit=100)
    return list(reversed(page.items))


def summaries(workflow_id: str) -> list[str | None]:
    """Return what a workflow's versions say of themselves, the oldest first."""
    return [version.summary for version in history(workflow_id)]
