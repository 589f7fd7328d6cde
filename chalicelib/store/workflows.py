"""Workflows. Every write counts their revision, and is conditional on the one before."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

from pynamodb.expressions.update import Action

from chalicelib.domain.workflow import Deployment, Workflow, WorkflowVersion
from chalicelib.store import deployments, keys, times, transactions, version_items
from chalicelib.store.counters import active_runs
from chalicelib.store.keys import Key
from chalicelib.store.paging import Page, decoded, listed, page_of, positions
from chalicelib.store.table import ByProject, Sweep, find, get_many, none_if_impossible, query
from chalicelib.store.transactions import Write
from chalicelib.store.workflow_items import SlugItem, WorkflowItem, due_milliseconds

__all__ = [
    "active_runs",
    "change",
    "create",
    "due",
    "find_by_slug",
    "load",
    "page",
    "page_with_trash",
    "publish",
    "purge",
    "put",
    "restore",
    "set_due",
    "trash",
    "update",
]

#: How many deployments, of two items each, go into one transaction beside the workflow.
_TAKEN_DOWN_AT_ONCE = 49


def put(workflow: Workflow) -> None:
    """Create a workflow that has neither slug nor version; Exists if it is there."""
    transactions.make(transactions.create(WorkflowItem.of(workflow)))


def create(
    workflow: Workflow,
    version: WorkflowVersion | None = None,
    deployment: Deployment | None = None,
) -> None:
    """Create a workflow, with its slug, its first version and what is deployed of it, all or nothing.

    Exists by its ``part``: the ``workflow`` is there already, or else its ``slug`` is another's. Of two that take one
    slug at once, one has it.
    """
    transactions.commit(
        transactions.create(WorkflowItem.of(workflow), part="workflow"),
        *([_slug_taken(workflow)] if workflow.slug is not None else ()),
        *(version_items.creation(version) if version is not None else ()),
        *([deployments.placing(deployment, None)] if deployment is not None else ()),
    )


def publish(
    workflow: Workflow,
    version: WorkflowVersion,
    deployment: Deployment,
    *,
    before: Workflow,
    replaces: Deployment | None,
) -> None:
    """Write a changed workflow with one more version, and deploy that in place of ``replaces``, all or nothing.

    Superseded if the workflow is not of the revision before, or something else is deployed there: of two that publish
    at once, one does. Exists if its new slug is another's.
    """
    transactions.commit(
        change(workflow),
        *version_items.creation(version),
        deployments.placing(deployment, replaces),
        *_slug_moved(before, workflow),
    )


@none_if_impossible
def find_by_slug(project_id: str, slug: str) -> Workflow | None:
    """Return the project's workflow of that slug, if it has one."""
    pointer = find(SlugItem, keys.slug(project_id, slug))
    workflow = load(pointer.workflow_id) if pointer else None
    # Between the two reads it may have been given another slug, or gone to the trash.
    return workflow if workflow is not None and workflow.slug == slug and workflow.deleted_at is None else None


@none_if_impossible
def load(workflow_id: str) -> Workflow | None:
    """Return the workflow, one in the trash too; one that is gone for good is none, whatever is left of it."""
    item = find(WorkflowItem, keys.workflow(workflow_id))
    return item.workflow() if item and item.purged_at is None else None


def update(workflow: Workflow) -> None:
    """Write a changed workflow, its ``revision`` one higher; Superseded if the stored one is not the one before.

    Its slug stays. Should its schedule have been set on since it was loaded, it is due again at the time before: the
    run that was started then has an id that follows from that time, and is not started twice.
    """
    transactions.make(change(workflow))


def trash(workflow: Workflow, *, deployed: Sequence[tuple[Deployment, str | None]]) -> None:
    """Write a workflow that is in the trash now, take its deployments down with it, free its slug and end its schedule.

    ``deployed`` has each deployment with the digest of its function's token. Superseded if the workflow or one of them
    has changed. Of more than forty-nine the rest is taken down afterwards: none can be added any more by then.
    """
    first, rest = deployed[:_TAKEN_DOWN_AT_ONCE], deployed[_TAKEN_DOWN_AT_ONCE:]
    freed = (_slug_freed(workflow),) if workflow.slug is not None else ()
    transactions.commit(change(workflow), *freed, *_removals(first))
    for deployment, digest in rest:
        transactions.commit(*deployments.removal(deployment, digest))


def restore(workflow: Workflow, deployment: Deployment | None) -> None:
    """Write a workflow that is out of the trash again, with its slug and what is deployed of it, all or nothing.

    Superseded if the workflow has changed; nothing can have been deployed of it meanwhile. Exists if its slug is
    another's by now.
    """
    transactions.commit(
        change(workflow),
        *([_slug_taken(workflow)] if workflow.slug is not None else ()),
        *([deployments.placing(deployment, None)] if deployment is not None else ()),
    )


