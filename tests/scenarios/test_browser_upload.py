"""A page on another origin uploads pictures, in a real browser: preflights, forms and all that a browser insists on."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.servers import Answer, Asked, http_server
from tests.scenarios.scene import Scene

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: In seconds: what a browser may take on a busy machine.
PATIENCE = 60

#: It is loaded, and so printed, when its picture has come: once the page has asked for ``/done``.
PAGE = """<!doctype html><title>Upload</title><pre id="outcome"></pre><img src="/until-done">
<script type="module">
const api = "{api}/api/v1/files", headers = {{Authorization: "Bearer {key}", "Content-Type": "application/json"}}

async function upload(blob, fields) {{
  const about = {{fileName: "drawn here.png", contentType: "image/png", size: blob.size, ...fields}}
  const asked = await fetch(`${{api}}/upload-url`, {{method: "POST", headers, body: JSON.stringify(about)}})
  const {{data}} = await asked.json()
  const form = new FormData()
  for (const [name, value] of Object.entries(data.fields)) form.append(name, value)
  form.append("file", blob, "drawn here.png")
  // Whoever watches an upload's progress has the browser ask the bucket first: a form alone needs no preflight.
  const status = await new Promise((resolve) => {{
    const request = new XMLHttpRequest()
    request.upload.onprogress = () => {{}}
    request.onload = () => resolve(request.status)
    request.onerror = () => resolve("blocked")
    request.open(data.method, data.uploadUrl)
    request.send(form)
  }})
  let file = {{status: "pending"}}
  for (let tries = 0; file.status === "pending" && tries < 100; tries++) {{
    const answered = await fetch(`${{api}}/get?storageId=${{data.storageId}}`, {{headers}})
    file = (await answered.json()).data
  }}
  return {{posted: status, status: file.status, reason: file.reason, url: file.url}}
}}

async function all() {{
  const canvas = Object.assign(document.createElement("canvas"), {{width: 7, height: 5}})
  canvas.getContext("2d").fillRect(1, 1, 3, 2)
  const drawn = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"))
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await drawn.arrayBuffer()))
  const good = await upload(drawn, {{checksumSha256: btoa(String.fromCharCode(...digest))}})
  const image = Object.assign(new Image(), {{src: good.url}})
  await image.decode()
  const bad = await upload(new Blob(["no picture"], {{type: "image/png"}}), {{}})
  return {{origin: location.origin, good: {{...good, seen: [image.naturalWidth, image.naturalHeight]}}, bad}}
}}

const outcome = await all().catch((error) => ({{error: String(error)}}))
document.getElementById("outcome").textContent = JSON.stringify(outcome)
await fetch("/done")
</script>
"""


def _browser() -> str:
    """Return a browser, or skip the test where there is none; not in CI, which installs one."""
    found = os.environ.get("STEPWELL_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing = f"no browser: install one of {', '.join(BROWSERS)}, or name it in STEPWELL_BROWSER"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def page_of(scene: Scene) -> Iterator[str]:
    """Serve the page on an origin of its own, under the name that makes it a secure one."""
    done = threading.Event()
    page = PAGE.format(api=scene.stack.url, key=scene.project.key).encode()

    def answer(asked: Asked) -> Answer:
        if asked.path == "/until-done":
            done.wait(PATIENCE / 2)
        elif asked.path == "/done":
            done.set()
        elif asked.path == "/":
            return Answer(headers={"Content-Type": "text/html; charset=utf-8"}, body=page)
        return Answer(status=204)

    with http_server(answer) as server:
        yield f"http://localhost:{server.port}"
        done.set()


def shown_by(browser: str, url: str, home: Path) -> dict[str, Any]:
    """Return what a page says when it is loaded."""
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions")
    apart = ("--no-first-run", "--disable-background-networking", f"--user-data-dir={home}")
    ran = subprocess.run(
        [browser, *quiet, *apart, "--dump-dom", url], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    told = re.search(r'<pre id="outcome">(.+?)</pre>', ran.stdout)
    assert told is not None, ran.stdout + ran.stderr
    outcome: dict[str, Any] = json.loads(html.unescape(told[1]))
    return outcome


def test_a_page_on_another_origin_uploads_a_picture_that_it_has_drawn(scene: Scene, tmp_path: Path) -> None:
    browser = _browser()
    with page_of(scene) as url:
        outcome = shown_by(browser, url, tmp_path)
    assert outcome["origin"] == url != scene.stack.url
    good, bad = outcome["good"], outcome["bad"]
    assert (good["posted"], good["status"], good["seen"]) == (201, "ready", [7, 5])
    assert (bad["posted"], bad["status"]) == (201, "rejected")
    assert bad["reason"] == "its first bytes are not those of image/png"
