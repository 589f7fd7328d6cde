"""Lines: of a kind that stands in the table, with the ids of what they are about, and nothing that a user has sent."""

from __future__ import annotations

import contextvars
import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import logs
from chalicelib.api.dialects import FUNCTION_URL, TRIGGER_API
from chalicelib.api.endpoints import Api, answer
from chalicelib.domain.access import Actor, Scope
from chalicelib.domain.definition import StepType
from chalicelib.domain.refusal import Conflict, Unauthenticated
from chalicelib.domain.run import RunStatus
from chalicelib.gateways.errors import Unavailable
from chalicelib.logs import Action
from chalicelib.services import authentication, verbs
from chalicelib.services.verbs import Ask
from chalicelib.store import api_keys
from tests.api.asking import NOW, PROJECT, a_key, a_request
from tests.conftest import Table
from tests.domain.building import a_definition, a_step
from tests.services.house import House, a_call, a_house, a_line, a_wait

CODE = Path(logs.__file__).parent
SECRET = "ada-and-her-4711-orders"
ASK = Ask(actor=Actor(key_id="k1", name="ada"), request_id="r1")

#: Returns the lines written so far, read, in order.
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    formatter = logging.getLogger("stepwell").handlers[0].formatter
    assert formatter is not None
    with caplog.at_level(logging.INFO, "stepwell"):
        yield lambda: [json.loads(formatter.format(one)) for one in caplog.records if one.name == "stepwell"]


def test_every_kind_of_line_is_told_somewhere_and_nothing_writes_another() -> None:
    code = {path: path.read_text() for path in CODE.rglob("*.py")}
    told = {name for text in code.values() for name in re.findall(r"\bAction\.([A-Z_]+)", text)}
    assert told == set(Action.__members__)
    assert {path.name for path, text in code.items() if "getLogger(" in text or "print(" in text} == {
        "logs.py",
        "tracing.py",
    }


def test_each_kind_of_line_has_fixed_words_of_its_own() -> None:
    words = [action.message for action in Action]
    assert len(set(words)) == len(words)
    assert not [one for one in words if set("%{}\n") & set(one)]


def test_a_line_is_json_with_its_level_its_service_and_where_it_was_told(lines: Lines) -> None:
    logs.tell(Action.WORK_HERE, run_id="r1")
    [line] = lines()
    assert line["location"].startswith("test_a_line_is_json")
    assert line["timestamp"].endswith("+00:00")
    assert (line["level"], line["action"], line["message"]) == ("WARNING", "work_here", "no work invocation")
    assert (line["service"], line["run_id"]) == ("stepwell", "r1")


def test_a_line_carries_what_is_known_around_it_in_threads_too(lines: Lines) -> None:
    with logs.carrying(request_id="q1"):
        with logs.carrying(run_id="r1"), ThreadPoolExecutor() as pool:
            pool.submit(contextvars.copy_context().run, logs.tell, Action.WORK_HERE).result()
        logs.carry(key_id="k1")
        logs.tell(Action.TICKET_OPEN)
    logs.carry(key_id="nobody")
    logs.tell(Action.RUN_ENDED)
    ids = [{name: line.get(name) for name in ("request_id", "run_id", "key_id")} for line in lines()]
    assert ids == [
        {"request_id": "q1", "run_id": "r1", "key_id": None},
        {"request_id": "q1", "run_id": None, "key_id": "k1"},
        {"request_id": None, "run_id": None, "key_id": None},
    ]


def test_invocations_side_by_side_do_not_tell_each_others_ids(lines: Lines) -> None:
    together = threading.Barrier(2)

    def invocation(request_id: str) -> None:
        with logs.carrying(request_id=request_id):
            together.wait()
            logs.tell(Action.WORK_HERE, id=request_id)
            together.wait()

    with ThreadPoolExecutor() as pool:
        list(pool.map(invocation, ["one", "two"]))
    assert sorted((line["request_id"], line["id"]) for line in lines()) == [("one", "one"), ("two", "two")]


