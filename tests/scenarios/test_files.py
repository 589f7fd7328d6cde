"""Uploads as a plain client makes them: the form, the look, what is refused, and what is never served."""

from __future__ import annotations

import base64
import hashlib
import time

import pytest
import urllib3

from chalicelib.domain.value import Json
from tests.conftest import Project
from tests.pictures import a_png, announced
from tests.scenarios.doors import CLOSED, House
from tests.scenarios.scene import Scene
from tests.scenarios.uploading import announce, post, shown, uploaded

PNG = a_png()
DIGEST = hashlib.sha256(PNG)
PATH = "/api/v1/files/upload-url"
_MARK = b"<script>alert('sent by an uploader')</script>"

REFUSED: tuple[tuple[str, dict[str, Json]], ...] = (
    ("fileName", {"fileName": ""}),
    ("fileName", {"fileName": "   "}),
    ("fileName", {"fileName": "a" * 256}),
    ("fileName", {"fileName": "a\nb.png"}),
    ("fileName", {"fileName": "a\u0000.png"}),
    ("fileName", {"fileName": "a\u2028.png"}),
    ("fileName", {"fileName": 7}),
    ("contentType", {"contentType": "image/svg+xml"}),
    ("contentType", {"contentType": "image/PNG"}),
    ("contentType", {"contentType": "image/png; charset=x"}),
    ("contentType", {"contentType": None}),
    ("size", {"size": 0}),
    ("size", {"size": -1}),
    ("size", {"size": 20 * 1024 * 1024 + 1}),
    ("size", {"size": 1.5}),
    ("size", {"size": "73"}),
    ("size", {"size": True}),
    ("checksumSha256", {"checksumSha256": "ab"}),
    ("checksumSha256", {"checksumSha256": "g" * 64}),
    ("checksumSha256", {"checksumSha256": base64.b64encode(b"x" * 31).decode()}),
    ("checksumSha256", {"checksumSha256": "é" * 44}),
    ("projectId", {"projectId": "proj_dev"}),
)


def test_a_picture_is_uploaded_by_a_plain_client_and_ready_when_the_bucket_has_told_of_it(scene: Scene) -> None:
    began = time.time() * 1000
    upload = announce(scene, PNG, fileName="Skizze Ä.png", checksumSha256=DIGEST.hexdigest())
    assert upload["expiresAt"] == pytest.approx(began + 600_000, abs=30_000)
    waiting = shown(scene, upload["storageId"])
    assert (waiting["status"], waiting["url"], waiting["_id"]) == ("pending", None, upload["storageId"])

    assert post(upload, PNG).status == 201
    scene.settle()

    [told] = [one for one in scene.stack.lambda_log if upload["storageId"] in str(one.payload)]
    assert told.error is None
    file = shown(scene, upload["storageId"])
    assert (file["status"], file["reason"], file["size"], file["fileName"]) == ("ready", None, len(PNG), "Skizze Ä.png")
    sent = urllib3.request("GET", file["url"])
    assert (sent.data, sent.headers["Content-Type"]) == (PNG, "image/png")
    assert sent.headers["Content-Disposition"].startswith("attachment; ")
    assert not file["url"].startswith(scene.stack.url)


def test_what_is_no_picture_is_rejected_and_removed(scene: Scene) -> None:
    content = _MARK.ljust(len(PNG))
    upload = announce(scene, PNG)
    assert post(upload, content).status == 201
    scene.settle()
    file = shown(scene, upload["storageId"])
    assert (file["status"], file["url"]) == ("rejected", None)
    assert file["reason"] == "its first bytes are not those of image/png"
    bucket = scene.stack.resources.bucket
    left = scene.stack.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    assert not [one["Key"] for one in left if upload["storageId"] in one["Key"]]


@pytest.mark.parametrize(
    ("content", "fields", "code"),
    [
        (PNG + b"0", {}, "EntityTooLarge"),
        (PNG[:-1], {}, "EntityTooSmall"),
        (PNG[:-1] + b"0", {"checksumSha256": base64.b64encode(DIGEST.digest()).decode()}, "BadDigest"),
    ],
)
def test_the_bucket_itself_takes_only_what_was_announced(
    scene: Scene, content: bytes, fields: dict[str, Json], code: str
) -> None:
    upload = announce(scene, PNG, **fields)
    answered = post(upload, content)
    assert f"<Code>{code}</Code>" in answered.data.decode()
    assert shown(scene, upload["storageId"])["status"] == "pending"


def test_an_announcement_that_breaks_a_rule_is_refused_and_names_the_field(scene: Scene) -> None:
    for field, change in REFUSED:
        answered = scene.client.post(PATH, announced(PNG, **change))
        assert answered.status == 400, (change, answered.text)
        error = answered.json["error"]
        assert (error["code"], error["field"]) == ("VALIDATION", field), change


def test_what_may_be_announced_is_taken(scene: Scene) -> None:
    taken: tuple[dict[str, Json], ...] = (
        {"fileName": "a" * 255},
        {"fileName": "../../etc/passwd"},
        {"fileName": "👩\u200d🎨.png"},
        {"contentType": "image/webp"},
        {"contentType": "image/gif", "size": 20 * 1024 * 1024},
        {"contentType": "image/jpeg", "size": 1},
        {"checksumSha256": None},
        {"checksumSha256": DIGEST.hexdigest().upper()},
    )
    for change in taken:
        upload = announce(scene, PNG, **change)
        assert upload["fields"]["key"] == f"uploads/{scene.project.id}/{upload['storageId']}"


def test_an_announcement_sent_again_with_its_key_is_answered_byte_for_byte(scene: Scene) -> None:
    first = scene.client.post(PATH, announced(PNG), Idempotency_Key="mine")
    again = scene.client.post(PATH, announced(PNG), Idempotency_Key="mine")
    other = scene.client.post(PATH, announced(PNG, fileName="b.png"), Idempotency_Key="mine")
    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (201, first.text, "true")
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_mismatch")


def test_another_projects_file_is_one_that_does_not_exist(scene: Scene) -> None:
    other = Scene.of(scene.stack, Project(id="proj_files", key=scene.stack.add_project("proj_files")))
    answers = {
        scene.client.get(f"/api/v1/files/get?storageId={file_id}").json["error"]["message"]
        for file_id in (uploaded(other), "file_none", "a%23b", "a%2Fb")
    }
    assert answers == {"File not found"}
    unnamed = scene.client.get("/api/v1/files/get")
    assert (unnamed.status, unnamed.json["error"]["field"]) == (400, "storageId")


def test_no_answer_of_the_api_carries_what_an_uploader_sent(scene: Scene) -> None:
    house = House.of(scene)
    file_id = uploaded(scene, PNG + _MARK)
    asked = [endpoint for endpoint in CLOSED if endpoint.method == "GET"]
    for endpoint in asked:
        query = house.query(endpoint).replace(house.named["file_id"], file_id)
        answered = house.knock(endpoint, key=scene.project.key, query=query)
        assert answered.headers["content-type"] == "application/json", endpoint.path
        assert _MARK.decode() not in answered.text
    assert "/api/v1/files/get" in {endpoint.path for endpoint in asked}
