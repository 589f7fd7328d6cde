"""A file that a browser uploads: a reference image for runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: In bytes.
LARGEST_FILE: Final = 20 * 1024 * 1024
#: How long an upload's signed form is good for.
UPLOAD_TIME: Final = timedelta(minutes=10)
#: How long a file is kept that no run has been started with.
UNUSED_KEPT: Final = timedelta(days=1)


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
