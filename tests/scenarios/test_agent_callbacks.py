"""What agents call over HTTP: good and bad reports, whose token counts, and what of it a run's history tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.api.bodies import LONGEST_BODY
from chalicelib.domain.value import Json
from chalicelib.gateways.agents import FakeAgents, Order
from chalicelib.services import agents, outside
from tests.api.http import Client, Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.v1_runs import V1Run, v1_started

GOOD: Json = {"output": "a poster"}


@dataclass(frozen=True, kw_only=True)
class Working:
    """A run with an agent at work."""

    run: V1Run
    order: Order

    def say(self, verb: str, body: Json = GOOD, *, token: str | None = None, raw: bytes | None = None) -> Response:
        """Call back as the agent does, or with another token."""
        client = Client(url=self.run.scene.stack.url, key=self.order.token if token is None else token)
        sent = json.dumps(body).encode() if raw is None else raw
        path = self.order.callback_url.removeprefix(self.run.scene.stack.url)
        answered = client.send("POST", f"{path}/{verb}", sent, {"Content-Type": "application/json"})
        self.run.scene.settle()
        return answered

    def refused(self) -> list[Any]:
        """Return what the run's history tells of refusals."""
        records = self.run.scene.client.get(f"{self.run.path}/history?limit=100").json
        return [one for one in records if one["outcome"] == "refused"]


@pytest.fixture
def sandboxes(scene: Scene) -> Iterator[FakeAgents]:
    """Have sandboxes that do nothing in place of the stack's."""
    del scene
    fake = FakeAgents()
    with outside.replaced(replace(outside.current(), agents=fake)):
        yield fake


@pytest.fixture
def working(scene: Scene, sandboxes: FakeAgents) -> Working:
    return at_work(scene, sandboxes)


def at_work(scene: Scene, sandboxes: FakeAgents, **config: Json) -> Working:
    """Have a run's only agent at work."""
    payload: Json = {"cliId": "claude", "prompt": "A poster", **config}
    run = v1_started(scene, a_step("draw", step_type="agent", payload=payload))
    scene.settle()
    [order] = [one for one in sandboxes.orders.values() if json.loads(one.work)["runId"] == run.id]
    return Working(run=run, order=order)


def made(run: V1Run) -> Any:
    """Return what the step of a completed run has come to."""
    [step] = run.until("completed").get("/steps")
    return step["output"]


def problem_of(answered: Response) -> tuple[int, str, str | None]:
    """Return a refusal's status, its code and the field at fault."""
    error = answered.json["error"]
    return answered.status, error["code"], error.get("field")


@pytest.mark.store
def test_an_agent_is_heard_of_reports_and_reports_again(working: Working) -> None:
    beat = working.say("heartbeat", {"tail": "at it"})
    assert (beat.status, beat.json) == (200, {"data": {"continue": True}})
    usage: Json = {"inputTokens": 10, "outputTokens": 5, "costUsd": 0.25}
    told: Json = {
        "output": {"words": 7},
        "verdict": "pass",
        "feedback": "fine",
        "branchName": "poster",
        "prUrl": "https://git.example/r/pull/1",
        "usage": usage,
        "issues": [{"title": "Too loud", "severity": "minor"}],
        "learnings": [{"title": "Colours", "body": "Fewer."}],
    }
    first = working.say("report", told)
    assert (first.status, first.json) == (200, {"data": {"accepted": True}})
    assert made(working.run) == told
    again = working.say("report", told)
    assert (again.status, again.json) == (200, first.json)
    assert problem_of(working.say("report")) == (409, "CONFLICT", None)
    assert problem_of(working.say("heartbeat", {})) == (409, "CONFLICT", None)
    assert [(one["command"], one["step_ref"]) for one in working.refused()] == [
        ("report", "draw"),
        ("heartbeat", "draw"),
    ]


def test_an_agent_that_fails_says_why(working: Working) -> None:
    assert working.say("heartbeat", {"tail": "line 1\nline 2"}).status == 200
    failed = working.say("fail", {"code": "exit_2", "message": "it ended with 2"})
    assert (failed.status, failed.json) == (200, {"data": {"accepted": True}})
    error = working.run.until("failed").get("/steps")[0]["error"]
    assert "it ended with 2; it last printed: line 1\nline 2" in json.dumps(error, ensure_ascii=False).replace(
        "\\n", "\n"
    )


#: By what is wrong with a report: what is sent, and the field that is named.
BAD_REPORTS: dict[str, tuple[Json, str]] = {
    "nothing": ({}, "output"),
    "no output": ({"verdict": "pass"}, "output"),
    "unknown field": ({"output": 1, "outcome": 1}, "outcome"),
    "verdict": ({"output": 1, "verdict": "maybe"}, "verdict"),
    "verdict as a flag": ({"output": 1, "verdict": True}, "verdict"),
    "feedback": ({"output": 1, "feedback": ["x"]}, "feedback"),
    "branch": ({"output": 1, "branchName": "a\nb"}, "branchName"),
    "branch too long": ({"output": 1, "branchName": "x" * 256}, "branchName"),
    "plain http": ({"output": 1, "prUrl": "http://x.example/1"}, "prUrl"),
    "a script": ({"output": 1, "prUrl": "javascript:alert(1)"}, "prUrl"),
    "a password": ({"output": 1, "prUrl": "https://a:b@x.example"}, "prUrl"),
    "usage": ({"output": 1, "usage": [1]}, "usage"),
    "tokens as text": ({"output": 1, "usage": {"inputTokens": "5"}}, "usage.inputTokens"),
    "tokens in parts": ({"output": 1, "usage": {"inputTokens": 1.5}}, "usage.inputTokens"),
    "tokens as a flag": ({"output": 1, "usage": {"outputTokens": True}}, "usage.outputTokens"),
    "fewer than none": ({"output": 1, "usage": {"outputTokens": -1}}, "usage.outputTokens"),
    "money back": ({"output": 1, "usage": {"costUsd": -0.01}}, "usage.costUsd"),
    "money as text": ({"output": 1, "usage": {"costUsd": "1"}}, "usage.costUsd"),
    "no such usage": ({"output": 1, "usage": {"cost": 1}}, "usage.cost"),
    "too many issues": ({"output": 1, "issues": [{"title": "t", "severity": "s"}] * 51}, "issues"),
    "issue without a title": ({"output": 1, "issues": [{"severity": "s"}]}, "issues.0.title"),
    "blank title": ({"output": 1, "issues": [{"title": " ", "severity": "s"}]}, "issues.0.title"),
    "learning": ({"output": 1, "learnings": [{"title": "t", "body": 5}]}, "learnings.0.body"),
    "too many learnings": ({"output": 1, "learnings": [{"title": "t", "body": "b"}] * 51}, "learnings"),
}


