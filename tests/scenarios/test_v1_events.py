"""Events by key over HTTP: sent to whoever waits, called off, and listed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Response
from tests.scenarios.scene import Scene
from tests.scenarios.steps import a_step
from tests.scenarios.waiters import begun, message_of, terminated, with_scopes

pytestmark = pytest.mark.store


def a_wait(ref: str = "wait", key: str = "order-{{ payload.n }}", **fields: Json) -> dict[str, Json]:
    return a_step(ref, step_type="wait_for_event", event_key=key, **fields)


def send(scene: Scene, key: str, body: Json = None) -> Response:
    return scene.client.post(f"/v1/events/{quote(key, safe='')}/send", {} if body is None else body)


def call_off(scene: Scene, key: str) -> Response:
    return scene.client.send("DELETE", f"/v1/events/{quote(key, safe='')}")


def listed(scene: Scene, query: str = "") -> Any:
    answered = scene.client.get(f"/v1/events{query}")
    assert answered.status == 200, answered.text
    return answered.json


def test_an_event_is_shown_while_it_is_waited_for_and_once_it_has_come(scene: Scene) -> None:
    run = begun(scene, a_wait(), a_step("after", "wait", payload="{{ wait.by }}"), payload={"n": 7})
    [waits] = listed(scene)
    assert waits == {
        "id": waits["id"],
        "event_key": "order-7",
        "status": "waiting",
        "workflow_id": run.workflow_id,
        "workflow_run_id": run.id,
        "step_ref": "wait",
        "created_at": waits["created_at"],
        "expires_at": waits["expires_at"],
    }
    assert scene.client.get("/v1/events/order-7").json == waits
    sent = send(scene, "order-7", {"payload": {"by": "card"}})
    assert sent.status == 200
    assert sent.json == {
        **waits,
        "status": "received",
        "payload": {"by": "card"},
        "sent_by": "development",
        "received_at": sent.json["received_at"],
    }
    assert scene.ended(run.path)["output"] == "card"
    assert listed(scene, "?status=received") == [sent.json]


@pytest.mark.parametrize("key", ["a/b c?d#e%", "ключ\u00a0🔑", "..", "+&=;", "x" * 512])
def test_a_key_may_be_any_text_of_one_line(scene: Scene, key: str) -> None:
    run = begun(scene, a_wait(key=key.replace("{", "")))
    assert send(scene, key, {"payload": 1}).json["event_key"] == key
    assert scene.ended(run.path)["output"] == 1


def test_one_event_ends_the_waits_of_every_run(scene: Scene) -> None:
    runs = [begun(scene, a_wait(key="all")) for _ in range(3)]
    assert send(scene, "all", {"payload": 5}).status == 200
    assert [scene.ended(run.path)["output"] for run in runs] == [5, 5, 5]


def test_sending_twice_is_a_200_for_the_same_payload_and_a_409_for_another(scene: Scene) -> None:
    begun(scene, a_wait(key="k"))
    bodies: list[Json] = [{"payload": {"a": 1, "b": 2}}, {"payload": {"b": 2, "a": 1}}, {"payload": 2}, {}]
    assert [send(scene, "k", body).status for body in bodies] == [200, 200, 409, 409]
    assert message_of(call_off(scene, "k")) == (409, "event is received; nobody waits for it")


def test_an_event_that_nobody_waits_for_is_a_404(scene: Scene) -> None:
    for answered in (send(scene, "none"), call_off(scene, "none"), scene.client.get("/v1/events/none")):
        assert message_of(answered) == (404, "event not found")
    assert message_of(send(scene, "a\nb")) == (404, "event not found")


def test_another_projects_wait_is_a_404(scene: Scene) -> None:
    begun(scene, a_wait(key="k"))
    other = Scene.of(scene.stack, type(scene.project)(id="proj_else", key=scene.stack.add_project("proj_else")))
    assert message_of(send(other, "k")) == (404, "event not found")
    assert listed(other) == []


def test_an_event_called_off_fails_the_step_for_good(scene: Scene) -> None:
    run = begun(scene, a_wait(key="k", retry_max_attempts=3))
    answered = call_off(scene, "k")
    assert (answered.status, answered.text) == (204, "")
    row = scene.ended(run.path)
    assert (row["status"], row["error"]) == ("errored", "event canceled")
    assert message_of(call_off(scene, "k")) == (409, "event is canceled; nobody waits for it")
    assert message_of(send(scene, "k")) == (409, "event is canceled; nobody waits for it")
    assert [one["status"] for one in listed(scene, "?status=canceled")] == ["canceled"]


def test_a_canceled_runs_waits_are_over(scene: Scene) -> None:
    run = begun(scene, a_wait(key="k"))
    terminated(scene, run)
    assert message_of(send(scene, "k")) == (409, "event is canceled; nobody waits for it")


def test_a_wait_whose_time_is_over_is_shown_so(scene: Scene) -> None:
    run = begun(scene, a_wait(key="k", event_timeout_secs=1))
    assert scene.ended(run.path)["error"] == "event trigger timed out"
    assert scene.client.get("/v1/events/k").json["status"] == "timed_out"
    assert message_of(send(scene, "k")) == (409, "event is timed_out; nobody waits for it")


def test_what_a_step_emits_ends_the_waits_for_it(scene: Scene) -> None:
    waits = begun(scene, a_wait(key="made-7"))
    makes = begun(scene, a_step("make", payload={"n": 7}, event_emit_key="made-{{ payload }}"), payload=7)
    assert scene.ended(makes.path)["output"] == {"n": 7}
    assert scene.ended(waits.path)["output"] == {"n": 7}
    assert scene.client.get("/v1/events/made-7").json["sent_by"] == f"run {makes.id}"


def test_a_runs_waits_are_listed_page_by_page(scene: Scene) -> None:
    run = begun(scene, *(a_wait(f"w{index}", f"k{index}") for index in range(5)))
    begun(scene, a_wait(key="else"))
    query = f"?workflow_run_id={run.id}&project_id={scene.project.id}"
    whole = listed(scene, query)
    assert sorted(one["event_key"] for one in whole) == [f"k{index}" for index in range(5)]
    first = scene.client.get(f"/v1/events{query}&limit=3")
    rest = scene.client.get(f"/v1/events{query}&limit=3&cursor={first.headers['x-next-cursor']}")
    assert [*first.json, *rest.json] == whole
    assert len(listed(scene)) == 6


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("?status=done", 400, "status is invalid"),
        ("?workflow_run_id=none", 404, "workflow run not found"),
        ("?project_id=else", 404, "project not found"),
        ("?cursor=x", 400, "cursor is not one that this list returned"),
        ("?workflow_run_id=none&cursor=x", 400, "cursor is not one that this list returned"),
    ],
)
def test_a_list_that_cannot_be_is_refused(scene: Scene, query: str, status: int, message: str) -> None:
    assert message_of(scene.client.get(f"/v1/events{query}")) == (status, message)


def test_a_payload_over_the_limit_is_refused(scene: Scene) -> None:
    begun(scene, a_wait(key="k"))
    answered = send(scene, "k", {"payload": "x" * 102_400})
    assert message_of(answered) == (400, "payload is 102402 bytes of JSON; the limit is 102400")
    assert send(scene, "k", {"payload": "x" * 102_398}).status == 200


def test_sending_needs_the_word_for_triggers_and_calling_off_that_for_writing(scene: Scene) -> None:
    begun(scene, a_wait(key="k"))
    reader, writer = with_scopes(scene, "workflows:read"), with_scopes(scene, "workflows:write")
    assert reader.get("/v1/events/k").status == 200
    for client, method, path, word in (
        (reader, "POST", "/v1/events/k/send", "workflows:trigger"),
        (writer, "POST", "/v1/events/k/send", "workflows:trigger"),
        (reader, "DELETE", "/v1/events/k", "workflows:write"),
    ):
        refused = client.send(method, path, b"{}")
        assert message_of(refused) == (403, f"API key missing required scope: {word}")
