"""The workflows that are measured: graphs of the trigger API, and steps of the workflow-runs API."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

#: A graph as the trigger API takes it, or a step as the workflow-runs API does.
Graph: TypeAlias = dict[str, Any]


def chain(count: int) -> Graph:
    """Return so many `transform` steps in a row, each of which uses the one before it."""
    refs = [f"step-{number}" for number in range(count)]
    first = _transform(refs[0], {"order": "{{ event.payload.orderId }}", "n": 0})
    rest = [
        _transform(ref, {"order": f'{{{{ steps."{before}".output.order }}}}', "n": number})
        for number, (before, ref) in enumerate(pairwise(refs), start=1)
    ]
    return _graph([first, *rest], list(pairwise(refs)))


def fan_of_transforms(count: int) -> Graph:
    """Return a source, so many `transform` steps beside each other, and a join."""
    arms = [_transform(f"arm-{number}", {"n": number, "order": "{{ source.order }}"}) for number in range(count)]
    return _fan(arms)


def fan_of_requests(count: int, url: str) -> Graph:
    """Return a source, so many `http_request` steps beside each other, and a join."""
    arms = [
        {
            "id": f"arm-{number}",
            "type": "http_request",
            "name": f"arm-{number}",
            "data": {"method": "POST", "url": url, "body": {"n": number}},
        }
        for number in range(count)
    ]
    return _fan(arms)


def wait() -> Graph:
    """Return a workflow that waits for the event `go`, and then does one step."""
    waiting = {"id": "wait", "type": "wait_for_event", "name": "wait", "data": {"eventType": "go"}}
    return _graph([waiting, _transform("after", "{{ wait }}")], [("wait", "after")])


def steps_side_by_side(count: int) -> list[Graph]:
    """Return so many `transform` steps that nothing comes before."""
    return [_step(f"step-{number}", {"order": "{{ payload.orderId }}", "n": number}) for number in range(count)]


def steps_that_wait(event_key: str) -> list[Graph]:
    """Return a step that waits for an event key, and nothing after it."""
    return [{"step_ref": "wait", "step_type": "wait_for_event", "event_key": event_key}]


def _step(ref: str, payload: Any) -> Graph:
    return {"step_ref": ref, "step_type": "transform", "payload": payload}


def _fan(arms: Sequence[Graph]) -> Graph:
    edges = [("source", arm["id"]) for arm in arms] + [(arm["id"], "join") for arm in arms]
    source = _transform("source", {"order": "{{ event.payload.orderId }}"})
    return _graph([source, *arms, _transform("join", {"done": True})], edges)


def _transform(ref: str, value: Any) -> Graph:
    return {"id": ref, "type": "transform", "name": ref, "data": {"value": value}}


def _graph(nodes: Sequence[Graph], edges: Sequence[tuple[str, str]]) -> Graph:
    return {
        "metadata": {"name": "bench"},
        "nodes": list(nodes),
        "edges": [{"source": source, "target": target} for source, target in edges],
        "entryNodeId": nodes[0]["id"],
    }
