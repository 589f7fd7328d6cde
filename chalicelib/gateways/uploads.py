"""The bucket's part in uploads: signed forms and URLs, the look at what came, and the keeping of what is good.

A form puts an object under ``uploads/``, and can be posted again until its time is over. What has been looked at and
found good is copied to ``files/``, once: nothing there is ever written over, and nothing there was not looked at.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from botocore.exceptions import ClientError

from chalicelib import metering
from chalicelib.domain.upload import HEAD_BYTES, Looked, StoredFile
from chalicelib.domain.usage import Units
from chalicelib.gateways import clients

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

    from chalicelib.settings import Settings

#: Under which the forms put what is uploaded; the bucket tells the function `uploaded` of each.
UPLOADS: Final = "uploads/"
#: Under which good files are kept.
FILES: Final = "files/"
#: The tag by which the bucket's lifecycle knows what may go after a day.
UNUSED: Final = "state=unused"

_CHUNK: Final = 1024 * 1024
#: What S3 calls an object that is not there, one by one: of a read, of a HEAD, of a copy from a version.
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
#: An object of no bytes has no first ones.
_EMPTY: Final = "InvalidRange"
#: A condition of a copy does not hold, or another one to the same place is under way.
_DECLINED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a browser posts a file with, as ``multipart/form-data``, the file last."""

    url: str
    fields: Mapping[str, str]


class Uploads(Protocol):
    """What services ask of the place for files."""

    def form(self, file: StoredFile, *, valid: timedelta) -> Form:
        """Return the signed form for exactly this file: its key, its type, its size, its checksum."""

    def look(self, file: StoredFile) -> Looked | None:
        """Return what has been uploaded by now, if anything has."""

    def keep(self, file: StoredFile, looked: Looked) -> bool:
        """Keep what was looked at, as unused; return whether a file is kept that somebody has looked at.

        It is not if what was looked at is there no more, or something else in its place.
        """

    def remove_upload(self, project_id: str, file_id: str) -> None:
        """Remove what was uploaded; what is kept stays."""

    def mark_used(self, file: StoredFile) -> bool:
        """Have a kept file stay for good; return whether it is there."""

    def url(self, file: StoredFile, *, valid: timedelta) -> str:
        """Return a signed URL of a kept file, which a browser downloads and does not show."""


class S3Uploads:
    """Uploads in the deployment's bucket."""

    def __init__(self, *, bucket: str) -> None:
        self.bucket = bucket

    @classmethod
    def of(cls, settings: Settings) -> S3Uploads:
        """Return the uploads of the deployment's bucket."""
        return cls(bucket=settings.bucket)

    def form(self, file: StoredFile, *, valid: timedelta) -> Form:
        """Return the signed form. Signing asks nobody: it is this process's own credentials that S3 will judge."""
        fields = {"Content-Type": file.content_type, "success_action_status": "201", **_checksum_fields(file)}
        conditions: list[object] = [{name: value} for name, value in fields.items()]
        signed = clients.s3().generate_presigned_post(
            Bucket=self.bucket,
            Key=upload_key(file.project_id, file.id),
            Fields=dict(fields),
            Conditions=[*conditions, ["content-length-range", file.size, file.size]],
            ExpiresIn=int(valid.total_seconds()),
        )
        return Form(url=signed["url"], fields=signed["fields"])

    def look(self, file: StoredFile) -> Looked | None:
        """Return what lies there, by one read: its first bytes, or all of them where a checksum was announced."""
        reach = {} if file.sha256 is not None else {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
        metering.add(Units(s3_reads=1))
        with clients.unavailable(f"bucket {self.bucket}"):
            try:
                answer = clients.s3().get_object(
                    Bucket=self.bucket,
                    Key=upload_key(file.project_id, file.id),
                    **reach,  # type: ignore[arg-type] # it has no other
                )
            except ClientError as error:
                if clients.code_of(error) in _ABSENT:
                    return None
                if clients.code_of(error) == _EMPTY:
                    return Looked(size=0, head=b"", etag="")
                raise
            head = answer["Body"].read(HEAD_BYTES)
            whole = hashlib.sha256(head)
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                whole.update(chunk)
        told = answer.get("ContentRange")
        return Looked(
            size=int(told.rpartition("/")[2]) if told else answer["ContentLength"],
            head=head,
            sha256=whole.hexdigest() if file.sha256 is not None else None,
            etag=answer["ETag"],
            version=answer.get("VersionId"),
        )

    def keep(self, file: StoredFile, looked: Looked) -> bool:
        """Copy what was looked at, unless a file is kept already.

        The copy names the version, since an ETag is an MD5 and can be forged, and the ETag, for a bucket without
        versions. Of two that copy at once, one does: what the other looked at was good too, and nobody needs it.
        """
        source: CopySourceTypeDef = {"Bucket": self.bucket, "Key": upload_key(file.project_id, file.id)}
        if looked.version is not None:
            source["VersionId"] = looked.version
        metering.add(Units(s3_writes=1))
        with clients.unavailable(f"bucket {self.bucket}"):
            try:
                clients.s3().copy_object(
                    Bucket=self.bucket,
                    Key=file_key(file),
                    CopySource=source,
                    CopySourceIfMatch=looked.etag,
                    IfNoneMatch="*",
                    TaggingDirective="REPLACE",
                    Tagging=UNUSED,
                )
            except ClientError as error:
                if clients.code_of(error) not in _ABSENT | _DECLINED:
                    raise
                return self._is_kept(file)
        return True

    def remove_upload(self, project_id: str, file_id: str) -> None:
        """Delete the object; that it is not there is no error to S3."""
        with clients.unavailable(f"bucket {self.bucket}"):
            clients.s3().delete_object(Bucket=self.bucket, Key=upload_key(project_id, file_id))

    def mark_used(self, file: StoredFile) -> bool:
        """Take the tag away that the lifecycle goes by. Doing it twice is doing it once."""
        tags = {"TagSet": [{"Key": "state", "Value": "used"}]}
        metering.add(Units(s3_writes=1))
        with clients.unavailable(f"bucket {self.bucket}"):
            try:
                clients.s3().put_object_tagging(Bucket=self.bucket, Key=file_key(file), Tagging=tags)  # type: ignore[arg-type] # the stubs want its own type
            except ClientError as error:
                if clients.code_of(error) not in _ABSENT:
                    raise
                return False
        return True

    def url(self, file: StoredFile, *, valid: timedelta) -> str:
        """Return the signed URL. Signing asks nobody."""
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": file_key(file),
                "ResponseContentDisposition": as_attachment(file.name),
                "ResponseContentType": file.content_type,
            },
            ExpiresIn=int(valid.total_seconds()),
        )

    def _is_kept(self, file: StoredFile) -> bool:
        metering.add(Units(s3_reads=1))
        try:
            clients.s3().head_object(Bucket=self.bucket, Key=file_key(file))
        except ClientError as error:
            if clients.code_of(error) not in _ABSENT:
                raise
            return False
        return True