def test_a_line_carries_the_trace_that_it_belongs_to(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-67f-abc;Parent=53995c3f42cd8ad8;Sampled=0")
    logs.tell(Action.WORK_HERE)
    assert lines()[0]["xray_trace_id"] == "1-67f-abc"


class TestRequests:
    """What the API tells of a request."""

    @pytest.fixture(autouse=True)
    def _good_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(key_id: str) -> object:
            return replace(a_key(), id=key_id) if key_id == "key1" else None

        monkeypatch.setattr(api_keys, "load", read)
        authentication.reset()

    def test_an_answer_is_one_line_with_the_pattern_of_its_path_and_both_request_ids(
        self, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication, "authenticate", lambda *_, **__: a_key(Scope.RUNS_READ))
        api = Api(dialect=TRIGGER_API)
        api.endpoint("GET", "/v1/things/{workflow_id}", scope=Scope.RUNS_READ)(lambda *_, **__: {"secret": SECRET})
        request = replace(a_request(path={"workflow_id": SECRET}, query={"q": [SECRET]}), gateway_request_id="gw-1")
        answered = answer(api.endpoints[0], request)
        [line] = lines()
        assert line["ms"] >= 0
        told = {"action": "request_answered", "endpoint": "GET /v1/things/{workflow_id}", "status": 200}
        ids = {"gateway_request_id": "gw-1", "project_id": PROJECT, "key_id": "key1"}
        assert (told | ids | {"request_id": answered.headers["X-Request-Id"]}).items() <= line.items()
        assert SECRET not in json.dumps(line)

    def test_a_refusal_tells_its_code_and_a_token_in_the_path_is_not_told(self, lines: Lines) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise Conflict(SECRET)

        api = Api(dialect=FUNCTION_URL)
        api.endpoint("POST", "/functions/{token}", public=True)(refuse)
        answer(api.endpoints[0], a_request(path={"token": SECRET}))
        [line] = lines()
        assert (line["status"], line["code"], line["endpoint"]) == (409, Conflict.code, "POST /functions/{token}")
        assert SECRET not in json.dumps(line)

    @pytest.mark.parametrize(
        ("sent", "key_id"), [(f"ask_{SECRET}_x", None), (f"Basic {SECRET}", None), (f"ask_key1_{SECRET}", "key1")]
    )
    def test_a_key_that_is_refused_is_told_by_its_id_if_that_is_one_of_ours(
        self, lines: Lines, sent: str, key_id: str | None
    ) -> None:
        with pytest.raises(Unauthenticated):
            authentication.authenticate(f"Bearer {sent}", now=NOW)
        [line] = lines()
        assert (line["action"], line["level"], line.get("key_id")) == ("key_refused", "WARNING", key_id)
        assert SECRET not in json.dumps(line)


class TestRuns:
    """What drivers and verbs tell of a run, on a real table."""

    @pytest.fixture
    def house(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> House:
        return a_house(table, monkeypatch)

    def test_a_chain_of_quick_steps_is_a_line_an_attempt_and_two_at_its_end(self, house: House, lines: Lines) -> None:
        chain = a_line(*(a_step(f"s{index}", config={"value": SECRET}) for index in range(12)))
        run_id = house.start(chain, payload={"secret": SECRET})
        house.settle(run_id)
        told = lines()
        assert Counter(line["action"] for line in told) == {"attempt_ended": 12, "run_ended": 1, "drive_ended": 1}
        assert {(line["run_id"], line["workflow_id"], line["project_id"]) for line in told} == {(run_id, "wf", "p")}
        first = {"step": "s0", "attempt": 1, "step_type": "transform", "outcome": "completed", "level": "INFO"}
        assert first.items() <= told[0].items()
        assert {"attempts": 12, "steps_ended": 12, "let_go": "ended"}.items() <= told[-1].items()
        assert SECRET not in json.dumps(told)

    def test_each_fact_of_a_run_that_waits_is_told_once_in_order(self, house: House, lines: Lines) -> None:
        run_id = house.start(a_definition([a_wait("w")]))
        house.drain()
        now, outside = house.clock.now(), house.outside
        verbs.pause("p", run_id, ask=ASK, now=now, clock=house.clock)
        verbs.resume("p", run_id, ask=ASK, now=now, outside=outside)
        sent = {"event_type": "go", "payload": SECRET, "actor": ASK.actor}
        verbs.deliver("p", run_id, now=now, outside=outside, **sent)  # type: ignore[arg-type] # an event's parts
        assert house.settle(run_id).status is RunStatus.COMPLETED
        told = lines()
        kept = [line for line in told if line["action"] != "run_woken"]
        assert [(line["action"], *_of(line)) for line in kept] == [
            ("attempt_ended", "waiting"),
            ("run_parked", ["event"]),
            ("drive_ended", "parked"),
            ("verb_done", "pause"),
            ("verb_done", "resume"),
            ("event_delivered", "event"),
            ("wait_ended", "completed"),
            ("run_ended", "completed"),
            ("drive_ended", "ended"),
            # Of the second wake-up, which finds the run ended.
            ("drive_ended", "left_alone"),
        ]
        assert {line["by"] for line in told if line["action"] == "run_woken"} == {"token", "invocation"}
        assert {line["key_id"] for line in kept if line["action"] == "verb_done"} == {"k1"}
        assert SECRET not in json.dumps(told)

    def test_a_run_that_was_overdue_is_named_by_the_sweep_once_its_driver_is_invoked(
        self, house: House, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def declines(_run_id: str) -> None:
            raise Unavailable("function drive: ThrottlingException")

        run_id = house.start(a_definition([a_wait("w")]), invoked=False)
        house.sweep()
        assert lines() == []
        house.clock.at += timedelta(minutes=1)
        with monkeypatch.context() as patient:
            patient.setattr(house.invoker, "drive", declines)
            house.sweep()
        house.clock.at += timedelta(minutes=1)
        house.sweep()
        assert [(line["action"], line["level"], line["run_id"], line.get("workflow_id")) for line in lines()] == [
            ("sweep_failed", "WARNING", run_id, None),
            ("run_overdue", "WARNING", run_id, "wf"),
        ]

    def test_an_attempt_in_a_thread_that_fails_is_a_warning_with_its_code_and_no_word_of_the_error(
        self, house: House, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.answers = lambda _key, nth: 200 if nth == 2 else 503
        run_id = house.start(a_line(a_call("a", retries=1), a_call("b")), payload=SECRET)
        house.settle(run_id)
        told = lines()
        attempts = [line for line in told if line["action"] == "attempt_ended"]
        names = ("step", "attempt", "outcome", "code", "level")
        assert [tuple(line.get(name) for name in names) for line in attempts] == [
            ("a", 1, "failed", "http_status", "WARNING"),
            ("a", 2, "completed", None, "INFO"),
            ("b", 1, "failed", "http_status", "WARNING"),
        ]
        ended = next(line for line in told if line["action"] == "run_ended")
        assert (ended["status"], ended["level"]) == ("failed", "WARNING")
        assert SECRET not in json.dumps(told)
        assert "example.com" not in json.dumps(told)

    def test_what_an_executor_tells_in_its_thread_carries_run_step_and_attempt(
        self, house: House, lines: Lines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def told_inside(_key: str, _nth: int) -> int:
            logs.tell(Action.TICKET_OPEN)
            return 200

        house.answers = told_inside
        run_id = house.start(a_definition([a_call("a")]))
        house.settle(run_id)
        inside = next(line for line in lines() if line["action"] == "ticket_open")
        expected = {"run_id": run_id, "workflow_id": "wf", "step": "a", "attempt": 1}
        assert expected.items() <= inside.items()

    def test_a_wide_batch_is_told_by_the_invocation_that_made_it(self, house: House, lines: Lines) -> None:
        steps = [a_step(f"s{index}", StepType.HTTP_REQUEST, config=a_call(f"s{index}").config) for index in range(33)]
        run_id = house.start(a_definition(steps))
        house.settle(run_id)
        ended = [line for line in lines() if line["action"] in {"work_ended", "drive_ended"}]
        parts = [(line["action"], line["attempts"], line["steps_ended"], line["let_go"]) for line in ended]
        assert parts[0] == ("drive_ended", 0, 0, "at_work")
        assert sorted(part[1:] for part in parts if part[0] == "work_ended") == [
            (16, 16, "handed_on"),
            (17, 17, "handed_on"),
        ]
        assert parts[-1][-1] in {"ended", "left_alone"}


def _of(line: dict[str, Any]) -> tuple[object]:
    """What tells one line of a kind from another."""
    names = ("outcome", "waiting_for", "let_go", "command", "kind", "status")
    if line["action"] == "wait_ended":
        return (line["status"],)
    return (next(line[name] for name in names if name in line),)
