"""Files, from their announcement to their first use: every state, and whoever comes at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.upload import FileStatus, Looked, StoredFile
from chalicelib.gateways.uploads import FakeUploads, upload_key
from chalicelib.services import files, outside
from chalicelib.services.clock import SystemClock
from chalicelib.services.files import Announcement
from chalicelib.store import files as store
from tests.conftest import Table
from tests.pictures import a_png
from tests.services.library import ALICE, NOW, PROJECT, later

PNG = a_png()
OTHER = a_png(3, 1)
JUNK = b"<svg onload=alert(1)>".ljust(len(PNG), b" ")


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture(autouse=True)
def uploads(table: Table) -> Iterator[FakeUploads]:
    """The bucket, in memory, beside the test's table."""
    memory = FakeUploads()
    with outside.replaced(replace(outside.current(), uploads=memory)):
        yield memory


def a_file(content: bytes = PNG, *, project_id: str = PROJECT, checksum: bool = False) -> StoredFile:
    """A file that has been announced."""
    told = Announcement(
        name="a.png",
        content_type="image/png",
        size=len(content),
        sha256=sha256(content).hexdigest() if checksum else None,
    )
    return files.announce(project_id, told, actor=ALICE, now=NOW).file


def posted(uploads: FakeUploads, file: StoredFile, content: bytes = PNG) -> StoredFile:
    """The file, posted with its form."""
    uploads.uploaded[file.project_id, file.id] = content
    return file


def told(file: StoredFile, at: datetime = NOW) -> None:
    """Have S3 tell of an upload."""
    files.uploaded(upload_key(file.project_id, file.id), now=at)


def now_of(file: StoredFile) -> StoredFile:
    found = store.load(file.id)
    assert found is not None
    return found


def ready(uploads: FakeUploads, *, project_id: str = PROJECT) -> StoredFile:
    file = posted(uploads, a_file(project_id=project_id))
    told(file)
    return now_of(file)


def refusal_of(*file_ids: str, at: datetime = NOW, project_id: str = PROJECT) -> Invalid:
    with pytest.raises(Invalid) as refused:
        files.use(project_id, file_ids, now=at)
    assert refused.value.field == "referenceImageIds"
    return refused.value


@pytest.mark.parametrize("checksum", [False, True])
def test_a_good_upload_is_kept_and_ready(uploads: FakeUploads, *, checksum: bool) -> None:
    file = posted(uploads, a_file(checksum=checksum))
    told(file, later(1))
    assert now_of(file) == replace(file, status=FileStatus.READY, checked_at=later(1), revision=2)
    assert uploads.kept == {(PROJECT, file.id): PNG}
    assert uploads.uploaded == {}


def test_a_bad_upload_is_rejected_with_a_reason_and_removed(uploads: FakeUploads) -> None:
    for content in (JUNK, PNG + b"\0", PNG[:-1], b"", bytes([*PNG[:-1], 7])):
        file = posted(uploads, a_file(checksum=True), content)
        told(file)
        found = now_of(file)
        assert (found.status, found.checked_at) == (FileStatus.REJECTED, NOW)
        assert found.reason
        assert uploads.kept == uploads.uploaded == {}


def test_the_same_announcement_made_again_finds_its_file() -> None:
    told = Announcement(name="a", content_type="image/png", size=1, sha256=None)
    derived = "6c1f3b0e-8d43-5f0a-9a55-1f1f5d4c1b6e"
    first = files.announce(PROJECT, told, actor=ALICE, now=NOW, derived=derived)
    again = files.announce(PROJECT, told, actor=ALICE, now=later(1), derived=derived)
    assert first.file.id == again.file.id
    assert now_of(first.file) == first.file
    assert again.expires_at == later(1) + timedelta(minutes=10)


def test_whoever_asks_first_looks_at_it_and_the_late_event_finds_nothing_to_do(uploads: FakeUploads) -> None:
    file = posted(uploads, a_file())
    assert files.load(PROJECT, file.id, now=NOW).status is FileStatus.READY
    before = now_of(file)
    told(file, later(5))
    told(file, later(6))
    assert now_of(file) == before
    assert uploads.asked == ["look", "keep", "remove_upload", "remove_upload", "remove_upload"]


