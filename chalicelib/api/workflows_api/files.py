"""Files: uploaded by browsers straight to the bucket, which alone ever serves them."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from chalicelib.api.bodies import Body, Parameters
from chalicelib.api.requests import Caller
from chalicelib.api.workflows_api.surface import Data, Id, Identified, Shown, Time, api
from chalicelib.domain.access import Scope
from chalicelib.domain.upload import LARGEST_FILE, SIGNATURES, FileStatus, StoredFile
from chalicelib.services import files
from chalicelib.services.files import Announced, Announcement

#: How long the URL of a ready file is good for.
URL_TIME: Final = timedelta(minutes=10)

_TYPES: Final = tuple(SIGNATURES)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
_DIGEST_BYTES: Final = 32
#: Unicode's categories of what a name of one line cannot hold: controls, and the ends of lines and paragraphs.
_CONTROLS: Final = frozenset({"Cc", "Zl", "Zp"})


def _one_line(text: str) -> str:
    if not text.strip() or any(unicodedata.category(sign) in _CONTROLS for sign in text):
        raise ValueError("must be a name: no control characters, and not blank")
    return text


def _known_type(text: str) -> str:
    if text not in _TYPES:
        raise ValueError(f"must be one of {', '.join(_TYPES)}")
    return text


def _hexadecimal(text: str) -> str:
    """Return the digest's bytes as hexadecimal; that is also how it may be sent."""
    if _HEX.fullmatch(text):
        return text.lower()
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        raise ValueError("must be a SHA-256: 64 hexadecimal digits, or its 32 bytes in base64")
    return digest.hex()


class RequestUpload(Body):
    """A file that is to be uploaded."""

    #: As its sender calls it.
    file_name: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_one_line)]
    content_type: Annotated[str, AfterValidator(_known_type), WithJsonSchema({"type": "string", "enum": list(_TYPES)})]
    #: In bytes; the upload must have exactly as many.
    size: Annotated[int, Field(ge=1, le=LARGEST_FILE)]
    #: Of its bytes, in hexadecimal or base64. The upload must have it.
    checksum_sha256: Annotated[str, StringConstraints(max_length=64), AfterValidator(_hexadecimal)] | None = None


class WhichFile(Parameters):
    """Which file."""

    storage_id: Id


class UploadShown(Shown):
    """How to upload a file: post the fields and then the file, named `file`, as `multipart/form-data`."""

    upload_url: str
    method: str = "POST"
    #: All of them, unchanged, each before the file.
    fields: dict[str, str]
    #: What the file is called from now on.
    storage_id: str
    #: When the form is good no more.
    expires_at: Time

    @classmethod
    def of(cls, announced: Announced) -> Self:
        """Return what is shown of an upload to be made."""
        return cls(
            upload_url=announced.form.url,
            fields=dict(announced.form.fields),
            storage_id=announced.file.id,
            expires_at=announced.expires_at,
        )


class FileShown(Identified):
    """A file."""

    storage_id: str
    status: FileStatus
    #: Why it was rejected.
    reason: str | None
    file_name: str
    content_type: str
    #: In bytes.
    size: int
    created_at: Time
    #: Where a ready file can be downloaded from; it is saved, not shown.
    url: str | None
    #: When the URL is good no more.
    url_expires_at: Time | None

    @classmethod
    def of(cls, file: StoredFile, *, caller: Caller) -> Self:
        """Return what is shown of a file."""
        is_ready = file.status is FileStatus.READY
        return cls(
            id=file.id,
            also_id=file.id,
            storage_id=file.id,
            status=file.status,
            reason=file.reason,
            file_name=file.name,
            content_type=file.content_type,
            size=file.size,
            created_at=file.created_at,
            url=files.url_of(file, int(URL_TIME.total_seconds())) if is_ready else None,
            url_expires_at=caller.now + URL_TIME if is_ready else None,
        )


@api.endpoint("POST", "/api/v1/files/upload-url", scope=Scope.FILES_WRITE, status=201, body=RequestUpload)
def request_upload(caller: Caller, body: RequestUpload) -> Data[UploadShown]:
    """Announce an image and get the form that uploads it, good for ten minutes and for exactly this file.

    What is uploaded is looked at before it counts: ask for the file until it is `ready` or `rejected`. A file that no
    run is started with is removed a day later.
    """
    announced = files.announce(
        caller.project_id,
        Announcement(name=body.file_name, content_type=body.content_type, size=body.size, sha256=body.checksum_sha256),
        actor=caller.actor,
        now=caller.now,
        derived=caller.once.derived_id("file") if caller.once is not None else None,
    )
    return Data[UploadShown](data=UploadShown.of(announced))


@api.endpoint("GET", "/api/v1/files/get", scope=Scope.FILES_WRITE, query=WhichFile)
def get_file(caller: Caller, query: WhichFile) -> Data[FileShown]:
    """Show a file; one that has been uploaded and not looked at yet is looked at now."""
    file = files.load(caller.project_id, query.storage_id, now=caller.now)
    return Data[FileShown](data=FileShown.of(file, caller=caller))
