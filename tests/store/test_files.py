"""The records of uploaded files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.upload import FileStatus, StoredFile
from chalicelib.store import files
from chalicelib.store.errors import Exists, Superseded
from tests.conftest import Table
from tests.store.builders import NOW, later
from tests.store.conftest import Calls

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("table")]


def a_file(id_: str, **changes: object) -> StoredFile:
    file = StoredFile(
        id=id_,
        project_id="proj_1",
        name="Ä\u202f1.png",
        content_type="image/png",
        size=7,
        created_by="a key",
        created_at=NOW,
    )
    return replace(file, **changes)  # type: ignore[arg-type]


def test_a_file_comes_back_as_it_went_in() -> None:
    looked_at = {"status": FileStatus.REJECTED, "reason": "too long", "checked_at": later(1)}
    for file in (a_file("bare"), a_file("full", sha256="00ff", used_at=later(2), revision=9, **looked_at)):
        files.put(file)
        assert files.load(file.id) == file
    assert files.load("absent") is None
    assert files.load("a#b") is None


def test_a_file_is_created_once() -> None:
    files.put(a_file("once"))
    with pytest.raises(Exists):
        files.put(a_file("once", name="other"))


def test_of_two_that_change_a_record_one_does() -> None:
    first = a_file("raced")
    files.put(first)
    files.save(replace(first, status=FileStatus.READY, revision=2))
    with pytest.raises(Superseded):
        files.save(replace(first, status=FileStatus.REJECTED, revision=2))
    found = files.load("raced")
    assert found is not None
    assert found.status is FileStatus.READY


def test_a_change_whose_answer_was_lost_is_made_once(calls: Calls) -> None:
    first = a_file("lost")
    files.put(first)
    calls.lose = 1
    after = replace(first, status=FileStatus.READY, revision=2)
    files.save(after)
    assert files.load("lost") == after


def test_many_are_read_in_one_batch_and_the_absent_are_left_out(calls: Calls) -> None:
    for number in range(16):
        files.put(a_file(f"many-{number}"))
    calls.sent.clear()
    found = files.load_many([*(f"many-{number}" for number in range(16)), "absent", "a#b", "x" * 300])
    assert found == {f"many-{number}": a_file(f"many-{number}") for number in range(16)}
    assert [operation for operation, _ in calls.sent] == ["BatchGetItem"]


def test_a_record_expires_until_it_is_used_and_stands_in_no_list(table: Table) -> None:
    files.put(a_file("unused"))
    files.put(a_file("used", used_at=NOW))
    found = {
        name: table.client.get_item(TableName=table.name, Key={"pk": {"S": f"FILE#{name}"}, "sk": {"S": "#FILE"}})[
            "Item"
        ]
        for name in ("unused", "used")
    }
    assert int(found["unused"]["ttl"]["N"]) == int((NOW + timedelta(days=7)).timestamp())
    assert "ttl" not in found["used"]
    assert not any("list_key" in item for item in found.values())
