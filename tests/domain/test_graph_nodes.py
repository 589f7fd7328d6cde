from __future__ import annotations

from types import EllipsisType

import pytest

from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind
from tests.domain.graphs import a_graph, a_node, compiled, problems


def a_branching(*ways: Json) -> dict[str, Json]:
    return a_node("s", "branch", branches=list(ways))


def deep(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"id": None}, "id", "an id is required"),
        ({"id": 7}, "id", "an id is required"),
        ({"id": ""}, "id", "an id is required"),
        ({"id": "x" * 101}, "id", "100 characters"),
        *(({"id": bad}, "id", "an id holds no") for bad in ("a b", "a.b", "a/b", "a#b", "a'b", 'a"b', "a{b", "a}b")),
        *(({"id": bad}, "id", "an id holds no") for bad in ("a`b", "a\tb", "a\nb", "a\x00b", "a\u2028b", "\ud800")),
        *(({"id": taken}, "id", "already means something") for taken in ("event", "payload", "steps", "run", "error")),
        ({"type": None}, "type", "the type must be one of http_request, lambda"),
        ({"type": "teleport"}, "type", "the type must be one of"),
        ({"type": "job"}, "type", "the type must be one of"),
        ({"type": ["sleep"]}, "type", "the type must be one of"),
        ({"name": None}, "name", "a name is required"),
        ({"name": " "}, "name", "a name is required"),
        ({"name": "n" * 256}, "name", "255 characters"),
        ({"data": None}, "data", "data must be an object"),
        ({"data": []}, "data", "data must be an object"),
        ({"data": {}}, "data.value", "value is required"),
        ({"data": {"value": 1, "colour": 2}}, "data.colour", 'no field "colour"; the fields here are value'),
        ({"data": {"value": deep(100)}}, "data", "64 levels deep"),
        ({"data": {"value": deep(5000)}}, "data", "64 levels deep"),
        ({"config": []}, "config", "config must be an object"),
        ({"config": {"speed": 1}}, "config.speed", "the fields here are retries, timeout"),
        ({"config": {"timeout": "soon"}}, "config.timeout", "a duration is"),
        ({"config": {"timeout": 0}}, "config.timeout", "longer than nothing"),
        ({"config": {"timeout": "2 years"}}, "config.timeout", "365 days at most"),
        ({"config": {"retries": 3}}, "config.retries", "retries must be an object"),
        ({"config": {"retries": {"times": 3}}}, "config.retries.times", "the fields here are limit, delay, backoff"),
        ({"config": {"retries": {"limit": -1}}}, "config.retries.limit", "from 0 to 100"),
        ({"config": {"retries": {"limit": 101}}}, "config.retries.limit", "from 0 to 100"),
        ({"config": {"retries": {"limit": True}}}, "config.retries.limit", "from 0 to 100"),
        ({"config": {"retries": {"limit": 1.5}}}, "config.retries.limit", "from 0 to 100"),
        ({"config": {"retries": {"delay": "soon"}}}, "config.retries.delay", "a duration is"),
        ({"config": {"retries": {"delay": None}}}, "config.retries.delay", "a duration is"),
        ({"config": {"retries": {"backoff": "random"}}}, "config.retries.backoff", "constant, linear, exponential"),
        ({"config": {"retries": {"backoff": []}}}, "config.retries.backoff", "constant, linear, exponential"),
        ({"colour": {"x": 1}}, "colour", "the fields here are id, type, name, data, config"),
    ],
)
def test_a_bad_node_is_refused(changes: dict[str, Json], path: str, message: str) -> None:
    ir = a_graph([a_node("a"), {**a_node("b"), **changes}])
    assert message in {detail.path: detail.message for detail in problems(ir)}[f"nodes.1.{path}"]


@pytest.mark.parametrize("node", [None, "a", 1, []])
def test_a_node_that_is_no_object_is_refused(node: Json) -> None:
    found = problems(a_graph([a_node("a"), node]))
    assert [(detail.path, detail.message[:19]) for detail in found] == [("nodes.1", "a node is an object")]


def test_an_id_that_is_there_twice_is_refused_with_its_node() -> None:
    (detail,) = problems(a_graph([a_node("a"), a_node("a")]))
    assert (detail.path, detail.node_id) == ("nodes.1.id", "a")


