"""README.md and docs/, as the tests that hold them to the code read them, and the shell that runs their commands."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import LocalStack
from tests.conftest import Project

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
#: What README.md leads to; not the pages that other people have published.
GUIDES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
#: All that is written for users.
DOCUMENTATION = "\n".join((README, *GUIDES.values()))

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables under this heading row; a bar in a cell is written with a backslash."""
    _, *tables = DOCUMENTATION.split(f"\n{heading}\n")
    assert tables, f"there is no table {heading}"
    for table in tables:
        for line in itertools.takewhile(lambda line: line.startswith("|"), table.splitlines()[1:]):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next of its rank."""
    rank = heading.partition(" ")[0]
    _, found, rest = README.partition(f"\n{heading}\n")
    assert found, f"README.md has no section {heading}"
    return re.split(rf"^{rank} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of a language in a text, as they are printed."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def code(cell: str) -> str:
    return cell.strip("`").strip()


def pasted(commands: str, stack: LocalStack, project: Project) -> list[Any]:
    """Run commands as they are printed, and return the JSON values that they print one after the other.

    What they leave running is ended with them.
    """
    done = subprocess.run(
        ["bash", "-eu", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}"],
        cwd=ROOT,
        env={"URL": stack.url, "KEY": project.key, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found, left = [], done.stdout.strip()
    while left:
        value, end = json.JSONDecoder().raw_decode(left)
        found.append(value)
        left = left[end:].strip()
    return found
