"""Files: announced, uploaded straight to the bucket, looked at before they count, and used by runs.

Whoever comes first looks at an upload: the function `uploaded`, a question about the file, or a run that is to start
with it. A file is kept once, and each write of its record is conditional on the one before: so an event that is late,
doubled or out of order finds nothing left to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib import logs
from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Detail, Invalid, NotFound
from chalicelib.domain.upload import UPLOAD_TIME, FileStatus, StoredFile, fault_of
from chalicelib.gateways.uploads import Form, file_of
from chalicelib.logs import Action
from chalicelib.services import identifiers
from chalicelib.services.clock import SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.store import files as store
from chalicelib.store.errors import Exists, Superseded

#: What the ids of a run's images are called where one of them is refused.
FIELD: Final = "referenceImageIds"

_GONE: Final = "was not used within a day of its upload, and has been removed"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What is said of a file before it is uploaded."""

    #: As its sender calls it.
    name: str
    content_type: str
    #: In bytes.
    size: int
    #: Of its bytes, hexadecimal.
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A file that may be uploaded now."""

    file: StoredFile
    #: What to upload it with.
    form: Form
    #: When the form is good no more.
    expires_at: datetime


def announce(
    project_id: str, announcement: Announcement, *, actor: Actor, now: datetime, derived: str | None = None
) -> Announced:
    """Create a file and return the form to upload it with.

    Made again with the same ``derived``, the request finds the file that it made before, and is given a form for it.
    """
    file = StoredFile(
        id=identifiers.file_id(derived),
        project_id=project_id,
        name=announcement.name,
        content_type=announcement.content_type,
        size=announcement.size,
        sha256=announcement.sha256,
        created_by=actor.name,
        created_at=now,
    )
    with contextlib.suppress(Exists):
        store.put(file)
    return Announced(file=file, form=current().uploads.form(file, valid=UPLOAD_TIME), expires_at=now + UPLOAD_TIME)


def load(project_id: str, file_id: str, *, now: datetime) -> StoredFile:
    """Return a project's file, looked at if it has been uploaded by now; NotFound if there is none, or no more."""
    file = store.load(identifiers.known_form(file_id, "File"))
    if file is None or file.project_id != project_id or file.gone(now):
        raise NotFound("File not found")
    return checked(file, now=now, outside=current())


def uploaded(key: str, *, now: datetime) -> None:
    """Do what an object under this key asks for: look at it, or remove it if its file needs none any more.

    What no form was made for is left to the bucket, which removes it after a day.
    """
    project_id, file_id = file_of(key) or ("", "")
    file = store.load(file_id)
    if file is None or file.project_id != project_id:
        return
    outside = current()
    if file.status is not FileStatus.PENDING:
        # The form was posted again, or the event comes twice, or whoever looked at it could not remove it.
        outside.uploads.remove_upload(project_id, file_id)
        return
    checked(file, now=now, outside=outside)


def checked(file: StoredFile, *, now: datetime, outside: Outside) -> StoredFile:
    """Return the file as it stands once it has been looked at, if it is pending and has been uploaded.

    The record is written after what it tells has been done, and before the upload is removed. A crash between leaves a
    pending file that is looked at again, or an upload that the bucket removes.
    """
    if file.status is not FileStatus.PENDING:
        return file
    looked = outside.uploads.look(file)
    fault = fault_of(file, looked) if looked is not None else None
    if looked is None or (fault is None and not outside.uploads.keep(file, looked)):
        # Nothing is there: it has not been uploaded, or since its record was read another one has looked at it and
        # removed it. Or something else has been uploaded since: its own event, or the next question, finds that.
        return store.load(file.id) or file
    status = FileStatus.READY if fault is None else FileStatus.REJECTED
    after = replace(file, status=status, reason=fault, checked_at=now, revision=file.revision + 1)
    try:
        store.save(after)
    except Superseded:
        # Another one has looked at it at the same time, and its word stands: if that is that it was rejected, what is
        # kept here is no file's, and goes as unused files do.
        return store.load(file.id) or file
    logs.tell(Action.UPLOAD_JUDGED, project_id=file.project_id, file_id=file.id, status=status.value)
    outside.uploads.remove_upload(file.project_id, file.id)
    return after


def use(
    project_id: str, file_ids: Sequence[str], *, now: datetime, found: Mapping[str, StoredFile] | None = None
) -> list[StoredFile]:
    """Return a project's ready files, in this order, for a run to start with: from now on they are kept for good.

    Whatever is no ready file of the project is refused as Invalid, by name and with what is the matter; then none is
    marked as used. Files that runs were started with before cost the one read of all, or nothing if ``found``.
    """
    outside = current()
    held = store.load_many(file_ids) if found is None else found
    files = [_looked_up(project_id, held.get(file_id), now=now, outside=outside) for file_id in file_ids]
    faults = [_why_not(file, now) for file in files]
    _refuse(file_ids, faults)
    used = [_used(file, now=now, outside=outside) for file in files if file is not None]
    _refuse(file_ids, [_GONE if file is None else None for file in used])
    return [file for file in used if file is not None]


def ready_images(project_id: str, file_ids: Sequence[str]) -> list[StoredFile]:
    """Return the files that a step names, as for a run that starts now: its run may have been started without them."""
    return use(project_id, file_ids, now=SystemClock().now())


def url_of(file: StoredFile, seconds: int = 3600) -> str:
    """Return a URL from which a ready file can be downloaded for so long, by whoever has it."""
    return current().uploads.url(file, valid=timedelta(seconds=seconds))


def _looked_up(project_id: str, file: StoredFile | None, *, now: datetime, outside: Outside) -> StoredFile | None:
    if file is None or file.project_id != project_id:
        return None
    return file if file.gone(now) else checked(file, now=now, outside=outside)


def _why_not(file: StoredFile | None, now: datetime) -> str | None:
    if file is None:
        return "is no file of this project"
    if file.status is FileStatus.REJECTED:
        return f"was rejected: {file.reason}"
    if file.status is FileStatus.PENDING:
        return "has not been uploaded yet"
    return _GONE if file.gone(now) else None


def _refuse(file_ids: Sequence[str], faults: Sequence[str | None]) -> None:
    details = tuple(
        Detail(path=f"{FIELD}.{place}", message=f"{file_id} {fault}")
        for place, (file_id, fault) in enumerate(zip(file_ids, faults, strict=True))
        if fault is not None
    )
    if details:
        raise Invalid(f"{FIELD}: {details[0].message}; an image must be ready", field=FIELD, details=details)


def _used(file: StoredFile, *, now: datetime, outside: Outside) -> StoredFile | None:
    """Return the file as one that is kept for good, or None if the bucket has removed it.

    The bucket is told before the record is written: a crash between keeps a file too many, never one too few.
    """
    if file.used_at is not None:
        return file
    if not outside.uploads.mark_used(file):
        return None
    after = replace(file, used_at=now, revision=file.revision + 1)
    try:
        store.save(after)
    except Superseded:
        # A ready file's record changes by its first use alone: another run has made it.
        return store.load(file.id)
    return after
