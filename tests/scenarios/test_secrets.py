"""What no log line and no record may hold: keys, function tokens, task tokens, payloads, headers' values."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from chalicelib.domain.definition import StepType
from chalicelib.domain.value import Json
from chalicelib.services import workflows
from chalicelib.services.executors import registry
from chalicelib.services.executors.call import Executor
from chalicelib.store import keys as store_keys
from tests.api.http import Client
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import CONNECTION, Scene, a_chain, a_wait, quickly
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import v1_run

pytestmark = pytest.mark.store

PAYLOAD = "payload-marker-5f1d"
REASON = "reason-marker-31c9"
HEADER = "header-marker-8c2e"
ANSWER = "answer-marker-77ab"


class Lines(logging.Handler):
    """Keeps everything that a record holds, whatever a formatter would make of it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(f"{record.getMessage()} {record.__dict__}")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Every line of the app's, down to the last detail, and what others find worth a warning."""
    handler, ours, root = Lines(), logging.getLogger("stepwell"), logging.getLogger()
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    ours.removeHandler(handler)
    ours.setLevel(before)


def secrets_of(scene: Scene, *function_urls: str) -> list[str]:
    """What opens something."""
    key = scene.project.key
    return [key, key.rpartition("_")[2], *(url.rpartition("/")[2] for url in function_urls)]


def token_of(scene: Scene, run: str) -> str:
    """The task token of a parked run."""
    key = {"pk": {"S": store_keys.run(run.rpartition("/")[2]).pk}, "sk": {"S": "#RUN"}}
    item = scene.stack.dynamodb.get_item(TableName=scene.stack.resources.table, Key=key, ConsistentRead=True)["Item"]
    return item["park_token"]["S"]


def a_crowded_graph(web: Web) -> dict[str, Json]:
    """Calls with a secret header that fail and are tried again, a template that fails, and a wait."""
    headers = {"Authorization": f"Bearer {HEADER}", "X-Api-Key": "{{ payload.header }}"}
    nodes = [
        a_node(
            "call", "http_request", method="POST", url=web.url, headers=headers, body="{{ payload }}", config=quickly()
        ),
        a_node("broken", value="{{ sum(payload.text) }}"),
        a_wait(),
        a_node("after", "lambda", functionName="workflow-echo", payload="{{ payload }}"),
    ]
    return a_graph(nodes, ["call broken", "broken wait error", "wait after"])


def test_no_line_holds_a_secret_or_what_users_sent(
    scene: Scene, web: Web, lines: Lines, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Answer(status=503, body=ANSWER.encode()), Answer(status=429, headers={"X-Was": ANSWER})])
    web.answer = lambda _: next(answers, Answer(body=json.dumps({"said": ANSWER}).encode()))
    scene.stack.register("workflow-echo", lambda event, _context: event)
    function = scene.deploy(a_chain(a_node("f", "http_request", url="{{ payload }}")), kind="script")
    params = {"text": PAYLOAD, "header": HEADER}
    workflow = scene.deploy(a_crowded_graph(web))
    run = scene.start(workflow, params)
    scene.settle()
    token = token_of(scene, run)
    assert scene.do(run, "pause", "pause", "resume") == [200, 200, 200]
    scene.settle()
    later = token_of(scene, run)
    scene.told(run, "go", {"text": PAYLOAD})
    assert scene.ended(run)["status"] == "complete"
    plain = Client(url=scene.stack.url, key=None)
    plain.post(function.url.removeprefix(scene.stack.url), PAYLOAD)
    plain.post("/functions/" + PAYLOAD, {})
    scene.client.post("/api/workflows", {"name": "n", "unknown": PAYLOAD})
    scene.client.send("POST", "/api/workflows", PAYLOAD.encode(), {"X-Secret": HEADER})
    Client(url=scene.stack.url, key=scene.project.key + "0").get("/api/workflows")
    _provoke(scene, monkeypatch, params)
    scene.stack.invoke("sweep")
    scene.settle()

    out, err = capfd.readouterr()
    written = "\n".join([*lines.kept, out, err])
    assert "request_failed" in written  # something was logged at all, of a request
    assert "step_crashed" in written  # and of a run
    for secret in (*secrets_of(scene, function.url), token, later, PAYLOAD, HEADER, ANSWER):
        assert secret not in written


