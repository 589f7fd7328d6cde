from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import catalog
from chalicelib.api.endpoints import Answer, Endpoint, answer
from chalicelib.api.trigger_api.run_rows import RunStatusShown
from chalicelib.domain.access import Scope
from chalicelib.domain.refusal import IllegalMove, NotFound
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.step import StepError, WaitKind
from chalicelib.domain.value import Json, Offloaded
from chalicelib.services import authentication, connections, run_lists, runs
from chalicelib.store.paging import Page
from tests.api.asking import NOW, PROJECT, a_key, a_request, told

RUNS = "/api/workflows/{workflow_id}/runs"
TRIGGER = "/api/workflows/{workflow_id}/trigger"


def a_run(**given: Any) -> Run:
    made = Run(
        id="run-1",
        project_id=PROJECT,
        workflow_id="wf_1",
        version_id="wfv_1",
        version=1,
        connection_id="conn_default",
        status=RunStatus.PENDING,
        triggered_by="api",
        created_by="tester",
        created_at=NOW,
        updated_at=NOW + timedelta(seconds=1),
    )
    return replace(made, **given)


@dataclass
class Runs:
    """Stands in for the services of runs, and remembers what it was asked."""

    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    run: Run = field(default_factory=a_run)
    replayed: bool = False

    def trigger(self, project_id: str, workflow_id: str, **given: Any) -> runs.Triggered:
        self.asked.append(("trigger", {"project_id": project_id, "workflow_id": workflow_id, **given}))
        return runs.Triggered(run=self.run, replayed=self.replayed)

    def deliver(self, project_id: str, run_id: str, **given: Any) -> runs.Triggered:
        self.asked.append(("deliver", {"project_id": project_id, "run_id": run_id, **given}))
        return runs.Triggered(run=self.run, replayed=self.replayed)

    def verb(self, name: str) -> Any:
        def ask(project_id: str, run_id: str, **given: Any) -> Run:
            self.asked.append((name, {"project_id": project_id, "run_id": run_id, **given}))
            return self.run

        return ask


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Runs:
    fake = Runs()
    monkeypatch.setattr(authentication, "authenticate", lambda *_, **__: a_key(*Scope))
    monkeypatch.setattr(runs, "trigger", fake.trigger)
    monkeypatch.setattr(runs, "deliver", fake.deliver)
    monkeypatch.setattr(runs, "output_of", lambda run: run.output)
    monkeypatch.setattr(runs, "load", lambda *_: fake.run)
    for verb in ("pause", "resume", "terminate"):
        monkeypatch.setattr(runs, verb, fake.verb(verb))
    monkeypatch.setattr(connections, "load", lambda *_: None)
    return fake


def endpoint(method: str, path: str) -> Endpoint:
    return next(one for one in catalog.endpoints() if (one.method, one.path) == (method, path))


def trigger(body: Json, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = a_request(path={"workflow_id": "wf_1"}, body=json.dumps(body, ensure_ascii=False), headers=named)
    return answer(endpoint("POST", TRIGGER), request)


def listed(**query: str) -> Answer:
    request = a_request(path={"workflow_id": "wf_1"}, query={name: [value] for name, value in query.items()})
    return answer(endpoint("GET", RUNS), request)


def test_a_trigger_answers_the_whole_row(service: Runs) -> None:
    answered = trigger({"connectionId": "conn_default", "params": {"orderId": "ord_001"}})
    assert answered.status == 201
    assert told(answered) == {
        "id": "run-1",
        "workflowId": "wf_1",
        "versionId": "wfv_1",
        "connectionId": "conn_default",
        "instanceId": "run-1",
        "status": "queued",
        "output": None,
        "error": None,
        "createdAt": "2026-11-22T07:00:00.123Z",
        "updatedAt": "2026-11-22T07:00:01.123Z",
    }
    assert "Idempotency-Replayed" not in answered.headers
    name, asked = service.asked[0]
    assert (name, asked["payload"], asked["once"]) == ("trigger", {"orderId": "ord_001"}, None)
    assert (asked["project_id"], asked["actor"].name, asked["now"]) == (PROJECT, "tester", NOW)


@pytest.mark.parametrize("params", [None, 0, 1.5, "text", True, [], [1, {"a": None}], {}, {"instanceId": "x"}])
def test_params_may_be_any_json(service: Runs, params: Json) -> None:
    assert trigger({"connectionId": "c", "params": params}).status == 201
    assert service.asked[0][1]["payload"] == params


def test_a_replay_is_a_200_that_says_so(service: Runs) -> None:
    service.replayed = True
    answered = trigger({"connectionId": "c"}, idempotency_key="k1")
    assert (answered.status, answered.headers["Idempotency-Replayed"]) == (200, "true")
    assert service.asked[0][1]["once"].key == "k1"


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_of_no_or_too_great_length_is_refused(service: Runs, key: str) -> None:
    assert trigger({"connectionId": "c"}, idempotency_key=key).status == 422
    assert service.asked == []


def test_the_same_json_is_the_same_request_however_it_is_written(service: Runs) -> None:
    bodies: list[Json] = [
        {"connectionId": "c", "params": {"a": 1, "b": [1, 2]}},
        {"params": {"b": [1, 2], "a": 1}, "connectionId": "c"},
        {"connectionId": "c", "params": {"a": 1, "b": [2, 1]}},
        {"connectionId": "d", "params": {"a": 1, "b": [1, 2]}},
    ]
    for body in bodies:
        trigger(body, idempotency_key="k")
    first, same, other, elsewhere = (asked["once"].request_digest for _, asked in service.asked)
    assert first == same
    assert len({first, other, elsewhere}) == 3


@pytest.mark.parametrize("character", ["x", "ä", "\N{GRINNING FACE}"])
def test_params_are_measured_in_bytes_of_their_json(service: Runs, character: str) -> None:
    size = len(character.encode())
    fits = character * ((102_400 - 2) // size)
    assert trigger({"connectionId": "c", "params": fits}).status == 201
    answered = trigger({"connectionId": "c", "params": fits + "x" * size})
    assert answered.status == 422
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"params": {}},
        {"connectionId": None},
        {"connectionId": 5},
        {"connectionId": ""},
        {"connectionId": "c", "parms": {}},
        {"connection_id": "c"},
    ],
)
def test_a_trigger_that_breaks_a_rule_is_refused_with_its_details(service: Runs, body: Json) -> None:
    answered = trigger(body)
    assert answered.status == 422
    assert told(answered)["details"]
    assert service.asked == []


