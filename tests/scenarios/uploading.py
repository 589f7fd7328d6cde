"""A file's way into the bucket, as a client makes it: announced over HTTP, then posted as ``multipart/form-data``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3

from chalicelib.domain.value import Json
from tests.pictures import a_png, announced
from tests.scenarios.scene import Scene


def announce(scene: Scene, content: bytes, **fields: Json) -> dict[str, Any]:
    """Announce a picture and return what its upload takes."""
    answered = scene.client.post("/api/v1/files/upload-url", announced(content, **fields))
    assert answered.status == 201, answered.text
    shown: dict[str, Any] = answered.json["data"]
    return shown


def post(upload: Mapping[str, Any], content: bytes) -> urllib3.BaseHTTPResponse:
    """Post a file with its form, as any multipart client does."""
    fields = [*upload["fields"].items(), ("file", ("as it is called here.png", content, "image/png"))]
    return urllib3.request(upload["method"], upload["uploadUrl"], fields=fields)


def shown(scene: Scene, storage_id: str) -> dict[str, Any]:
    """Return what is shown of a file."""
    answered = scene.client.get(f"/api/v1/files/get?storageId={storage_id}")
    assert answered.status == 200, answered.text
    file: dict[str, Any] = answered.json["data"]
    return file


def uploaded(scene: Scene, content: bytes | None = None, **fields: Json) -> str:
    """Upload a picture and return the storageId that it has once it is ready."""
    content = a_png() if content is None else content
    upload = announce(scene, content, **fields)
    assert post(upload, content).status == 201
    assert shown(scene, upload["storageId"])["status"] == "ready"
    return str(upload["storageId"])