def test_no_line_holds_what_people_and_workers_say_through_the_workflow_runs_api(
    scene: Scene, web: Web, lines: Lines, capfd: pytest.CaptureFixture[str]
) -> None:
    web.answer = lambda _: Answer(status=400, body=ANSWER.encode())
    call: Json = {"method": "POST", "url": web.url, "headers": {"X-Secret": HEADER}, "body": "{{ payload }}"}
    run = v1_run(
        scene,
        a_step("ok", step_type="approval", approval_approvers=["*"]),
        a_step("no", step_type="approval", approval_approvers=["*"], on_failure="continue"),
        a_step("wait", step_type="wait_for_event", event_key="{{ payload.text }}"),
        a_step("work", step_type="job", payload="{{ payload }}", on_failure="continue"),
        a_step("call", "ok", step_type="http_request", payload=call, on_failure="continue"),
        a_step("stays", step_type="sleep", sleep_duration_secs=600),
        a_step("tell", "call", event_emit_key="{{ payload.text }}.{{ sum(payload.text) }}"),
        payload={"text": PAYLOAD},
        tags={"tag": PAYLOAD},
    )
    [job] = scene.client.get("/v1/job-runs").json
    said: dict[str, Json] = {
        f"{run.path}/steps/ok/approve": {"comment": REASON},
        f"{run.path}/steps/no/reject": {"reason": REASON},
        f"{run.path}/pause": {"reason": REASON},
        f"{run.path}/resume": {"reason": REASON},
        f"/v1/job-runs/{job['id']}/fail": {"error": REASON},
        f"/v1/events/{PAYLOAD}/send": {"payload": PAYLOAD},
        f"{run.path}/steps/call/replay-subtree": {"reason": REASON},
        f"{run.path}/steps/call/force-complete": {"result": {"said": PAYLOAD}},
        f"{run.path}/steps/{PAYLOAD}/skip": {"reason": REASON, "unknown": PAYLOAD},
        "/v1/workflow-runs/bulk-cancel": {"workflow_run_ids": [run.id, PAYLOAD], "reason": REASON},
    }
    for path, body in said.items():
        answered = scene.client.post(path, body, Idempotency_Key=HEADER)
        assert answered.status == (400 if "/skip" in path else 200), (path, answered.text)
        scene.settle()
    scene.stack.invoke("sweep")
    scene.settle()

    out, err = capfd.readouterr()
    written = "\n".join([*lines.kept, out, err])
    assert "run_id" in written
    for secret in (*secrets_of(scene), PAYLOAD, HEADER, ANSWER, REASON):
        assert secret not in written


def _provoke(scene: Scene, monkeypatch: pytest.MonkeyPatch, params: dict[str, str]) -> None:
    """Have a request and a step fail as nobody foresaw, with messages that tell everything."""
    workflow = scene.deploy(a_chain(a_node("only")))
    everything = f"{scene.project.key} {PAYLOAD} {HEADER}"

    def tell(*_: object, **__: object) -> None:
        raise KeyError(everything)

    with monkeypatch.context() as broken:
        broken.setattr(workflows, "page", tell)
        assert scene.client.get("/api/workflows").status == 500
    crashing = Executor(execute=tell)  # type: ignore[arg-type] # it never answers
    with monkeypatch.context() as broken:
        broken.setattr(registry, "EXECUTORS", {**registry.EXECUTORS, StepType.TRANSFORM: crashing})
        run = scene.start(workflow, params)
        row = scene.ended(run)
    assert row["status"] == "errored"
    assert PAYLOAD not in row["error"]


def test_the_table_and_step_functions_hold_no_key_and_no_functions_token(scene: Scene) -> None:
    function = scene.deploy(a_chain(a_node("only")), kind="script")
    run = scene.started(a_chain(a_wait()), PAYLOAD)
    body = {"connectionId": CONNECTION, "params": PAYLOAD}
    assert scene.client.post(f"{run.partition('/runs/')[0]}/trigger", body, Idempotency_Key="k").status == 201
    scene.settle()
    pages = scene.stack.dynamodb.get_paginator("scan").paginate(TableName=scene.stack.resources.table)
    table = json.dumps([item for page in pages for item in page["Items"]], default=str)
    assert scene.project.key.split("_")[1] in table  # the key's id is there
    assert not [secret for secret in secrets_of(scene, function.url) if secret in table]
    [execution] = scene.executions(run)
    assert PAYLOAD not in execution["input"]
    history = scene.stack.stepfunctions.get_execution_history(executionArn=execution["executionArn"])
    assert PAYLOAD not in json.dumps(history, default=str)
