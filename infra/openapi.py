"""Writes openapi.json, the OpenAPI document of the endpoints that there are (`make openapi`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from chalicelib.api.openapi_document import document

#: Where the document lies, for those who read it without a deployment.
FILE: Final = Path(__file__).parents[1] / "openapi.json"


def text() -> str:
    """Return the document as the file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
