"""The zip of the code: the same bytes for the same files, whoever makes it, whenever."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The earliest that the format can tell: dates of files say when somebody checked them out.
_DATE: Final = (1980, 1, 1, 0, 0, 0)
#: Lambda's user is none of ours: it may read everything, and nobody writes.
_MODE: Final = 0o100644
_UNIX: Final = 3
_PARTS: Final = 5


def write(path: Path, *folders: Path) -> None:
    """Write a zip of what is in the folders; where two have a file of one name, the last one's is taken."""
    files = {name: file for folder in folders for name, file in _files(folder)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, file in sorted(files.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = _UNIX
            info.external_attr = _MODE << 16
            archive.writestr(info, file.read_bytes())


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a zip weighs, in bytes."""

    zipped: int
    unzipped: int
    #: Unzipped, by the name at the top.
    parts: Mapping[str, int]

    @property
    def largest(self) -> list[tuple[str, int]]:
        """The five largest parts, the largest first."""
        return sorted(self.parts.items(), key=lambda part: (-part[1], part[0]))[:_PARTS]


def contents(path: Path) -> Contents:
    """Return what a zip weighs."""
    parts: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            parts[info.filename.partition("/")[0]] += info.file_size
    return Contents(zipped=path.stat().st_size, unzipped=sum(parts.values()), parts=parts)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    return ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
