"""The worker of the expense workflow: takes jobs of its kinds, keeps each while it is at it, and reports on it.

`URL=… KEY=… python examples/expense/worker.py` works until it is stopped. Any number of them may.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.error import URLError
from urllib.request import Request, urlopen

#: What JSON holds.
Json: TypeAlias = Any

#: Silent for longer, a worker counts as gone, and another may take its job.
LEASE_SECS: Final = 60


def read_receipt(payload: Json) -> Json:
    """Return what a receipt comes to."""
    return {"amount": sum(line["cost"] for line in payload["lines"])}


def pay(payload: Json) -> Json:
    """Pay once for each expense, however often it is asked: the job may be done twice."""
    return {"transfer": f"tr_{payload['expense']}", "amount": payload["amount"]}


KINDS: Final[Mapping[str, Callable[[Json], Json]]] = {"read-receipt": read_receipt, "pay": pay}


class Worker:
    """Somebody who does jobs, under a name by which they are told from others with the same key."""

    def __init__(self, url: str, key: str, kinds: Mapping[str, Callable[[Json], Json]] = KINDS) -> None:
        self._url, self._key, self._kinds = url, key, kinds
        self._own = {"worker": str(uuid.uuid4())}

    def work_off(self) -> int:
        """Do what is queued now, and return how many jobs that were."""
        return sum(self._do(job["id"]) for kind in self._kinds for job in self._ask("GET", f"?job_id={kind}"))

    def _do(self, job_run_id: str) -> bool:
        over = threading.Event()
        with suppress(URLError):  # 409: somebody was faster, or the run was canceled
            job = self._ask("POST", f"/{job_run_id}/claim", {"lease_secs": LEASE_SECS, **self._own})
            threading.Thread(target=self._keep, args=[job_run_id, over], daemon=True).start()
            try:
                report = "complete", {"output": self._kinds[job["job_id"]](job.get("payload"))}
            except Exception as error:  # noqa: BLE001 - whatever goes wrong, the step's retries are the answer
                report = "fail", {"error": str(error) or repr(error)}
            finally:
                over.set()
            self._ask("POST", f"/{job_run_id}/{report[0]}", {**report[1], **self._own})
            return True
        return False

    def _keep(self, job_run_id: str, over: threading.Event) -> None:
        while not over.wait(LEASE_SECS / 3):
            with suppress(URLError):  # 409: it is not ours any more, as the report will be told
                self._ask("POST", f"/{job_run_id}/heartbeat", {"lease_secs": LEASE_SECS, **self._own})

    def _ask(self, method: str, path: str, body: Json = None) -> Json:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._url}/v1/job-runs{path}", data, headers, method=method)  # noqa: S310 - the URL is ours
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            return json.load(answer)


if __name__ == "__main__":
    worker, stop = Worker(os.environ["URL"], os.environ["KEY"]), threading.Event()
    with suppress(KeyboardInterrupt):
        while not stop.wait(1):
            worker.work_off()
