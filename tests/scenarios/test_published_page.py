"""The examples of the published page, taken from the page itself and run: only URL, ids and key are put in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.local.dynamodb import PROJECT
from tests.domain.graphs import a_node
from tests.scenarios.scene import Deployed, Scene, a_chain, a_wait

pytestmark = pytest.mark.store

PAGE = (PROJECT / "docs/contracts/trigger-api-page.md").read_text()
#: A command ends with its body; a program ends where the next heading stands.
CURLS = re.findall(r"^curl [^\n]*(?:\\\n[^\n]*)*?-d '.*?'$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = re.findall(r"^javascript\n(.*?)(?=\n\n[A-Z][A-Za-z ]+\n\n)", PAGE, re.MULTILINE | re.DOTALL)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node runs the page's JavaScript")

#: What the page says a client may find.
STATES = set(re.findall(r"^(queued|running|paused|complete|errored|terminated)", PAGE, re.MULTILINE))
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Reader:
    """Somebody who follows the page."""

    scene: Scene
    workflow: Deployed
    #: What stands on the page, and what the reader has in its place.
    own: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.own |= {
            "https://app.awaitstep.dev": self.scene.client.url,
            "wf_abc123": self.workflow.id,
            "conn_xyz789": "conn_default",
            "ask_yourkey": self.scene.project.key,
        }

    def filled_in(self, example: str) -> str:
        for theirs, own in self.own.items():
            example = example.replace(theirs, own)
        return example

    def bash(self, example: str) -> Any:
        """Run a command as it is printed and return what it prints."""
        return json.loads(_run("bash", "-c", self.filled_in(example)))

    def node(self, program: str) -> str:
        """Run a program that may await at its top level, and return what it prints."""
        return _run("node", "--input-type=module", "-e", self.filled_in(program))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def reader(scene: Scene) -> Reader:
    """A reader with a workflow that asks for the decision which the page sends."""
    graph = a_chain(
        a_node("order", value="{{ payload.orderId }}"),
        a_wait("decision", "approval-decision"),
        a_node("end", value={"order": "{{ order }}", "approved": "{{ decision.approved }}"}),
    )
    return Reader(scene, scene.deploy(graph))


def test_the_page_has_the_examples_that_are_run_here() -> None:
    assert [curl.split()[3] for curl in CURLS] == [
        "https://app.awaitstep.dev/api/workflows/wf_abc123/trigger",
        "https://app.awaitstep.dev/api/workflows/wf_abc123/trigger",
        "https://<your-worker-url>",
    ]
    assert [script.split("(")[0] for script in SCRIPTS] == [
        "const response = await fetch",
        "async function waitForCompletion",
    ]
    assert all(script.count("{") == script.count("}") for script in SCRIPTS)
    assert len(STATES) == 6


def test_the_curls_start_a_run_and_send_it_its_event(reader: Reader) -> None:
    start, send, _ = CURLS
    started = reader.bash(start)
    assert UUID.fullmatch(started["instanceId"])
    reader.scene.settle()
    run = f"{reader.workflow.path}/runs/{started['instanceId']}"
    assert reader.scene.row(run)["status"] == "paused"
    reader.own["9d3f1a2b-4c5e-6d7f-8a9b-0c1d2e3f4a5b"] = started["instanceId"]
    assert reader.bash(send) == {"instanceId": started["instanceId"]}
    row = reader.scene.ended(run)
    assert (row["status"], row["output"]) == ("complete", {"order": "ord_001", "approved": True})


def test_the_curl_for_a_function_gets_its_answer(reader: Reader) -> None:
    node = {**a_node("total", value={"of": "{{ payload.orderId }}"}), "name": "EXPORT_total"}
    function = reader.scene.deploy(a_chain(node), kind="script")
    reader.own["https://<your-worker-url>"] = function.url
    assert reader.bash(CURLS[2]) == {"total": {"of": "ord_001"}}


@needs_node
def test_the_javascript_starts_a_run(reader: Reader) -> None:
    printed = reader.node(SCRIPTS[0])
    said, _, instance_id = printed.strip().rpartition(" ")
    assert said == "Run started:"
    assert UUID.fullmatch(instance_id)
    reader.scene.settle()
    assert reader.scene.row(f"{reader.workflow.path}/runs/{instance_id}")["status"] == "paused"


def a_waiter(reader: Reader, run: str) -> str:
    """The page's function, called for a run; what it returns or throws is printed."""
    arguments = ", ".join(json.dumps(text) for text in (reader.workflow.id, run.rpartition("/")[2], "ask_yourkey"))
    call = f"await waitForCompletion({arguments}, 1).then((run) => run.output, (error) => error.message)"
    return f"{SCRIPTS[1]}\nconsole.log(JSON.stringify({call}))"


@needs_node
def test_the_javascript_that_polls_ends_with_the_run(reader: Reader) -> None:
    scene = reader.scene
    run = scene.start(reader.workflow, {"orderId": "o"})
    scene.settle()
    scene.told(run, "approval-decision", {"approved": False})
    assert json.loads(reader.node(a_waiter(reader, run))) == {"order": "o", "approved": False}
    stopped = scene.start(reader.workflow)
    assert scene.do(stopped, "terminate") == [200]
    assert json.loads(reader.node(a_waiter(reader, stopped))) == "Run was terminated"
    failing = scene.deploy(a_chain(a_node("call", "http_request", url="{{ payload }}")), path=reader.workflow.path)
    failed = scene.start(failing)
    error = scene.ended(failed)["error"]
    assert json.loads(reader.node(a_waiter(reader, failed))) == f"Run failed: {error}"
