"""Stepwell as an agent sees it: a server that takes heartbeats, a report, a failure, and remembers them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.gateways.servers import Answer, Asked, http_server

PATH = "/api/v1/agents/ticket"


class FarEnd:
    """What came in, by the last word of its path."""

    def __init__(self) -> None:
        self.url = ""
        #: How each word is answered, first to last; the last answer stays.
        self.says: dict[str, list[Answer]] = {}
        self.came: dict[str, list[Asked]] = {}
        self._changed = threading.Condition()

    def __call__(self, asked: Asked) -> Answer:
        word = asked.path.rpartition("/")[2]
        says = self.says.get(word, [Answer()])
        with self._changed:
            self.came.setdefault(word, []).append(asked)
            self._changed.notify_all()
        return says.pop(0) if len(says) > 1 else says[0]

    def wait(self, word: str, containing: str = "") -> Any:
        """Wait for that word, with that text in it, and return what it said."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._found(word, containing), 30), self.came
        return json.loads(self._found(word, containing)[0].body)

    def words(self) -> list[str]:
        """Return which words came, without the heartbeats."""
        return [word for word, asked in self.came.items() if word != "heartbeat" for _ in asked]

    def _found(self, word: str, containing: str) -> list[Asked]:
        return [asked for asked in self.came.get(word, []) if containing in asked.body.decode()]


def refusal(status: int, message: str, **parts: str) -> Answer:
    """Return the answer of the workflows API to what it refuses."""
    return Answer(status=status, body=json.dumps({"error": {"code": "INVALID", "message": message, **parts}}).encode())


@contextmanager
def far_end() -> Iterator[FarEnd]:
    """Serve for a while."""
    end = FarEnd()
    with http_server(end) as server:
        end.url = f"{server.url}{PATH}"
        yield end
