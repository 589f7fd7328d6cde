"""Versions of a workflow, by number, and by an id that says the number."""

from __future__ import annotations

from typing import Self

from pynamodb.expressions.condition import And, Condition

from chalicelib.domain.workflow import Workflow, WorkflowVersion
from chalicelib.store import keys, transactions, values, workflows
from chalicelib.store.paging import Page, decoded_number, page_of
from chalicelib.store.table import Flag, Item, MaybeText, Text, Time, Whole, find, none_if_impossible, query


class VersionItem(Item):
    """A version."""

    id = Text()
    source = MaybeText()
    source_handle = MaybeText()
    #: Absent while it may still change.
    deployed = Flag()
    created_by = Text()
    created_at = Time()
    updated_at = Time()
    restored_from = MaybeText()

    @classmethod
    def of(cls, version: WorkflowVersion) -> Self:
        """Return the item of a version."""
        return cls(
            *keys.version(version.workflow_id, version.number),
            id=version.id,
            source=values.inline(version.source),
            source_handle=values.handle(version.source),
            deployed=version.deployed or None,
            created_by=version.created_by,
            created_at=version.created_at,
            updated_at=version.updated_at,
            restored_from=version.restored_from,
        )

    def version(self) -> WorkflowVersion:
        """Return the version."""
        return WorkflowVersion(
            id=self.id,
            workflow_id=keys.id_of(self.pk),
            number=int(keys.member_of(self.sk)),
            source=values.value_of(self.source, self.source_handle),
            deployed=bool(self.deployed),
            created_by=self.created_by,
            created_at=self.created_at,
            updated_at=self.updated_at,
            restored_from=self.restored_from,
        )


class VersionIdItem(Item):
    """Which number a version's id has, so that finding one does not read them all."""

    number = Whole()


def create(version: WorkflowVersion, *, workflow: Workflow) -> None:
    """Add a version, together with its workflow whose ``current_version`` it now is.

    Superseded if the workflow changed meanwhile: of two versions made at once, one has the number.
    """
    pointer = VersionIdItem(*keys.version_id(version.workflow_id, version.id), number=version.number)
    transactions.commit(
        workflows.change(workflow),
        transactions.create(VersionItem.of(version), part="version"),
        transactions.create(pointer, part="version"),
    )


def overwrite(version: WorkflowVersion, *, workflow: Workflow) -> None:
    """Write the newest version in place, together with its workflow; Superseded if it is deployed or either changed.

    A deployment, too, holds on to the time of the version's last change, so that what is deployed is what was judged.
    """
    still_open = And(VersionItem.id == version.id, VersionItem.deployed.does_not_exist())
    transactions.commit(
        workflows.change(workflow),
        transactions.put(VersionItem.of(version), still_open, part="version"),
    )


@none_if_impossible
def load(workflow_id: str, number: int) -> WorkflowVersion | None:
    """Return a version by its number."""
    item = find(VersionItem, keys.version(workflow_id, number))
    return item.version() if item else None


@none_if_impossible
def find_by_id(workflow_id: str, version_id: str) -> WorkflowVersion | None:
    """Return a version by its id."""
    pointer = find(VersionIdItem, keys.version_id(workflow_id, version_id))
    return load(workflow_id, pointer.number) if pointer else None


def page(workflow_id: str, *, cursor: str | None, limit: int) -> Page[WorkflowVersion]:
    """Return a workflow's versions, newest first; a cursor that is none of ours is Invalid."""
    within: Condition = VersionItem.sk.startswith(keys.VERSIONS)
    if cursor is not None:
        within = VersionItem.sk.between(keys.VERSIONS, keys.version(workflow_id, decoded_number(cursor) - 1).sk)
    found: dict[str, WorkflowVersion] = {}
    for raw in query(keys.workflow(workflow_id).pk, within, descending=True, limit=limit + 1):
        version = VersionItem.from_raw_data(raw).version()
        found[keys.position(version.created_at, str(version.number))] = version
    return page_of(list(found), limit, lambda wanted: (found[position] for position in wanted))