@pytest.mark.parametrize("ref", ["a-b", "3f2a", "größe", "a:b", "1", "x" * 100])
def test_an_id_may_be_any_word(ref: str) -> None:
    assert list(compiled(a_graph([a_node(ref)])).steps) == [ref]


@pytest.mark.parametrize(
    ("node", "path", "message"),
    [
        (a_node("s", "http_request", method=...), "method", "method is required"),
        (a_node("s", "http_request", method="get"), "method", "GET, POST, PUT"),
        (a_node("s", "http_request", method="TRACE"), "method", "GET, POST, PUT"),
        (a_node("s", "http_request", url=...), "url", "url is required"),
        (a_node("s", "http_request", url=" "), "url", "must be text"),
        (a_node("s", "http_request", url="ftp://x"), "url", "http:// or https://"),
        (a_node("s", "http_request", url="https://"), "url", "name a host"),
        (a_node("s", "http_request", url="file:{{ payload.x }}"), "url", "http:// or https://"),
        (a_node("s", "http_request", headers=[]), "headers", "must be an object"),
        (a_node("s", "http_request", headers={"x": []}), "headers.x", "text, a number"),
        (a_node("s", "http_request", queryParams="x"), "queryParams", "must be an object"),
        (a_node("s", "http_request", queryParams={"x": {}}), "queryParams.x", "text, a number"),
        (a_node("s", "lambda", functionName=...), "functionName", "is required"),
        (a_node("s", "lambda", functionName=5), "functionName", "must be text"),
        (a_node("s", "sleep", duration=...), "duration", "is required"),
        (a_node("s", "sleep", duration="soon"), "duration", "a duration is"),
        (a_node("s", "sleep", duration=-1), "duration", "not negative"),
        (a_node("s", "sleep", duration="366 days"), "duration", "365 days at most"),
        (a_node("s", "sleep_until", timestamp="tomorrow"), "timestamp", "ISO 8601"),
        (a_node("s", "wait_for_event", eventType=...), "eventType", "is required"),
        (a_node("s", "wait_for_event", eventType=""), "eventType", "1 to 100"),
        (a_node("s", "wait_for_event", eventType="a b"), "eventType", "1 to 100"),
        (a_node("s", "wait_for_event", eventType="x" * 101), "eventType", "1 to 100"),
        (a_node("s", "wait_for_event", timeout="400 days"), "timeout", "365 days at most"),
        (a_node("s", "approval", approvers="ann"), "approvers", "must be a list"),
        (a_node("s", "approval", approvers=[1]), "approvers.0", "must be text"),
        (a_node("s", "approval", message=5), "message", "must be text"),
        (a_node("s", "approval", timeout="never"), "timeout", "a duration is"),
        (a_node("s", "branch", branches=...), "branches", "is required"),
        (a_branching(), "branches", "1 to 100"),
        (a_branching("yes"), "branches.0", "an object {label, condition}"),
        (a_branching({"label": "a", "if": "x"}), "branches.0.if", "the fields here are label, condition"),
        (a_branching({"label": "", "condition": "payload"}), "branches.0.label", "1 to 100 characters"),
        (a_branching({"label": "error", "condition": "payload"}), "branches.0.label", "is taken"),
        (a_branching({"label": "a", "condition": "payload"}, {"label": "a"}), "branches.1.label", "there twice"),
        (a_branching({"label": "a"}, {"label": "b", "condition": "payload"}), "branches.0.condition", "only the last"),
        (a_branching({"label": "a", "condition": True}), "branches.0.condition", "expression as text"),
        (a_branching({"label": "a", "condition": "x > 1"}), "branches.0.condition", "backticks, `1`"),
        (a_node("s", "break", condition="payload."), "condition", "ends too soon"),
        (a_node("s", "transform", value=["{{ a b }}"]), "value.0", "cannot be read at character 3"),
        (a_node("s", "sub_workflow", workflowId=...), "workflowId", "is required"),
        (a_node("s", "sub_workflow", waitForCompletion="yes"), "waitForCompletion", "true or false"),
        (a_node("s", "sub_workflow", timeout="long"), "timeout", "a duration is"),
        (a_node("s", "sub_script", workflowId=""), "workflowId", "must be text"),
    ],
)
def test_bad_data_is_refused_at_its_field(node: Json, path: str, message: str) -> None:
    found = {detail.path: detail for detail in problems(a_graph([node]))}
    assert message in found[f"nodes.0.data.{path}"].message
    assert found[f"nodes.0.data.{path}"].node_id == "s"


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ({"loopType": "until"}, "loopType", "forEach, while, times"),
        ({"loopType": ...}, "loopType", "is required"),
        ({"loopType": "forEach", "count": ...}, "collection", "needs collection"),
        ({"loopType": "forEach", "count": ..., "collection": 5}, "collection", "must be a list"),
        ({"loopType": "forEach", "count": ..., "collection": [0] * 1001}, "collection", "1000 items at most"),
        ({"loopType": "forEach", "collection": [1]}, "count", "has no count"),
        ({"loopType": "while", "count": ...}, "condition", "needs condition"),
        ({"loopType": "while", "count": ..., "condition": ""}, "condition", "needs condition"),
        ({"count": ...}, "count", "needs count"),
        ({"count": -1}, "count", "from 0 to 1000"),
        ({"count": 1001}, "count", "from 0 to 1000"),
        ({"count": 1.5}, "count", "from 0 to 1000"),
        ({"count": True}, "count", "from 0 to 1000"),
        ({"itemVar": "a-b"}, "itemVar", "letters, digits"),
        ({"itemVar": 5}, "itemVar", "letters, digits"),
        ({"indexVar": "1st"}, "indexVar", "letters, digits"),
        ({"itemVar": "payload"}, "itemVar", "templates always have"),
        ({"indexVar": "x"}, "indexVar", "hide the step"),
        ({"itemVar": "i"}, "indexVar", "are both"),
    ],
)
def test_bad_loop_data_is_refused(data: dict[str, Json | EllipsisType], field: str, message: str) -> None:
    found = problems(a_graph([a_node("s", "loop", config=None, **data), a_node("x")], ["s x body"]))
    assert message in {detail.path: detail.message for detail in found}[f"nodes.0.data.{field}"]


