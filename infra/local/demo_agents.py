"""`make demo-agents`: the pipeline of `examples/agents/`, with an uploaded image, told iteration by iteration."""

from __future__ import annotations

import json
import struct
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import urllib3

from infra.local.stack import LocalStack
from infra.local.telling import Asking, Columns, DemoFailed, leave, print_table, say, short, told

_ROOT: Final = Path(__file__).parents[2]
PIPELINE: Final = _ROOT / "examples" / "agents" / "pipeline.json"
#: A program of rules in the place of every command-line agent.
AGENT: Final = _ROOT / "tests" / "agents" / "sample_agent.py"
PROMPT: Final = (
    'A poster: title "Summer Sale"; at least 12 words; must mention "half price" and "Saturday"; as wide as the image.'
)

_TOOLS: Final = ("claude", "codex", "opencode", "pi")
#: No part of the demo takes longer unless something is wrong.
_LONGEST_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_ENDED: Final = frozenset({"completed", "failed", "timed_out", "canceled"})


class Demo:
    """One telling of the example, from the upload to the bill."""

    def __init__(self, stack: LocalStack) -> None:
        self._asking = Asking(stack.url, stack.key)

    def go(self) -> None:
        """Tell it."""
        image_id = self._upload()
        workflow_id = self._create()
        run_id = self._start(workflow_id, image_id)
        run = self._watch(run_id)
        print_table(_STEPS, _attempts(run))
        self._print_bill(run_id)
        self._print_what_came_of_it(workflow_id)

    def _upload(self) -> str:
        image = a_png(320, 200)
        announced = self._data(
            "POST", "/files/upload-url", {"fileName": "poster.png", "contentType": "image/png", "size": len(image)}
        )
        fields = {**announced["fields"], "file": ("poster.png", image, "image/png")}
        answer = urllib3.request(announced["method"], announced["uploadUrl"], fields=fields)
        say("upload", "POST to the bucket, by the form of upload-url", f"{len(image)} bytes: {answer.status}")
        storage_id: str = announced["storageId"]
        file = self._until("ready", f"/files/get?storageId={storage_id}")
        say("check", f"GET /api/v1/files/get?storageId={short(storage_id)}", f"{file['status']}: {file['contentType']}")
        return storage_id

    def _create(self) -> str:
        workflow = self._data("POST", "/workflows/create", json.loads(PIPELINE.read_text()))
        tools = ", ".join(workflow["display"]["cliTools"])
        say("create", "POST /api/v1/workflows/create", f"version {workflow['version']}, run by {tools}")
        return str(workflow["id"])

    def _start(self, workflow_id: str, image_id: str) -> str:
        body = {"workflowId": workflow_id, "prompt": PROMPT, "referenceImageIds": [image_id]}
        started = self._data("POST", "/runs/start", body)
        say("start", "POST /api/v1/runs/start", f"run #{started['runNumber']}: {started['status']}")
        return str(started["runId"])

    def _watch(self, run_id: str) -> Mapping[str, Any]:
        """Say what each agent reports as it comes, and return the run once it has ended."""
        told_of: set[tuple[str, int]] = set()
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            run = self._data("GET", f"/runs/get?id={run_id}")
            for step, attempt in _reported(run):
                key = (step["ref"], attempt["iteration"])
                if key not in told_of:
                    told_of.add(key)
                    said = attempt["feedback"] or ""
                    say(step["role"], f"GET /api/v1/runs/get?id={short(run_id)}", attempt["verdict"] or "done")
                    if said:
                        print(f"{'':<9}{said}", flush=True)
            if run["status"] in _ENDED:
                if run["status"] != "completed":
                    raise DemoFailed(f"the run is {run['status']}: {run['error']}")
                print()
                return run
            if time.monotonic() > deadline:
                raise DemoFailed(f"the run is {run['status']} after {_LONGEST_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def _print_bill(self, run_id: str) -> None:
        bill = self._asking.ask("GET", f"/v1/workflow-runs/{run_id}/cost")
        agents = [
            {
                "item": f"{one['tool']} {one['model']}",
                "quantity": one["input_tokens"] + one["output_tokens"],
                "unit": "token",
                "cost_usd": one["cost_usd"],
            }
            for one in bill["agents"]
        ]
        whole = {"item": "together", "quantity": "", "unit": "", "cost_usd": bill["total_usd"]}
        print_table(_BILL, [*agents, *bill["lines"], whole])

    def _print_what_came_of_it(self, workflow_id: str) -> None:
        related = self._data("GET", f"/workflows/related?id={workflow_id}")
        for issue in related["issues"]:
            print(f"issue     {issue['title']} ({issue['severity']})")
        for learning in related["learningVersions"]:
            print(f"learning  {learning['title']}: {learning['body']}")
        kpis = self._data("GET", f"/workflows/analytics?id={workflow_id}&days=1")["kpis"]
        print(f"\nToday: {kpis['totalRuns']} run, {kpis['successRate']:.0%} of them completed.")

    def _until(self, status: str, path: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            found = self._data("GET", path)
            if found["status"] == status:
                return found
            if time.monotonic() > deadline:
                raise DemoFailed(f"{path} is {found['status']}, not {status}")
            time.sleep(_POLL_SECONDS)

    def _data(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._asking.ask(method, f"/api/v1{path}", body)["data"]
        return found


def a_png(width: int, height: int) -> bytes:
    """Return an image of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + b"\xf4\xa2\x61" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _reported(run: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the attempts that have ended, each with its step, in the order in which they did."""
    found = [(step, one) for step in run["steps"] for one in step["attempts"] if one["finishedAt"] is not None]
    return sorted(found, key=lambda pair: int(pair[1]["finishedAt"]))


def _attempts(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for step in run["steps"]:
        for attempt in step["attempts"]:
            yield {"name": step["name"], **attempt}


def _took(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['finishedAt'] - attempt['startedAt']} ms"


#: What each agent was asked, and said.
_STEPS: Final[Columns[Mapping[str, Any]]] = {
    "step": ("<", lambda one: str(one["name"])),
    "iteration": (">", lambda one: str(one["iteration"])),
    "status": ("<", lambda one: str(one["status"])),
    "took": (">", _took),
    "verdict": ("<", lambda one: one["verdict"] or ""),
}
#: What it cost, line by line.
_BILL: Final[Columns[Mapping[str, Any]]] = {
    "item": ("<", lambda line: str(line["item"])),
    "quantity": (">", lambda line: f"{line['quantity']:,.10g}" if line["quantity"] != "" else ""),
    "unit": ("<", lambda line: str(line["unit"])),
    "USD": (">", lambda line: f"{line['cost_usd']:.9f}"),
}


def tell() -> None:
    """Tell it on a stack of its own."""
    commands = dict.fromkeys(_TOOLS, f"{sys.executable} {AGENT}")
    with LocalStack(sweep_seconds=None, agent_commands=commands) as stack:
        print(f"Stepwell on {stack.url}, a program of rules in the place of its agents\n", flush=True)
        Demo(stack).go()


def main() -> int:
    """Return 0 if all of it went as it should."""
    return told(tell)


if __name__ == "__main__":
    leave(main())
