"""What the demos share: how they ask the API, print what happens, and end with one line when something goes wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import urllib3

Row = TypeVar("Row")

#: A table's columns: heading, and what stands below it. Text stands to the left (``<``), numbers to the right (``>``).
Columns = Mapping[str, tuple[str, Callable[[Row], str]]]


class DemoFailed(Exception):
    """The demo did not go as it should; the message says where."""


class Asking:
    """The API as somebody with a key asks it."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self._pool = urllib3.PoolManager(retries=False)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return what the API answers, or raise DemoFailed."""
        answer = self._pool.request(
            method,
            f"{self._url}{path}",
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise DemoFailed(f"{method} {path} answered {answer.status}: {answer.data.decode()}")
        return answer.json()


def say(what: str, how: str, outcome: str) -> None:
    """Print a line: what is done, by which call, and what came of it."""
    print(f"{what:<9}{how:<48}{outcome}", flush=True)


def short(identifier: str) -> str:
    """Return as much of an id as tells it apart."""
    return f"{identifier[:8]}…"


def counted(number: int, name: str) -> str:
    """Return how many there are, in words."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def print_table(columns: Columns[Row], entries: Iterable[Row]) -> None:
    """Print a table and an empty line."""
    rows = [[*columns], *([shown(entry) for _, shown in columns.values()] for entry in entries)]
    sides = [side for side, _ in columns.values()]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
        print("  ".join(cells).rstrip())
    print()


def told(tell: Callable[[], None]) -> int:
    """Return 0 if all of it went as it should, else 1 after one line that says what did not."""
    # The functions write what fails in the example, by design; the demo itself tells of it.
    os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "ERROR")
    try:
        tell()
    except Exception as error:  # noqa: BLE001 - the program's outermost frame: a person wants a line, not a traceback
        print(f"The demo failed: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def leave(code: int) -> None:
    """End the process: as in `__main__`, everything is closed, and unloading moto would take over a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
