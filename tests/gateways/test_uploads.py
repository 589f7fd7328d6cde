"""The bucket's part in uploads: as the local S3 plays it, and the fake, alike; and what is particular to S3."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import urllib3

from chalicelib.domain.upload import Looked, StoredFile
from chalicelib.gateways import clients
from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.uploads import (
    FakeUploads,
    S3Uploads,
    Uploads,
    as_attachment,
    file_key,
    file_of,
    looked_at,
    upload_key,
)
from infra.local import LocalStack
from tests.pictures import a_png

PNG = a_png()
VALID = timedelta(minutes=10)
_numbers = itertools.count(1)


class SharedStack(Protocol):
    """What `tests.conftest` shares among the tests."""

    def stack(self) -> LocalStack:
        """Return the running stack."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place for files, and how a test puts something there and looks at what is kept."""

    uploads: Uploads
    stack: LocalStack | None

    def put(self, file: StoredFile, content: bytes) -> None:
        if isinstance(self.uploads, FakeUploads):
            self.uploads.uploaded[file.project_id, file.id] = content
        else:
            assert self.stack is not None
            key = upload_key(file.project_id, file.id)
            self.stack.s3.put_object(Bucket=self.stack.resources.bucket, Key=key, Body=content, ContentType="image/png")

    def kept(self, file: StoredFile) -> bytes | None:
        if isinstance(self.uploads, FakeUploads):
            return self.uploads.kept.get((file.project_id, file.id))
        answer = urllib3.request("GET", self.uploads.url(file, valid=VALID))
        return answer.data if answer.status == 200 else None

    def looked(self, file: StoredFile) -> Looked:
        looked = self.uploads.look(file)
        assert looked is not None
        return looked


@pytest.fixture
def stack(_module_stack: SharedStack) -> Iterator[LocalStack]:
    """The session's stack, its clients kept from one test to the next."""
    running = _module_stack.stack()
    yield running
    assert running.wait_idle(30)


@pytest.fixture
def s3(stack: LocalStack) -> S3Uploads:
    return S3Uploads(bucket=stack.resources.bucket)


@pytest.fixture(params=[S3Uploads, FakeUploads])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param is FakeUploads:
        return Place(uploads=FakeUploads(), stack=None)
    return Place(uploads=request.getfixturevalue("s3"), stack=request.getfixturevalue("stack"))


