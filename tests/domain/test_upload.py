"""What was uploaded against what was announced, and when an unused file is gone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.upload import HEAD_BYTES, SIGNATURES, Looked, StoredFile, fault_of
from tests.pictures import a_png

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BEGINNINGS = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb"),
    "image/webp": (b"RIFF\x24\x00\x00\x00WEBPVP8 ",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
NEARLY = (
    b"",
    b"\x89PNG",
    b"\x89PNG\n\x1a\n\n",
    b"\xff\xd8",
    b"RIFF\x24\x00\x00\x00WAVEfmt ",
    b"RIFX\x24\x00\x00\x00WEBP",
    b"GIF88a",
    b"<svg onload=",
    b"<!DOCTYPE html>",
    b"%PDF-1.7",
    b" \x89PNG\r\n\x1a\n",
)


def a_file(**changes: object) -> StoredFile:
    file = StoredFile(
        id="file_1",
        project_id="proj_1",
        name="a.png",
        content_type="image/png",
        size=64,
        created_by="key",
        created_at=NOW,
    )
    return replace(file, **changes)  # type: ignore[arg-type]


def a_look(head: bytes, *, size: int = 64, sha256: str | None = None) -> Looked:
    return Looked(size=size, head=head[:HEAD_BYTES], sha256=sha256, etag="e")


def test_there_is_a_beginning_for_each_type_that_may_be_uploaded() -> None:
    assert SIGNATURES.keys() == BEGINNINGS.keys() == {"image/png", "image/jpeg", "image/webp", "image/gif"}


@pytest.mark.parametrize("announced", SIGNATURES)
@pytest.mark.parametrize("found", SIGNATURES)
def test_a_type_begins_as_itself_and_as_no_other(announced: str, found: str) -> None:
    for beginning in BEGINNINGS[found]:
        head = beginning.ljust(HEAD_BYTES, b"\0")
        fault = fault_of(a_file(content_type=announced), a_look(head))
        assert (fault is None) == (announced == found)
        assert fault is None or announced in fault


@pytest.mark.parametrize("content_type", SIGNATURES)
@pytest.mark.parametrize("head", NEARLY)
def test_what_is_nearly_a_picture_is_none(content_type: str, head: bytes) -> None:
    assert fault_of(a_file(content_type=content_type), a_look(head)) is not None


@pytest.mark.parametrize("size", [0, 63, 65])
def test_another_size_is_told_with_both(size: int) -> None:
    assert fault_of(a_file(), a_look(a_png(), size=size)) == f"it has {size} bytes where 64 were announced"


def test_a_checksum_counts_where_it_was_announced() -> None:
    digest, other = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))
    assert fault_of(a_file(sha256=digest), a_look(a_png(), sha256=digest)) is None
    assert fault_of(a_file(sha256=digest), a_look(a_png(), sha256=other)) is not None
    assert fault_of(a_file(sha256=digest), a_look(a_png(), sha256=None)) is not None
    assert fault_of(a_file(), a_look(a_png(), sha256=other)) is None


@pytest.mark.parametrize(("hours", "gone"), [(0, False), (22.99, False), (23, True), (1000, True)])
def test_an_unused_file_is_gone_before_the_bucket_can_have_removed_it(hours: float, *, gone: bool) -> None:
    at = NOW + timedelta(hours=hours)
    assert a_file().gone(at) is gone
    assert not a_file(used_at=NOW).gone(at)
