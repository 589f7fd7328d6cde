"""Small pictures, real ones, and their announcements."""

from __future__ import annotations

import struct
import zlib

from chalicelib.domain.value import Json


def a_png(width: int = 2, height: int = 2) -> bytes:
    """Return a PNG of one color."""
    rows = b"".join(b"\0" + b"\x10\x60\xa0" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def announced(content: bytes, **fields: Json) -> dict[str, Json]:
    """Return the body that announces a picture."""
    return {"fileName": "a.png", "contentType": "image/png", "size": len(content), **fields}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