def purge(workflow: Workflow) -> None:
    """Write a workflow that is gone for good from now on; Superseded if the stored one is not the one before.

    From then on the sweep sees it, until the last of it is removed. Made twice because the first answer was lost, it is
    made once.
    """
    transactions.make_once(
        change(workflow),
        WorkflowItem,
        landed=lambda stored: (stored.revision, stored.purged_at) == (workflow.revision, workflow.purged_at),
    )


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows, the last changed first, without the trash; a cursor not of ours is Invalid."""
    return listed(project_id, keys.LISTED_WORKFLOWS, cursor, limit, _workflows)


def page_with_trash(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows, those in the trash too, the last changed or deleted first.

    Places are of one kind in both lists, so that one cursor holds for both. A workflow that goes from one list to the
    other meanwhile may stand in both, and is shown once.
    """
    before = decoded(cursor) if cursor is not None else None
    index = ByProject.Meta.index_name
    lists = (keys.LISTED_WORKFLOWS, keys.TRASHED_WORKFLOWS)
    found = [place for one in lists for place in positions(index, project_id, one, before, limit + 1)]
    return page_of(heapq.nlargest(limit + 1, found), limit, _even_deleted)


def due(now: datetime, limit: int) -> list[Workflow]:
    """Return at most ``limit`` workflows whose schedule is due by now, the longest due first, as they stand now."""
    by_now = WorkflowItem.next_check_at <= times.milliseconds_of(now)
    found = query(keys.SCHEDULE_SHARD, by_now, index=Sweep.Meta.index_name, limit=limit)
    workflows = _at([Key(raw["pk"]["S"], raw["sk"]["S"]) for raw in found])
    return [workflow for workflow in workflows if workflow.due_at is not None and workflow.due_at <= now]


def set_due(workflow: Workflow, due_at: datetime | None) -> None:
    """Set when a workflow's schedule is due next, or that it never is, and leave all else as it is.

    Superseded if it has another due time than it was loaded with, or none: whoever changed the workflow has set it
    anew. Of two sweeps that set the same, both succeed.
    """
    before = due_milliseconds(workflow)
    as_loaded = WorkflowItem.next_check_at.does_not_exist() if before is None else WorkflowItem.next_check_at == before
    after = times.milliseconds_of(due_at) if due_at is not None else None
    actions: list[Action] = (
        [WorkflowItem.next_check_at.remove(), WorkflowItem.sweep_shard.remove()]
        if after is None
        else [WorkflowItem.next_check_at.set(after), WorkflowItem.sweep_shard.set(keys.SCHEDULE_SHARD)]
    )
    in_use = WorkflowItem.pk.exists() & WorkflowItem.deleted_at.does_not_exist()
    transactions.make_once(
        transactions.update(WorkflowItem, keys.workflow(workflow.id), actions, in_use & as_loaded, part="workflow"),
        WorkflowItem,
        landed=lambda stored: (stored.next_check_at, stored.deleted_at) == (after, None),
    )


def change(workflow: Workflow) -> Write:
    """Return the write of a changed workflow, to be made together with what changed it."""
    return transactions.put(WorkflowItem.of(workflow), WorkflowItem.revision == workflow.revision - 1, part="workflow")


def _removals(deployed: Sequence[tuple[Deployment, str | None]]) -> Iterator[Write]:
    return itertools.chain.from_iterable(deployments.removal(deployment, digest) for deployment, digest in deployed)


def _workflows(positions: Sequence[str]) -> Iterator[Workflow]:
    found = _at([keys.workflow(keys.member_of(position)) for position in positions])
    return (workflow for workflow in found if workflow.deleted_at is None)


def _even_deleted(positions: Sequence[str]) -> Iterator[Workflow]:
    return _at(list(dict.fromkeys(keys.workflow(keys.member_of(position)) for position in positions)))


def _at(wanted: Sequence[Key]) -> Iterator[Workflow]:
    raws = get_many(wanted)
    found = (WorkflowItem.from_raw_data(raws[key]).workflow() for key in wanted if key in raws)
    return (workflow for workflow in found if workflow.purged_at is None)


def _slug_moved(before: Workflow, after: Workflow) -> Iterator[Write]:
    """Yield the writes that give a workflow its new slug, if it is a new one."""
    if before.slug == after.slug:
        return
    if before.slug is not None:
        yield _slug_freed(before)
    if after.slug is not None:
        yield _slug_taken(after)


def _slug_taken(workflow: Workflow) -> Write:
    return transactions.create(SlugItem(*_slug_key(workflow), workflow_id=workflow.id), part="slug")


def _slug_freed(workflow: Workflow) -> Write:
    return transactions.delete(SlugItem, _slug_key(workflow), SlugItem.workflow_id == workflow.id, part="slug")


def _slug_key(workflow: Workflow) -> Key:
    return keys.slug(workflow.project_id, workflow.slug or "")