@pytest.mark.parametrize(
    "node",
    [
        a_node("s", "http_request", url="{{ payload.url }}"),
        a_node("s", "http_request", url="http{{ payload.s }}://x"),
        a_node("s", "http_request", url="HTTPS://x/{{ payload.id }}"),
        a_node("s", "http_request", headers={"a": 1, "b": "{{ payload.b }}"}, queryParams={"n": [1, 2], "z": None}),
        a_node("s", "http_request", headers="{{ payload.headers }}"),
        a_node("s", "sleep", duration="{{ payload.delay }}"),
        a_node("s", "sleep_until", timestamp=1_800_000_000),
        a_node("s", "wait_for_event", eventType="order-{{ payload.id }}"),
        a_node("s", "approval", approvers=["ann"], message="{{ payload.what }}?"),
        a_node("s", "break", condition="{{ payload.done }}"),
        a_node("s", "sub_workflow", waitForCompletion=False),
    ],
)
def test_data_with_templates_compiles(node: Json) -> None:
    assert list(compiled(a_graph([node])).steps) == ["s"]


@pytest.mark.parametrize("step_type", ["sleep", "sleep_until", "wait_for_event", "approval"])
def test_a_script_has_no_steps_that_wait(step_type: str) -> None:
    (detail,) = problems(a_graph([a_node("s", step_type)]), kind=WorkflowKind.SCRIPT)
    assert detail.path == "nodes.0.type"
    assert "a script cannot wait" in detail.message


def test_a_script_does_not_wait_for_a_sub_workflow() -> None:
    (detail,) = problems(a_graph([a_node("s", "sub_workflow")]), kind=WorkflowKind.SCRIPT)
    assert (detail.path, detail.message[:20]) == ("nodes.0.data.waitForCompletion", "a script cannot wait")
    ir = a_graph([a_node("s", "sub_workflow", waitForCompletion=False)])
    assert compiled(ir, kind=WorkflowKind.SCRIPT).steps["s"].config["waitForCompletion"] is False


def test_what_is_shown_of_the_input_can_be_sent() -> None:
    for detail in problems({**a_graph([a_node("a")], entryNodeId="\ud800" * 500), "\udfff" * 9000: 1}):
        assert len(detail.message.encode()) < 1000
        assert len(detail.path.encode()) < 2000
