"""Functions (`kind: script`) at their own URL."""

from __future__ import annotations

import pytest

from chalicelib.domain.value import Json
from tests.api.http import Client, Response
from tests.domain.graphs import a_graph, a_node
from tests.gateways.servers import Answer
from tests.scenarios.conftest import Web
from tests.scenarios.scene import CONNECTION, Deployed, Scene, a_chain, a_wait, quickly

pytestmark = pytest.mark.store


def exported(ref: str, value: Json = 1) -> dict[str, Json]:
    """A transform that the function's answer has."""
    return {**a_node(ref, value=value), "name": f"EXPORT_{ref}"}


SUM = a_chain(a_node("hidden", value="{{ payload.n }}"), exported("n", value="{{ hidden }}"), exported("k", value="k"))


def call(scene: Scene, function: Deployed, body: Json = None) -> Response:
    """Call a function by its URL, without a key."""
    return Client(url=scene.stack.url, key=None).post(function.url.removeprefix(scene.stack.url), body)


def test_a_function_answers_what_it_exports_and_leaves_no_run(scene: Scene) -> None:
    function = scene.deploy(SUM, kind="script")
    assert function.url.startswith(f"{scene.stack.url}/functions/")
    answered = call(scene, function, {"n": 5})
    assert (answered.status, answered.json) == (200, {"n": 5, "k": "k"})
    assert "x-request-id" in answered.headers
    assert scene.client.get(f"{function.path}/runs").json["data"] == []


@pytest.mark.parametrize(
    ("code", "answer"),
    [('{"total": "{{ n }}", "ok": true}', {"total": 5, "ok": True}), ("{{ k }}!", "k!"), ("{{ payload.n }}", 5)],
)
def test_trigger_code_words_the_answer(scene: Scene, code: str, answer: object) -> None:
    assert call(scene, scene.deploy(SUM, kind="script", trigger_code=code), {"n": 5}).json == answer


def test_a_branch_not_taken_exports_nothing(scene: Scene) -> None:
    ways = [{"label": "yes", "condition": "payload"}, {"label": "no"}]
    nodes = [a_node("ask", "branch", branches=ways), exported("y"), exported("n")]
    function = scene.deploy(a_graph(nodes, ["ask y yes", "ask n no"]), kind="script")
    assert call(scene, function, [1]).json == {"y": 1}
    assert call(scene, function, []).json == {"n": 1}


def test_a_node_that_fails_is_a_500_that_says_why_and_is_not_tried_again(scene: Scene, web: Web) -> None:
    web.answer = lambda _: Answer(status=503)
    node = a_node("call", "http_request", url=web.url, config=quickly())
    answered = call(scene, scene.deploy(a_chain(node), kind="script"), {})
    assert (answered.status, answered.json) == (500, {"message": "the server answered 503"})
    assert len(web.asked) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff", b'"\\ud800"', b"[1e999]"])
def test_what_is_not_json_is_a_400_and_nothing_runs(scene: Scene, web: Web, body: bytes) -> None:
    function = scene.deploy(a_chain(a_node("call", "http_request", url=web.url)), kind="script")
    answered = Client(url=scene.stack.url, key=None).send("POST", function.url.removeprefix(scene.stack.url), body)
    assert (answered.status, set(answered.json)) == (400, {"message"})
    assert web.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_other_methods_answer_200_and_run_nothing(scene: Scene, web: Web, method: str) -> None:
    function = scene.deploy(a_chain(a_node("call", "http_request", url=web.url)), kind="script")
    answered = Client(url=scene.stack.url, key=None).send(method, function.url.removeprefix(scene.stack.url))
    assert (answered.status, answered.text, web.asked) == (200, "", [])


def test_a_function_keeps_its_url_until_it_is_taken_down(scene: Scene) -> None:
    first = scene.deploy(SUM, kind="script")
    again = scene.deploy(a_chain(exported("v", value=2)), path=first.path)
    assert again.url == first.url
    assert call(scene, first).json == {"v": 2}
    assert scene.client.post(f"{first.path}/takedown", {"connectionId": CONNECTION}).status == 200
    gone = call(scene, first)
    assert (gone.status, set(gone.json)) == (404, {"message"})
    anew = scene.deploy(SUM, path=first.path)
    assert anew.url != first.url
    assert (call(scene, first).status, call(scene, anew, {"n": 1}).status) == (404, 200)


def test_a_deleted_functions_url_opens_nothing(scene: Scene) -> None:
    function = scene.deploy(SUM, kind="script")
    assert scene.client.send("DELETE", function.path).status == 200
    assert call(scene, function).status == 404


@pytest.mark.parametrize("token", ["x", "A" * 43, "%2e%2e", "a%2Fb", "%00", "%C3%A4", "%ff", "a" * 500])
def test_a_url_that_is_no_functions_is_a_404(scene: Scene, token: str) -> None:
    answered = Client(url=scene.stack.url, key=None).post(f"/functions/{token}", {})
    assert (answered.status, set(answered.json)) == (404, {"message"})


def test_a_function_cannot_be_triggered(scene: Scene) -> None:
    answered = scene.trigger(scene.deploy(SUM, kind="script"))
    assert answered.status == 400
    assert answered.json["error"].startswith("Scripts have no instance lifecycle")


@pytest.mark.parametrize(
    "node",
    [a_wait(), a_node("s", "sleep"), a_node("u", "sleep_until"), a_node("a", "approval")],
    ids=["event", "sleep", "sleep_until", "approval"],
)
def test_a_function_that_would_wait_is_refused_when_it_is_saved(scene: Scene, node: dict[str, Json]) -> None:
    path = scene.draft(kind="script")
    answered = scene.client.post(f"{path}/versions", {"ir": a_chain(node)})
    assert (answered.status, answered.json["error"]) == (400, "Invalid IR")
    assert scene.client.get(f"{path}/versions").json["data"] == []
