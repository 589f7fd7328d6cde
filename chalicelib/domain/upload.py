"""A file that a browser uploads: a reference image for runs; and whether what came is what was announced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

#: In bytes.
LARGEST_FILE: Final = 20 * 1024 * 1024
#: How long an upload's signed form is good for.
UPLOAD_TIME: Final = timedelta(minutes=10)
#: How long a file is kept that no run has been started with.
UNUSED_KEPT: Final = timedelta(days=1)
#: From then on an unused file counts as gone, whether or not the bucket has removed it yet.
GONE_AFTER: Final = UNUSED_KEPT - timedelta(hours=1)

#: By content type: what such a file begins with, as pieces of its first bytes and where they stand; one row must hold.
SIGNATURES: Final[Mapping[str, Sequence[Mapping[int, bytes]]]] = MappingProxyType(
    {
        "image/png": ({0: b"\x89PNG\r\n\x1a\n"},),
        "image/jpeg": ({0: b"\xff\xd8\xff"},),
        "image/webp": ({0: b"RIFF", 8: b"WEBP"},),
        "image/gif": ({0: b"GIF87a"}, {0: b"GIF89a"}),
    },
)
#: As many of a file's first bytes as tell its type.
HEAD_BYTES: Final = 16


class FileStatus(StrEnum):
    """Where a file stands."""

    #: Not uploaded, or not looked at yet.
    PENDING = "pending"
    READY = "ready"
    #: It is not what was announced, and has been removed.
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file: announced, uploaded straight to the bucket, and looked at before it counts."""

    #: What clients call ``storageId``.
    id: str
    project_id: str
    #: As its sender called it.
    name: str
    #: As announced; a ready file begins with the bytes that such a file begins with.
    content_type: str
    #: As announced, in bytes.
    size: int
    #: As announced: the SHA-256 of its bytes, hexadecimal.
    sha256: str | None = None
    status: FileStatus = FileStatus.PENDING
    #: Why it was rejected.
    reason: str | None = None
    created_by: str
    created_at: datetime
    #: When it was looked at.
    checked_at: datetime | None = None
    #: When a run was first started with it; until then it is removed a day after the upload.
    used_at: datetime | None = None
    #: Counts the writes of the record; each is conditional on the one before.
    revision: int = 1

    def gone(self, now: datetime) -> bool:
        """Whether no run was started with it while it was kept, so that it is there no more."""
        return self.used_at is None and now >= self.created_at + GONE_AFTER


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What lies where a file was to be uploaded, as it was at one moment."""

    #: In bytes.
    size: int
    #: Its first bytes.
    head: bytes
    #: Of all its bytes, hexadecimal; None if they were not read.
    sha256: str | None = None
    #: The bucket's tag of this content.
    etag: str
    #: Which of the objects there have been under this name it is; None where the bucket keeps no versions.
    version: str | None = None


def fault_of(file: StoredFile, looked: Looked) -> str | None:
    """Return why what was uploaded is not the file that was announced, or None if it is."""
    if looked.size != file.size:
        return f"it has {looked.size} bytes where {file.size} were announced"
    if not _begins_as(file.content_type, looked.head):
        return f"its first bytes are not those of {file.content_type}"
    if file.sha256 is not None and looked.sha256 != file.sha256:
        return "its SHA-256 is not the one that was announced"
    return None


def _begins_as(content_type: str, head: bytes) -> bool:
    return any(
        all(head[at : at + len(piece)] == piece for at, piece in pieces.items()) for pieces in SIGNATURES[content_type]
    )