@pytest.mark.parametrize("connection_id", ["a/b", "a#b", "%", "x" * 200])
def test_a_connection_that_cannot_exist_is_not_found(service: Runs, connection_id: str) -> None:
    answered = trigger({"connectionId": connection_id})
    assert (answered.status, told(answered)) == (404, {"error": "Connection not found"})


def test_an_event_is_delivered_and_starts_nothing(service: Runs) -> None:
    params: Json = {"instanceId": "run-1", "eventType": "approval-decision", "payload": {"approved": True}}
    answered = trigger({"connectionId": "c", "params": params})
    assert (answered.status, told(answered)) == (200, {"instanceId": "run-1"})
    [(name, asked)] = service.asked
    assert (name, asked["run_id"], asked["event_type"]) == ("deliver", "run-1", "approval-decision")
    assert asked["payload"] == {"approved": True}


@pytest.mark.parametrize(
    "params",
    [
        {"instanceId": "run-1", "eventType": ""},
        {"instanceId": "run-1", "eventType": "a b"},
        {"instanceId": "run-1", "eventType": "a\n"},
        {"instanceId": "run-1", "eventType": "x" * 101},
        {"instanceId": "run-1", "eventType": None},
        {"instanceId": 1, "eventType": "go"},
        {"instanceId": "run-1", "eventType": "go", "data": 1},
    ],
)
def test_a_malformed_event_is_refused_and_never_starts_a_run(service: Runs, params: Json) -> None:
    answered = trigger({"connectionId": "c", "params": params})
    assert answered.status == 422
    assert all(detail["path"].startswith("params.") for detail in told(answered)["details"])
    assert service.asked == []


def test_an_event_to_a_run_that_cannot_exist_is_not_found(service: Runs) -> None:
    answered = trigger({"connectionId": "c", "params": {"instanceId": "a/b", "eventType": "go"}})
    assert (answered.status, told(answered)) == (404, {"error": "Run not found"})


@pytest.mark.parametrize("verb", ["pause", "resume", "terminate"])
def test_a_verb_answers_ok_and_hands_on_who_asked(service: Runs, verb: str) -> None:
    request = a_request(path={"workflow_id": "wf_1", "run_id": "run-1"})
    answered = answer(endpoint("POST", f"{RUNS}/{{run_id}}/{verb}"), request)
    assert (answered.status, told(answered)) == (200, {"ok": True})
    [(name, asked)] = service.asked
    assert (name, asked["run_id"], asked["workflow_id"]) == (verb, "run-1", "wf_1")
    assert (asked["ask"].actor.key_id, asked["ask"].request_id, asked["now"]) == ("key1", "req-1", NOW)