def test_a_question_before_the_upload_finds_it_pending(uploads: FakeUploads) -> None:
    file = a_file()
    assert files.load(PROJECT, file.id, now=NOW) == file
    assert uploads.asked == ["look"]


@pytest.mark.parametrize("again", [OTHER, JUNK])
def test_a_form_posted_again_after_the_look_changes_nothing(uploads: FakeUploads, again: bytes) -> None:
    file = ready(uploads)
    posted(uploads, file, again)
    told(file)
    assert now_of(file) == file
    assert uploads.kept == {(PROJECT, file.id): PNG}
    assert uploads.uploaded == {}


def test_what_is_posted_during_the_look_is_not_kept_for_what_was_looked_at(uploads: FakeUploads) -> None:
    file = posted(uploads, a_file())
    uploads.meanwhile = lambda: uploads.uploaded.update({(PROJECT, file.id): JUNK})
    told(file)
    assert now_of(file).status is FileStatus.PENDING
    assert uploads.kept == {}
    told(file)
    assert now_of(file).status is FileStatus.REJECTED
    assert uploads.kept == {}


def test_of_two_that_look_at_once_one_writes_and_the_file_is_kept_once(uploads: FakeUploads) -> None:
    file = posted(uploads, a_file())

    def other() -> None:
        uploads.meanwhile = lambda: None
        told(file, later(1))

    uploads.meanwhile = other
    assert files.load(PROJECT, file.id, now=later(2)).checked_at == later(1)
    assert now_of(file).revision == 2
    assert uploads.kept == {(PROJECT, file.id): PNG}


