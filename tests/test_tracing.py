"""Segments: the documents that X-Ray's own SDK builds and sends, caught on a socket of ours."""

from __future__ import annotations

import contextvars
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import tracing
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import a_call, a_house

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
SECRET = "ada-and-her-4711-orders"

#: Returns the documents sent so far, by the name of their segment, and forgets them.
Sent = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Trace as on Lambda, to a daemon that only listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(0.05)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
        monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
        monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "false")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER)
        tracing._recorder.cache_clear()
        yield lambda: {document["name"]: document for document in received(daemon)}
        recorder = tracing._recorder()
        tracing._recorder.cache_clear()
        # The SDK has one of its own besides, which nothing uses.
        for each in (recorder, sys.modules["aws_xray_sdk.core"].xray_recorder):
            each.emitter._socket.close()


def received(daemon: socket.socket) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = []
    while True:
        try:
            text = daemon.recv(65536).decode()
        except TimeoutError:
            return documents
        documents.append(json.loads(text.partition("\n")[2]))


def test_segments_stand_in_one_another_and_in_lambdas_own(sent: Sent) -> None:
    with tracing.segment("drive", run_id="r1") as drive:
        drive.annotate(workflow_id="wf")
        with tracing.segment("transform a", step="a", attempt=2):
            pass
    documents = sent()
    outer, inner = documents["drive"], documents["transform a"]
    assert (outer["parent_id"], outer["trace_id"]) == ("53995c3f42cd8ad8", "1-5759e988-bd862e3fe1be46a994272793")
    assert (inner["parent_id"], inner["type"]) == (outer["id"], "subsegment")
    assert outer["annotations"] == {"run_id": "r1", "workflow_id": "wf"}
    assert inner["annotations"] == {"step": "a", "attempt": 2}
    assert outer["start_time"] <= inner["start_time"] <= inner["end_time"] <= outer["end_time"]


def test_each_invocation_of_one_trace_stands_in_a_segment_of_its_own(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parent in ("53995c3f42cd8ad8", "64aa6d4053de9be9"):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER.replace("53995c3f42cd8ad8", parent))
        with tracing.segment("drive"):
            pass
        assert sent()["drive"]["parent_id"] == parent


def test_a_segment_in_a_thread_stands_in_the_one_that_started_it(sent: Sent) -> None:
    def step(name: str) -> None:
        with tracing.segment(name):
            pass

    with tracing.segment("drive"), ThreadPoolExecutor(2) as pool:
        for name in ("a", "b", "c"):
            pool.submit(contextvars.copy_context().run, step, name)
    documents = sent()
    drive = documents.pop("drive")
    assert {name: document["parent_id"] for name, document in documents.items()} == dict.fromkeys("abc", drive["id"])


def test_an_exception_is_a_fault_of_its_type_without_a_word_of_it(sent: Sent) -> None:
    def fails() -> None:
        with tracing.segment("drive"):
            raise ValueError(SECRET)

    with pytest.raises(ValueError, match=SECRET):
        fails()
    document = sent()["drive"]
    assert (document["fault"], document["annotations"]) == (True, {"exception": "ValueError"})
    assert SECRET not in json.dumps(document)


def test_what_goes_on_at_the_end_of_the_outermost_is_sent_with_it(sent: Sent) -> None:
    begun, over = threading.Event(), threading.Event()

    def lasting() -> None:
        with tracing.segment("http_request slow") as segment:
            begun.set()
            over.wait()
            segment.annotate(outcome="completed")

    with ThreadPoolExecutor() as pool:
        with tracing.segment("drive"):
            pool.submit(contextvars.copy_context().run, lasting)
            begun.wait()
        documents = sent()
        over.set()
    [slow] = documents["drive"]["subsegments"]
    assert (slow["name"], slow["fault"]) == ("http_request slow", True)
    assert sent() == {}


def test_a_long_drive_is_sent_in_parts_that_x_ray_takes(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    emitter = tracing._recorder().emitter
    monkeypatch.setattr(emitter, "_send_data", lambda text: sizes.append(len(text)))
    with tracing.segment("drive"):
        for index in range(300):
            with tracing.segment(f"transform {'s' * 180}{index}", step=f"s{index}", attempt=1):
                pass
    assert len(sizes) == 301
    assert max(sizes) < 64 * 1024


def test_a_name_has_only_what_x_ray_takes_of_it(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    with tracing.segment("http_request a{b}?;*()!$~^<>" + "x" * 300):
        pass
    [name] = sent()
    assert name.startswith("http_request a_b____________xxx")
    assert len(name) == 200
    assert not caplog.records


@pytest.mark.parametrize(
    ("variable", "value"),
    [("_X_AMZN_TRACE_ID", HEADER.replace("Sampled=1", "Sampled=0")), ("POWERTOOLS_TRACE_DISABLED", "true")],
)
def test_what_is_not_traced_loads_and_sends_nothing(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with tracing.segment("drive") as drive:
        drive.annotate(run_id="r1")
        drive.failed()
    assert tracing._recorder.cache_info().currsize == 0
    assert sent() == {}


@pytest.mark.parametrize("broken", ["begin_subsegment", "end_subsegment", "set_trace_entity"])
def test_a_fault_of_tracing_is_no_fault_of_what_it_is_around(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise OSError(broken)

    monkeypatch.setattr(tracing._recorder(), broken, breaks)
    done = []
    with tracing.segment("drive") as drive, tracing.segment("step") as step:
        step.annotate(attempt=1)
        drive.failed()
        done.append(1)
    assert done == [1]


def test_an_sdk_that_cannot_be_loaded_is_no_fault_either(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "aws_xray_sdk.core.recorder", None)
        with tracing.segment("drive") as drive:
            drive.annotate(run_id="r1")
    assert sent() == {}


def test_a_drive_has_its_steps_in_it_those_in_threads_too_and_nothing_of_users(
    sent: Sent, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = a_house(table, monkeypatch)
    house.answers = lambda key, _nth: 200 if key == "good" else 418
    steps = [a_call("good"), a_call("bad"), a_step("quick", config={"value": SECRET})]
    run_id = house.start(a_definition(steps, ("quick", "good"), ("quick", "bad")), payload=SECRET)
    house.settle(run_id)
    documents = sent()
    drive = documents.pop("drive")
    assert drive["annotations"] == {"run_id": run_id, "workflow_id": "wf", "let_go": "ended"}
    steps_of = {
        name: (one.get("namespace"), one["annotations"]["outcome"], one.get("error", False))
        for name, one in documents.items()
    }
    assert steps_of == {
        "http_request good": ("remote", "completed", False),
        "http_request bad": ("remote", "failed", True),
        "transform quick": ("local", "completed", False),
    }
    assert {one["parent_id"] for one in documents.values()} == {drive["id"]}
    assert {(one["annotations"]["step"], one["annotations"]["attempt"]) for one in documents.values()} == {
        ("good", 1),
        ("bad", 1),
        ("quick", 1),
    }
    assert SECRET not in json.dumps([drive, documents])
    assert "example.com" not in json.dumps([drive, documents])