def test_a_bad_report_is_refused_by_its_field_recorded_and_harmless(
    scene: Scene, sandboxes: FakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "MOST_OF_AGENT", 100)
    working = at_work(scene, sandboxes, role="checker")
    for name, (body, field) in BAD_REPORTS.items():
        assert problem_of(working.say("report", body)) == (400, "VALIDATION", field), name
    for raw in (b"", b"{", b"output=1", b"[]", b"null", b'{"output": NaN}', b'{"output": "\xff"}'):
        answered = working.say("report", raw=raw)
        assert (answered.status, answered.json["error"]["code"]) == (400, "VALIDATION"), raw
    too_large = b'{"output": "' + b"x" * LONGEST_BODY + b'"}'
    assert problem_of(working.say("report", raw=too_large)) == (413, "TOO_LARGE", None)
    assert problem_of(working.say("report", GOOD)) == (400, "VALIDATION", "verdict")
    assert problem_of(working.say("heartbeat", {"tail": 1})) == (400, "VALIDATION", "tail")
    assert problem_of(working.say("fail", {"code": "a b", "message": "m"})) == (400, "VALIDATION", "code")
    assert problem_of(working.say("fail", {"message": " "})) == (400, "VALIDATION", "message")
    refused = working.refused()
    assert len(refused) == len(BAD_REPORTS) + 7 + 5
    assert {(one["command"], one["actor"]["name"]) for one in refused} == {
        ("report", "agent"),
        ("heartbeat", "agent"),
        ("fail", "agent"),
    }
    assert working.run.status == "running"
    assert (
        working.say("report", {"output": 1, "verdict": "fail", "usage": {"costUsd": 1}, "issues": None}).status == 200
    )
    assert made(working.run)["verdict"] == "fail"


@pytest.mark.store
def test_another_runs_token_opens_nothing_and_is_put_on_record(scene: Scene, sandboxes: FakeAgents) -> None:
    mine, theirs = at_work(scene, sandboxes), at_work(scene, sandboxes)
    known = mine.say("report", token=theirs.order.token)
    unknown = replace(mine, order=replace(mine.order, callback_url=f"{scene.stack.url}/api/v1/agents/nowhere"))
    nowhere = unknown.say("report")
    for answered in (known, nowhere, unknown.say("report", token=theirs.order.token), mine.say("fail", token="x")):
        assert problem_of(answered) == (401, "AUTH_INVALID", None)
        assert answered.json["error"] == nowhere.json["error"]
    # Before the body is read.
    assert mine.say("report", raw=b"{", token=theirs.order.token).status == 401
    refused = mine.refused()
    assert [(one["command"], one["actor"]["name"]) for one in refused] == [
        ("report", "unknown"),
        ("fail", "unknown"),
        ("report", "unknown"),
    ]
    assert theirs.refused() == []
    for verb in ("report", "heartbeat", "fail"):
        path = f"{mine.order.callback_url.removeprefix(scene.stack.url)}/{verb}"
        for key in (None, ""):
            answered = Client(url=scene.stack.url, key=key).post(path, GOOD)
            assert answered.status == 401
        assert problem_of(Client(url=scene.stack.url, key=scene.project.key).post(path, GOOD))[:2] == (
            401,
            "AUTH_INVALID",
        )
    assert mine.say("report").status == theirs.say("report").status == 200
    assert made(mine.run)["output"] == "a poster"


def test_what_strangers_and_agents_can_have_recorded_is_bounded(
    scene: Scene, sandboxes: FakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "MOST_OF_STRANGERS", 2)
    monkeypatch.setattr(agents, "MOST_OF_AGENT", 4)
    working = at_work(scene, sandboxes)
    assert [working.say("report", token="x").status for _ in range(3)] == [401] * 3
    assert [working.say("report", {}).status for _ in range(3)] == [400] * 3
    assert [one["actor"]["name"] for one in working.refused()] == ["unknown"] * 2 + ["agent"] * 2
    assert working.say("report").status == 200
    # No stranger is on record of an agent that is done.
    monkeypatch.setattr(agents, "MOST_OF_STRANGERS", 100)
    assert working.say("report", token="x").status == 401
    assert len(working.refused()) == 4


def test_a_canceled_runs_agent_is_ended_and_what_it_says_is_refused(working: Working, sandboxes: FakeAgents) -> None:
    working.run.do("cancel")
    assert list(sandboxes.stopped.values()) == ["the run is canceled"]
    for verb, body in (("report", GOOD), ("heartbeat", {}), ("fail", {"message": "m"})):
        assert problem_of(working.say(verb, body)) == (409, "CONFLICT", None)
    assert [one["command"] for one in working.refused()] == ["report", "heartbeat", "fail"]
    assert working.run.status == "canceled"
