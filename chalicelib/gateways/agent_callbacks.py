"""What the watcher of a local agent tells Stepwell, over the same HTTP by which an agent elsewhere would tell it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.exceptions import HTTPError

from chalicelib.domain.value import dumps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.value import Json

TIMEOUT: Final = urllib3.Timeout(connect=3, read=10)

#: Between one attempt to report and the next. Heartbeats are not repeated: another follows.
DELAYS: Final = (0.2, 1.0, 3.0)

#: As much of a refusal as is passed on.
LONGEST_MESSAGE: Final = 1000

TOO_MANY: Final = 429
SERVER_FAILURE: Final = 500

#: By which Stepwell says that nobody waits for this agent any more, or never did.
OVER: Final = frozenset({401, 404, 409, 410})


class AgentCallbacks:
    """The three things that can be told: it is alive, it has done, it has failed."""

    def __init__(self, url: str, token: str, *, delays: Sequence[float] = DELAYS) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._delays = delays
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT)

    def heartbeat(self, tail: str) -> bool:
        """Say that it is alive; return False if nobody wants to know any more."""
        answer = self._post("heartbeat", _json({"tail": tail} if tail else {}))
        return answer is None or answer.status not in OVER

    def report(self, report: bytes) -> str | None:
        """Hand the report over as it was printed; return why it was refused, if another word may still be heard."""
        answer = self._post_again("report", report)
        if answer is None or answer.status < 400 or answer.status in OVER or _may_pass(answer.status):  # noqa: PLR2004 - HTTP's
            return None
        return _message(answer)

    def fail(self, code: str, message: str, tail: str) -> None:
        """Say that it has failed, and what it said last."""
        self._post_again("fail", _json({"code": code, "message": message, "tail": tail}))

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _post_again(self, word: str, body: bytes) -> urllib3.BaseHTTPResponse | None:
        """Post until it is answered, a few times. What arrives twice is the same report: Stepwell takes it once."""
        answer = self._post(word, body)
        for delay in self._delays:
            if answer is not None and not _may_pass(answer.status):
                break
            time.sleep(delay)
            answer = self._post(word, body)
        return answer

    def _post(self, word: str, body: bytes) -> urllib3.BaseHTTPResponse | None:
        try:
            return self._pool.request("POST", f"{self._url}/{word}", body=body, headers=self._headers)
        except HTTPError:
            return None


def _may_pass(status: int) -> bool:
    return status == TOO_MANY or status >= SERVER_FAILURE


def _message(answer: urllib3.BaseHTTPResponse) -> str:
    """Return what a refusal says: ``{"error": {"message", "field"?}}``."""
    try:
        error = json.loads(answer.data)["error"]
        field = f"{error['field']}: " if error.get("field") else ""
        return f"{field}{error['message']}"[:LONGEST_MESSAGE]
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"the report was answered with status {answer.status}"


def _json(value: Json) -> bytes:
    return dumps(value).encode("utf-8", "replace")
