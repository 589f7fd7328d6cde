"""The records of uploaded files; their content lies in the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Self

from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.store import keys, times, transactions
from chalicelib.store.keys import Key
from chalicelib.store.table import (
    Item,
    MaybeText,
    MaybeTime,
    MaybeWhole,
    Raw,
    Text,
    Time,
    Whole,
    find,
    get_many,
    none_if_impossible,
)

#: How long the record of a file is kept that no run was started with; the file itself goes sooner.
RECORD_KEPT: Final = timedelta(days=7)


class FileItem(Item):
    """A file's record. It has no list key, and so stands in no list."""

    project_id = Text()
    name = Text()
    content_type = Text()
    size = Whole()
    sha256 = MaybeText()
    status = Text()
    reason = MaybeText()
    created_by = Text()
    created_at = Time()
    checked_at = MaybeTime()
    used_at = MaybeTime()
    revision = Whole()
    #: In seconds, until it is used: some time after it DynamoDB removes the item.
    ttl = MaybeWhole()

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        """Return the item of a file."""
        return cls(
            *keys.file(file.id),
            project_id=file.project_id,
            name=file.name,
            content_type=file.content_type,
            size=file.size,
            sha256=file.sha256,
            status=file.status.value,
            reason=file.reason,
            created_by=file.created_by,
            created_at=file.created_at,
            checked_at=file.checked_at,
            used_at=file.used_at,
            revision=file.revision,
            ttl=times.seconds_of(file.created_at + RECORD_KEPT) if file.used_at is None else None,
        )

    def file(self) -> StoredFile:
        """Return the file."""
        return StoredFile(
            id=keys.id_of(self.pk),
            project_id=self.project_id,
            name=self.name,
            content_type=self.content_type,
            size=self.size,
            sha256=self.sha256,
            status=FileStatus(self.status),
            reason=self.reason,
            created_by=self.created_by,
            created_at=self.created_at,
            checked_at=self.checked_at,
            used_at=self.used_at,
            revision=self.revision,
        )


def put(file: StoredFile) -> None:
    """Create a file's record; Exists if there is one, which the same request made before."""
    transactions.make(transactions.create(FileItem.of(file), part="file"))


def save(file: StoredFile) -> None:
    """Write a changed record, its ``revision`` one higher; Superseded if the stored one is not the one before.

    Of two that change it at once, one does; who wrote the very same cannot tell, and need not.
    """
    item = FileItem.of(file)
    text = item.serialize()
    as_judged = FileItem.revision == file.revision - 1
    write = transactions.put(item, as_judged, part="file")
    transactions.make_once(write, FileItem, landed=lambda stored: stored.serialize() == text)


@none_if_impossible
def load(file_id: str) -> StoredFile | None:
    """Return a file's record as it stands now."""
    item = find(FileItem, keys.file(file_id))
    return item.file() if item else None


def load_many(file_ids: Iterable[str]) -> dict[str, StoredFile]:
    """Return the records as they stand now, by id, in one batch; those that are not there are left out."""
    places = {place: file_id for file_id in file_ids if (place := place_of(file_id)) is not None}
    return {places[key]: read(raw) for key, raw in get_many(places).items()}


@none_if_impossible
def place_of(file_id: str) -> Key | None:
    """Return where a file's record lies, for a batch that reads other things too; None if no file has such an id."""
    return keys.file(file_id)


def read(raw: Raw) -> StoredFile:
    """Return the record that a batch has read."""
    return FileItem.from_raw_data(raw).file()