class FakeUploads:
    """Uploads in memory: a test puts content there in a browser's place."""

    def __init__(self) -> None:
        #: What was uploaded, by project and file.
        self.uploaded: dict[tuple[str, str], bytes] = {}
        #: What is kept, by the same.
        self.kept: dict[tuple[str, str], bytes] = {}
        #: The files that stay for good.
        self.used: set[tuple[str, str]] = set()
        #: What has been asked, in order.
        self.asked: list[str] = []
        #: What happens between the look at an upload and its keeping.
        self.meanwhile: Callable[[], None] = lambda: None

    def form(self, file: StoredFile, *, valid: timedelta) -> Form:
        """Return a form that nothing takes."""
        fields = {"key": upload_key(file.project_id, file.id), "valid": str(valid)}
        return Form(url="https://uploads.test", fields=fields)

    def look(self, file: StoredFile) -> Looked | None:
        """Return what the test has put there."""
        self.asked.append("look")
        content = self.uploaded.get((file.project_id, file.id))
        return looked_at(content) if content is not None else None

    def keep(self, file: StoredFile, looked: Looked) -> bool:
        """Keep it if it is still what was looked at, and nothing is kept yet."""
        self.asked.append("keep")
        self.meanwhile()
        place = (file.project_id, file.id)
        content = self.uploaded.get(place)
        if content is not None and looked_at(content).etag == looked.etag:
            self.kept.setdefault(place, content)
        return place in self.kept

    def remove_upload(self, project_id: str, file_id: str) -> None:
        """Forget what was uploaded."""
        self.asked.append("remove_upload")
        self.uploaded.pop((project_id, file_id), None)

    def mark_used(self, file: StoredFile) -> bool:
        """Remember it, if it is kept."""
        self.asked.append("mark_used")
        place = (file.project_id, file.id)
        self.used |= {place} & self.kept.keys()
        return place in self.kept

    def url(self, file: StoredFile, *, valid: timedelta) -> str:
        """Return a URL that leads nowhere."""
        return f"https://uploads.test/{file_key(file)}?valid={int(valid.total_seconds())}"


def looked_at(content: bytes) -> Looked:
    """Return what a look at some content tells."""
    digest = hashlib.sha256(content).hexdigest()
    return Looked(size=len(content), head=content[:HEAD_BYTES], sha256=digest, etag=digest)


def upload_key(project_id: str, file_id: str) -> str:
    """Return the key that a file's form is for."""
    return f"{UPLOADS}{project_id}/{file_id}"


def file_of(key: str) -> tuple[str, str] | None:
    """Return the project and the file whose form is for this key; None for a key that no form is for."""
    match key.split("/"):
        case [place, project_id, file_id] if f"{place}/" == UPLOADS and project_id and file_id:
            return project_id, file_id
    return None


def file_key(file: StoredFile) -> str:
    """Return the key under which a good file is kept. Its sender's name for it is no part of any key."""
    return f"{FILES}{file.project_id}/{file.id}"


def as_attachment(name: str) -> str:
    """Return the header by which a browser saves what it is sent under this name (RFC 6266, RFC 5987)."""
    plain = "".join(sign if (sign.isascii() and sign.isalnum()) or sign in "-_. " else "_" for sign in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _checksum_fields(file: StoredFile) -> dict[str, str]:
    """Return what has S3 itself hold an upload to the checksum that was announced."""
    if file.sha256 is None:
        return {}
    encoded = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": encoded}
