"""The trash: workflows go there, come back, or are gone for good; their runs go on, and can be read by id for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from chalicelib import logs
from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Conflict
from chalicelib.domain.workflow import Deployment, Workflow
from chalicelib.logs import Action
from chalicelib.services import bulk, contents, publishing, workflows
from chalicelib.services.availability import PASSING
from chalicelib.services.bulk import Done
from chalicelib.services.faults import describe
from chalicelib.services.judging import judged_anew
from chalicelib.store import purging, run_lists
from chalicelib.store import versions as version_store
from chalicelib.store import workflows as store
from chalicelib.store.errors import Exists

#: How many items are removed of a workflow that is gone for good by the request itself, and by each sweep.
MOST_AT_ONCE: Final = 500
#: How many workflows a sweep goes on removing.
_MOST_WORKFLOWS: Final = 4


def delete_many(project_id: str, workflow_ids: Sequence[str], *, now: datetime) -> tuple[Done, ...]:
    """Put each workflow in the trash, and say what became of each, in the order given; named twice, it is told once."""

    def deleted(workflow_id: str) -> Done:
        workflows.delete_or_leave(project_id, workflow_id, now=now)
        return Done(id=workflow_id)

    return bulk.each(list(dict.fromkeys(workflow_ids)), deleted, noun="Workflow")


def restore(project_id: str, workflow_id: str, *, actor: Actor, now: datetime) -> Workflow:
    """Take a workflow out of the trash, what was deployed deployed again, its schedule due again, under its old slug.

    One that does not lie there stays as it is. Conflict where another has the slug by now.
    """

    def use_case() -> Workflow:
        before = workflows.load_with_runs_even_deleted(project_id, workflow_id)
        if before.deleted_at is None:
            return before
        after = replace(
            before,
            deleted_at=None,
            trashed_version=None,
            due_at=publishing.due_at(before.settings, now),
            updated_at=now,
            revision=before.revision + 1,
        )
        try:
            store.restore(after, _deployment(before, actor, now))
        except Exists:
            raise publishing.slug_taken(after) from None
        return after

    return judged_anew(use_case)


def purge(project_id: str, workflow_id: str, *, now: datetime) -> None:
    """Remove a workflow that lies in the trash for good: its versions and statistics, and all that hangs on it.

    Conflict where it is not in the trash, or has runs that have not ended. It is gone for everybody at once; what is
    left of it after the first few hundred items is removed by the sweep.
    """

    def use_case() -> Workflow:
        before = workflows.load_with_runs_even_deleted(project_id, workflow_id)
        if before.deleted_at is None:
            raise Conflict("the workflow is not deleted: delete it first")
        # A run of this moment may be missed. It fails in plain words when it finds its version gone.
        if run_lists.any_active(before.id):
            raise Conflict("the workflow has runs that have not ended: cancel them, or wait for them")
        purged = replace(before, purged_at=now, updated_at=now, revision=before.revision + 1)
        store.purge(purged)
        return purged

    _remove(judged_anew(use_case).id)


def go_on_purging() -> int:
    """Go on removing what is left of workflows that are gone for good, and say of how many there was something."""
    left = purging.unfinished(_MOST_WORKFLOWS)
    for workflow_id in left:
        _remove(workflow_id)
    return len(left)


def _remove(workflow_id: str) -> None:
    """Remove a part of it; whatever goes wrong, the workflow is gone already, and the sweep tries again."""
    try:
        purging.remove(workflow_id, MOST_AT_ONCE)
    except PASSING as error:
        logs.tell(Action.PURGE_INTERRUPTED, workflow_id=workflow_id, fault=describe(error))


def _deployment(workflow: Workflow, actor: Actor, now: datetime) -> Deployment | None:
    """Return what was deployed of it when it went to the trash, to be deployed again."""
    number = workflow.trashed_version
    version = version_store.load(workflow.id, number) if number is not None else None
    if version is None:
        return None
    deployment = publishing.deployment_of(workflow, version, actor, now)
    if number == workflow.current_version:
        return deployment
    # A newer one was saved and never deployed: the workflow's settings and outline are that one's.
    content = contents.content_of(version, contents.values_of(workflow.project_id))
    return replace(deployment, settings=content.settings, personas=contents.outline_of(content).personas)