@pytest.mark.parametrize(("refused", "status"), [(IllegalMove("it has ended"), 409), (NotFound("Run not found"), 404)])
def test_a_verbs_refusal_has_its_status(
    service: Runs,
    monkeypatch: pytest.MonkeyPatch,
    refused: Exception,
    status: int,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr(runs, "pause", refuse)
    request = a_request(path={"workflow_id": "wf_1", "run_id": "run-1"})
    assert answer(endpoint("POST", f"{RUNS}/{{run_id}}/pause"), request).status == status


def poll(service: Runs, **given: Any) -> Any:
    service.run = a_run(**given)
    request = a_request(path={"workflow_id": "wf_1", "run_id": "run-1"})
    return told(answer(endpoint("GET", f"{RUNS}/{{run_id}}"), request))


@pytest.mark.parametrize(
    ("status", "waiting_for", "shown"),
    [
        (RunStatus.PENDING, (), "queued"),
        (RunStatus.RUNNING, (), "running"),
        (RunStatus.RUNNING, (WaitKind.EVENT,), "paused"),
        (RunStatus.RUNNING, (WaitKind.APPROVAL, WaitKind.EVENT), "paused"),
        (RunStatus.RUNNING, (WaitKind.EVENT, WaitKind.SLEEP), "running"),
        (RunStatus.RUNNING, (WaitKind.SLEEP,), "running"),
        (RunStatus.RUNNING, (WaitKind.CHILD,), "running"),
        (RunStatus.PAUSED, (), "paused"),
        (RunStatus.PAUSED, (WaitKind.SLEEP,), "paused"),
        (RunStatus.COMPLETED, (), "complete"),
        (RunStatus.FAILED, (), "errored"),
        (RunStatus.TIMED_OUT, (), "errored"),
        (RunStatus.CANCELED, (), "terminated"),
    ],
)
def test_a_run_shows_in_the_pages_words(
    service: Runs,
    status: RunStatus,
    waiting_for: tuple[WaitKind, ...],
    shown: str,
) -> None:
    assert poll(service, status=status, waiting_for=waiting_for)["status"] == shown


def test_an_error_is_shown_as_text_and_an_output_as_it_is(service: Runs) -> None:
    error = StepError(code="http_status", message="HTTP 500 from shop", step="charge")
    assert poll(service, status=RunStatus.FAILED, error=error)["error"] == "HTTP 500 from shop"
    assert poll(service, status=RunStatus.COMPLETED, output={"a": [1, None]})["output"] == {"a": [1, None]}


@dataclass
class Lists:
    """Answers each page of the store's list from those given, and remembers what was asked."""

    pages: list[Page[Run]]
    asked: list[dict[str, Any]] = field(default_factory=list)

    def page(self, project_id: str, workflow_id: str, **given: Any) -> Page[Run]:
        self.asked.append(given)
        return self.pages[len(self.asked) - 1]


def waiting(number: int) -> Run:
    return a_run(id=f"run-{number}", status=RunStatus.RUNNING, waiting_for=(WaitKind.EVENT,))


def busy(number: int) -> Run:
    return a_run(id=f"run-{number}", status=RunStatus.RUNNING)


@pytest.mark.parametrize("shown", RunStatusShown)
def test_a_status_is_looked_for_among_the_stored_ones_that_can_show_as_it(
    service: Runs,
    monkeypatch: pytest.MonkeyPatch,
    shown: RunStatusShown,
) -> None:
    lists = Lists([Page(items=(), cursor=None)])
    monkeypatch.setattr(run_lists, "page", lists.page)
    assert told(listed(status=shown)) == {"data": [], "nextCursor": None}
    wanted = {
        "queued": {RunStatus.PENDING},
        "running": {RunStatus.RUNNING},
        "paused": {RunStatus.RUNNING, RunStatus.PAUSED},
        "complete": {RunStatus.COMPLETED},
        "errored": {RunStatus.FAILED, RunStatus.TIMED_OUT},
        "terminated": {RunStatus.CANCELED},
    }
    assert set(lists.asked[0]["statuses"]) == wanted[shown]
    assert lists.asked[0]["limit"] == 50


def test_runs_that_show_otherwise_are_left_out_and_their_places_filled(
    service: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = [Page(items=(busy(9), waiting(8)), cursor="c8"), Page(items=(waiting(7),), cursor="c7")]
    lists = Lists(pages)
    monkeypatch.setattr(run_lists, "page", lists.page)
    shown = told(listed(status="paused", limit="2"))
    assert ([row["id"] for row in shown["data"]], shown["nextCursor"]) == (["run-8", "run-7"], "c7")
    assert [(asked["cursor"], asked["limit"]) for asked in lists.asked] == [(None, 2), ("c8", 1)]


def test_a_page_costs_a_bounded_number_of_reads(service: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists([Page(items=(busy(n),), cursor=f"c{n}") for n in range(20)])
    monkeypatch.setattr(run_lists, "page", lists.page)
    shown = told(listed(status="paused", limit="1"))
    assert (shown["data"], shown["nextCursor"]) == ([], "c4")
    assert len(lists.asked) == 5


def test_a_list_leaves_out_an_output_that_lies_elsewhere(service: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    large = a_run(status=RunStatus.COMPLETED, output=Offloaded(digest="d", size=10**6))
    small = a_run(status=RunStatus.COMPLETED, output="small")
    monkeypatch.setattr(run_lists, "page", Lists([Page(items=(large, small), cursor=None)]).page)
    assert [row["output"] for row in told(listed())["data"]] == [None, "small"]


@pytest.mark.parametrize(
    "query", [{"status": "pending"}, {"status": ""}, {"limit": "0"}, {"limit": "101"}, {"cursor": ""}]
)
def test_a_bad_query_is_refused(service: Runs, query: dict[str, str]) -> None:
    answered = listed(**query)
    assert answered.status == 422
    assert told(answered)["details"][0]["path"] in query
