"""The items of a workflow's versions, mapped to and from the domain's version."""

from __future__ import annotations

from typing import Self

from chalicelib.domain.workflow import WorkflowVersion
from chalicelib.store import keys, transactions, values
from chalicelib.store.table import Flag, Item, MaybeText, Text, Time, Whole
from chalicelib.store.transactions import Write


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
    name = MaybeText()
    description = MaybeText()
    summary = MaybeText()

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
            name=version.name,
            description=version.description,
            summary=version.summary,
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
            name=self.name,
            description=self.description,
            summary=self.summary,
        )


class VersionIdItem(Item):
    """Which number a version's id has, so that finding one does not read them all."""

    number = Whole()


def creation(version: WorkflowVersion) -> tuple[Write, Write]:
    """Return the writes that add a version and what finds it by its id."""
    pointer = VersionIdItem(*keys.version_id(version.workflow_id, version.id), number=version.number)
    return (
        transactions.create(VersionItem.of(version), part="version"),
        transactions.create(pointer, part="version"),
    )
