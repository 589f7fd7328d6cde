"""What the workflow-runs API answers, page by page, and whether Lambda would let it through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from tests.api.http import Response
from tests.scenarios.scene import Scene

#: What Lambda answers with at most, in bytes.
LAMBDAS_MOST: Final = 6 * 1024 * 1024


def fits(answered: Response) -> bool:
    """Whether Lambda lets an answer through: its body is a text in an object, and so escaped once more."""
    return len(json.dumps({"body": answered.text}, ensure_ascii=False).encode()) < LAMBDAS_MOST


def pages(scene: Scene, path: str) -> Iterator[Response]:
    """Yield every page of a list."""
    cursor: str | None = ""
    while cursor is not None:
        joint = "&" if "?" in path else "?"
        page = scene.client.get(f"{path}{joint}cursor={cursor}" if cursor else path)
        assert page.status == 200, page.text
        yield page
        cursor = page.headers.get("x-next-cursor")
