"""Values too large to lie in a record: kept in S3 under the hash of their text, and never changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from chalicelib import metering
from chalicelib.domain.usage import Units
from chalicelib.gateways import clients

if TYPE_CHECKING:
    from chalicelib.settings import Settings


class PayloadMissing(LookupError):
    """No payload of the project has that digest."""


class PayloadStore(Protocol):
    """What services ask of the place for large values."""

    def put(self, project_id: str, text: str) -> str:
        """Keep a text, and return its digest: the SHA-256 of its UTF-8, hexadecimal."""

    def get(self, project_id: str, digest: str) -> str:
        """Return the text with that digest, or raise PayloadMissing."""

    def check(self) -> None:
        """Raise Unavailable unless the place is there and ours to use."""


class S3PayloadStore:
    """Payloads as objects ``payloads/<project>/<digest>``, so that a project's can be told apart and deleted."""

    def __init__(self, *, bucket: str) -> None:
        self.bucket = bucket

    @classmethod
    def of(cls, settings: Settings) -> S3PayloadStore:
        """Return the store in the deployment's bucket."""
        return cls(bucket=settings.bucket)

    def put(self, project_id: str, text: str) -> str:
        """Keep a text, and return its digest.

        Two writers of one key are harmless: the key is the hash of the content, so whoever comes last writes what lies
        there already, and S3 shows a reader one whole object or the other, never a mixture.
        """
        content = text.encode()
        digest = digest_of(text)
        with clients.unavailable(f"bucket {self.bucket}"):
            clients.s3().put_object(
                Bucket=self.bucket, Key=_key(project_id, digest), Body=content, ContentType="application/json"
            )
        metering.add(Units(s3_writes=1))
        return digest

    def get(self, project_id: str, digest: str) -> str:
        """Return the text with that digest, or raise PayloadMissing."""
        with clients.unavailable(f"bucket {self.bucket}"):
            try:
                answer = clients.s3().get_object(Bucket=self.bucket, Key=_key(project_id, digest))
            except ClientError as error:
                if clients.code_of(error) != "NoSuchKey":
                    raise
                raise PayloadMissing(digest) from error
            metering.add(Units(s3_reads=1))
            return answer["Body"].read().decode()

    def check(self) -> None:
        """Raise Unavailable unless the bucket is there and ours to use."""
        with clients.unavailable(f"bucket {self.bucket}"):
            clients.s3().head_bucket(Bucket=self.bucket)


class FakePayloadStore:
    """Payloads in memory."""

    def __init__(self) -> None:
        #: The texts, by project and digest.
        self.texts: dict[tuple[str, str], str] = {}

    def put(self, project_id: str, text: str) -> str:
        """Keep a text, and return its digest."""
        digest = digest_of(text)
        self.texts[project_id, digest] = text
        return digest

    def get(self, project_id: str, digest: str) -> str:
        """Return the text with that digest, or raise PayloadMissing."""
        try:
            return self.texts[project_id, digest]
        except KeyError:
            raise PayloadMissing(digest) from None

    def check(self) -> None:
        """Do nothing: memory is there."""


def digest_of(text: str) -> str:
    """Return the SHA-256 of the text's UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _key(project_id: str, digest: str) -> str:
    return f"payloads/{project_id}/{digest}"