def a_file(content: bytes = PNG, **changes: object) -> StoredFile:
    file = StoredFile(
        id=f"file_{next(_numbers)}",
        project_id="proj_of_the_test",
        name="a.png",
        content_type="image/png",
        size=len(content),
        created_by="key",
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return replace(file, **changes)  # type: ignore[arg-type]


def test_nothing_is_there_before_the_upload_and_nothing_is_kept(place: Place) -> None:
    file = a_file()
    assert place.uploads.look(file) is None
    assert not place.uploads.mark_used(file)
    assert not place.uploads.keep(file, looked_at(PNG))
    place.uploads.remove_upload(file.project_id, file.id)


@pytest.mark.parametrize("content", [PNG, b"", b"GIF"])
def test_a_look_tells_size_and_first_bytes(place: Place, content: bytes) -> None:
    file = a_file()
    place.put(file, content)
    looked = place.looked(file)
    assert (looked.size, looked.head) == (len(content), content[:16])


def test_a_look_reads_the_whole_where_a_checksum_was_announced(place: Place) -> None:
    content = PNG * 40_000
    file = a_file(content, sha256="00" * 32)
    place.put(file, content)
    looked = place.looked(file)
    assert (looked.size, looked.head, looked.sha256) == (len(content), PNG[:16], hashlib.sha256(content).hexdigest())


def test_what_was_looked_at_is_kept_and_stays_when_the_upload_goes(place: Place) -> None:
    file = a_file()
    place.put(file, PNG)
    assert place.uploads.keep(file, place.looked(file))
    place.uploads.remove_upload(file.project_id, file.id)
    assert place.uploads.look(file) is None
    assert place.kept(file) == PNG
    assert place.uploads.mark_used(file)
    assert place.uploads.mark_used(file)


def test_what_is_kept_is_never_written_over(place: Place) -> None:
    file = a_file()
    place.put(file, PNG)
    assert place.uploads.keep(file, place.looked(file))
    place.put(file, b"GIF89a something else")
    assert place.uploads.keep(file, place.looked(file))
    assert place.kept(file) == PNG


def test_what_was_posted_after_the_look_is_not_kept(place: Place) -> None:
    file = a_file()
    place.put(file, PNG)
    looked = place.looked(file)
    place.put(file, b"GIF89a something else")
    assert place.uploads.keep(file, looked) == (looked.version is not None)
    assert place.kept(file) == (PNG if looked.version is not None else None)


def test_without_versions_the_tag_of_the_content_decides(s3: S3Uploads, stack: LocalStack) -> None:
    place, file = Place(uploads=s3, stack=stack), a_file()
    place.put(file, PNG)
    looked = replace(place.looked(file), version=None)
    place.put(file, b"GIF89a something else")
    assert not s3.keep(file, looked)
    assert place.kept(file) is None


def test_a_kept_file_is_tagged_until_it_is_used(s3: S3Uploads, stack: LocalStack) -> None:
    place, file = Place(uploads=s3, stack=stack), a_file()
    place.put(file, PNG)
    s3.keep(file, place.looked(file))

    def tags() -> dict[str, str]:
        found = stack.s3.get_object_tagging(Bucket=stack.resources.bucket, Key=file_key(file))["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    assert tags() == {"state": "unused"}
    s3.mark_used(file)
    assert tags() == {"state": "used"}


def test_the_form_is_for_exactly_this_file(s3: S3Uploads) -> None:
    digest = hashlib.sha256(PNG)
    file = a_file(sha256=digest.hexdigest())
    form = s3.form(file, valid=VALID)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    checksum = base64.b64encode(digest.digest()).decode()
    wanted: list[object] = [
        {"bucket": s3.bucket},
        {"key": f"uploads/{file.project_id}/{file.id}"},
        {"Content-Type": "image/png"},
        {"success_action_status": "201"},
        {"x-amz-checksum-algorithm": "SHA256"},
        {"x-amz-checksum-sha256": checksum},
        ["content-length-range", file.size, file.size],
    ]
    assert all(condition in policy["conditions"] for condition in wanted)
    signing = {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"}
    rest = [condition for condition in policy["conditions"] if condition not in wanted]
    assert {name for condition in rest for name in condition} == signing
    expires = datetime.fromisoformat(policy["expiration"])
    assert abs(expires - datetime.now(UTC) - VALID) < timedelta(minutes=1)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_on_aws_forms_and_urls_go_to_the_buckets_own_region(
    aws_environment: None, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    # The global address answers a form for another region's bucket with a redirect, which no browser follows.
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_REGION", region)
    clients.reset()
    s3, file = S3Uploads(bucket="stepwell-1234"), a_file()
    host = "stepwell-1234.s3.amazonaws.com" if region == "us-east-1" else f"stepwell-1234.s3.{region}.amazonaws.com"
    assert s3.form(file, valid=VALID).url == f"https://{host}/"
    assert s3.url(file, valid=VALID).startswith(f"https://{host}/files/")


def test_a_bucket_that_is_not_there_is_unavailable(stack: LocalStack) -> None:
    nowhere, file = S3Uploads(bucket="nowhere"), a_file()
    with pytest.raises(Unavailable, match="bucket nowhere: NoSuchBucket"):
        nowhere.look(file)
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        nowhere.keep(file, looked_at(PNG))


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.png", "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"),
        ("Ä\u202e.png", "attachment; filename=\"__.png\"; filename*=UTF-8''%C3%84%E2%80%AE.png"),
        ('";x="', "attachment; filename=\"__x__\"; filename*=UTF-8''%22%3Bx%3D%22"),
        ("../a\\b", "attachment; filename=\".._a_b\"; filename*=UTF-8''..%2Fa%5Cb"),
    ],
)
def test_a_files_name_is_told_whatever_it_holds(name: str, header: str) -> None:
    assert as_attachment(name) == header


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("uploads/p/f", ("p", "f")),
        ("uploads/p", None),
        ("uploads//f", None),
        ("uploads/p/", None),
        ("uploads/p/f/g", None),
        ("files/p/f", None),
        ("", None),
    ],
)
def test_a_key_tells_whose_upload_it_is(key: str, found: tuple[str, str] | None) -> None:
    assert file_of(key) == found
