"""Workflows. Every write counts their revision, and is conditional on the one before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Self

from chalicelib.domain.workflow import Deployment, Workflow, WorkflowKind
from chalicelib.store import deployments, keys, transactions
from chalicelib.store.paging import Page, listed
from chalicelib.store.table import Item, MaybeText, MaybeTime, Text, Time, Whole, find, get_many, none_if_impossible
from chalicelib.store.transactions import Write

#: How many deployments, of two items each, go into one transaction beside the workflow.
_TAKEN_DOWN_AT_ONCE = 49


class WorkflowItem(Item):
    """The root of a workflow's collection."""

    project_id = Text()
    #: In the list of workflows, or in that of the trash.
    list_key = Text()
    name = Text()
    description = Text()
    kind = Text()
    current_version = Whole()
    created_at = Time()
    updated_at = Time()
    deleted_at = MaybeTime()
    trigger_code = MaybeText()
    revision = Whole()

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Return the item of a workflow."""
        if workflow.deleted_at is None:
            list_key = keys.listed_workflow(workflow.updated_at, workflow.id)
        else:
            list_key = keys.trashed_workflow(workflow.deleted_at, workflow.id)
        return cls(
            *keys.workflow(workflow.id),
            project_id=workflow.project_id,
            list_key=list_key,
            name=workflow.name,
            description=workflow.description,
            kind=workflow.kind.value,
            current_version=workflow.current_version,
            created_at=workflow.created_at,
            updated_at=workflow.updated_at,
            deleted_at=workflow.deleted_at,
            trigger_code=workflow.trigger_code,
            revision=workflow.revision,
        )

    def workflow(self) -> Workflow:
        """Return the workflow."""
        return Workflow(
            id=keys.id_of(self.pk),
            project_id=self.project_id,
            name=self.name,
            description=self.description,
            kind=WorkflowKind(self.kind),
            current_version=self.current_version,
            created_at=self.created_at,
            updated_at=self.updated_at,
            deleted_at=self.deleted_at,
            trigger_code=self.trigger_code,
            revision=self.revision,
        )


def put(workflow: Workflow) -> None:
    """Create a workflow; Exists if it is there."""
    transactions.make(transactions.create(WorkflowItem.of(workflow)))


@none_if_impossible
def load(workflow_id: str) -> Workflow | None:
    """Return the workflow, one in the trash too."""
    item = find(WorkflowItem, keys.workflow(workflow_id))
    return item.workflow() if item else None


def update(workflow: Workflow) -> None:
    """Write a changed workflow, its ``revision`` one higher; Superseded if the stored one is not the one before."""
    transactions.make(change(workflow))


def trash(workflow: Workflow, *, deployed: Sequence[tuple[Deployment, str | None]]) -> None:
    """Write a workflow that is in the trash now, and take its deployments down with it.

    ``deployed`` has each deployment with the digest of its function's token. Superseded if the workflow or one of them
    has changed. Of more than forty-nine the rest is taken down afterwards: none can be added any more by then.
    """
    first, rest = deployed[:_TAKEN_DOWN_AT_ONCE], deployed[_TAKEN_DOWN_AT_ONCE:]
    transactions.commit(change(workflow), *_removals(first))
    for deployment, digest in rest:
        transactions.commit(*deployments.removal(deployment, digest))


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Workflow]:
    """Return a project's workflows, the last changed first, without the trash; a cursor not of ours is Invalid."""
    return listed(project_id, keys.LISTED_WORKFLOWS, cursor, limit, _workflows)


def change(workflow: Workflow) -> Write:
    """Return the write of a changed workflow, to be made together with what changed it."""
    return transactions.put(WorkflowItem.of(workflow), WorkflowItem.revision == workflow.revision - 1, part="workflow")


def _removals(deployed: Sequence[tuple[Deployment, str | None]]) -> Iterator[Write]:
    return itertools.chain.from_iterable(deployments.removal(deployment, digest) for deployment, digest in deployed)


def _workflows(positions: Sequence[str]) -> Iterator[Workflow]:
    wanted = [keys.workflow(keys.member_of(position)) for position in positions]
    raws = get_many(wanted)
    found = (WorkflowItem.from_raw_data(raws[key]).workflow() for key in wanted if key in raws)
    return (workflow for workflow in found if workflow.deleted_at is None)