def test_what_another_one_has_looked_at_and_removed_since_is_found_ready(
    uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = posted(uploads, a_file())
    look = uploads.look

    def after_another(of: StoredFile) -> Looked | None:
        monkeypatch.setattr(uploads, "look", look)
        told(file, later(1))
        return look(of)

    monkeypatch.setattr(uploads, "look", after_another)
    assert files.use(PROJECT, [file.id], now=later(2))[0].checked_at == later(1)


def test_a_rejection_stands_against_a_look_that_comes_later(
    uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = posted(uploads, a_file())
    save = store.save

    def after_another(changed: StoredFile) -> None:
        monkeypatch.setattr(store, "save", save)
        save(replace(file, status=FileStatus.REJECTED, reason="bad", revision=2))
        save(changed)

    monkeypatch.setattr(store, "save", after_another)
    assert files.load(PROJECT, file.id, now=NOW).reason == "bad"
    refusal_of(file.id)


@pytest.mark.parametrize("dies_in", ["keep", "remove_upload"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_point_is_made_good_by_the_event_that_comes_again(
    uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch, dies_in: str, when: str
) -> None:
    file = posted(uploads, a_file())
    real: Callable[..., object] = getattr(uploads, dies_in)

    def dying(*given: object) -> None:
        if when == "after":
            real(*given)
        raise Crash

    with monkeypatch.context() as patient:
        patient.setattr(uploads, dies_in, dying)
        with pytest.raises(Crash):
            told(file)
    told(file)
    assert now_of(file).status is FileStatus.READY
    assert uploads.kept == {(PROJECT, file.id): PNG}
    assert uploads.uploaded == {}


def test_an_object_that_no_form_was_made_for_is_left_alone(uploads: FakeUploads) -> None:
    strange = ("", "uploads/", "uploads/a", "uploads//", "uploads/proj_1/a/b", "uploads/p/#", "x" * 1024)
    for key in (*strange, f"files/{PROJECT}/{posted(uploads, a_file()).id}"):
        files.uploaded(key, now=NOW)
    assert uploads.asked == []


def test_an_object_under_another_projects_name_is_left_alone(uploads: FakeUploads) -> None:
    file = posted(uploads, a_file())
    files.uploaded(upload_key("proj_2", file.id), now=NOW)
    assert uploads.asked == []


def test_an_unknown_file_is_not_found() -> None:
    for file_id in ("file_none", "", "a#b", "a/b", "x" * 500):
        with pytest.raises(NotFound, match="File not found"):
            files.load(PROJECT, file_id, now=NOW)


def test_another_projects_file_is_not_found_and_not_looked_at(uploads: FakeUploads) -> None:
    file = posted(uploads, a_file(project_id="proj_2"))
    with pytest.raises(NotFound):
        files.load(PROJECT, file.id, now=NOW)
    assert f"{file.id} is no file of this project" in refusal_of(file.id).message
    assert uploads.asked == []


def test_the_first_use_keeps_files_for_good_in_the_order_asked_for(uploads: FakeUploads) -> None:
    made = [ready(uploads) for _ in range(3)]
    used = files.use(PROJECT, [file.id for file in reversed(made)], now=later(1))
    assert used == [replace(file, used_at=later(1), revision=3) for file in reversed(made)]
    assert [now_of(file) for file in used] == used
    assert uploads.used == {(PROJECT, file.id) for file in made}


def test_files_that_were_used_before_cost_one_read_and_nothing_of_the_bucket(
    uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [ready(uploads).id for _ in range(3)]
    used = files.use(PROJECT, ids, now=NOW)
    uploads.asked.clear()
    assert files.use(PROJECT, ids, now=later(10_000)) == used
    monkeypatch.setattr(store, "load_many", lambda _: pytest.fail("they were found already"))
    assert files.use(PROJECT, ids, now=NOW, found={file.id: file for file in used}) == used
    assert uploads.asked == []


def test_no_files_are_no_trouble() -> None:
    assert files.use(PROJECT, [], now=NOW) == []


def test_a_use_looks_at_what_has_been_uploaded_and_not_been_looked_at(uploads: FakeUploads) -> None:
    good, bad = posted(uploads, a_file()), posted(uploads, a_file(), JUNK)
    [used] = files.use(PROJECT, [good.id], now=NOW)
    assert (used.status, used.used_at, used.revision) == (FileStatus.READY, NOW, 3)
    assert f"{bad.id} was rejected: its first bytes are not those of image/png" in refusal_of(bad.id).message


def test_each_image_that_may_not_be_used_is_named_and_none_is_marked(uploads: FakeUploads) -> None:
    fine, pending = ready(uploads), a_file()
    refused = refusal_of(fine.id, pending.id, "nowhere", "a#b")
    assert [(fault.path, fault.message) for fault in refused.details] == [
        ("referenceImageIds.1", f"{pending.id} has not been uploaded yet"),
        ("referenceImageIds.2", "nowhere is no file of this project"),
        ("referenceImageIds.3", "a#b is no file of this project"),
    ]
    assert uploads.used == set()


def test_an_unused_file_counts_as_gone_after_23_hours(uploads: FakeUploads) -> None:
    file = ready(uploads)
    late = NOW + timedelta(hours=23)
    assert "was not used within a day" in refusal_of(file.id, at=late).message
    with pytest.raises(NotFound):
        files.load(PROJECT, file.id, now=late)
    files.use(PROJECT, [file.id], now=late - timedelta(seconds=1))
    assert files.load(PROJECT, file.id, now=late).status is FileStatus.READY


def test_a_file_that_the_bucket_has_removed_is_refused(uploads: FakeUploads) -> None:
    file = ready(uploads)
    uploads.kept.clear()
    assert "has been removed" in refusal_of(file.id).message
    assert now_of(file).used_at is None


def test_a_crash_between_tag_and_record_keeps_the_file(uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ready(uploads)

    def dying(_: StoredFile) -> None:
        raise Crash

    with monkeypatch.context() as patient:
        patient.setattr(store, "save", dying)
        with pytest.raises(Crash):
            files.use(PROJECT, [file.id], now=NOW)
    assert uploads.used == {(PROJECT, file.id)}
    assert files.use(PROJECT, [file.id], now=later(1))[0].used_at == later(1)


def test_two_runs_that_start_at_once_with_a_new_file_both_have_it(uploads: FakeUploads) -> None:
    file = ready(uploads)
    files.use(PROJECT, [file.id], now=NOW)
    assert files.use(PROJECT, [file.id], now=later(1), found={file.id: file}) == [now_of(file)]
    assert now_of(file).used_at == NOW


def test_a_steps_images_are_used_as_a_runs_are(uploads: FakeUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemClock, "now", lambda _: later(1))
    file = ready(uploads)
    assert files.ready_images(PROJECT, [file.id])[0].used_at == later(1)
    assert files.url_of(file, seconds=60) == f"https://uploads.test/files/{PROJECT}/{file.id}?valid=60"
