"""Builders for step lists: steps in as few words as a test needs."""

from __future__ import annotations

import pytest

from chalicelib.domain.definition import Definition, StepSpec
from chalicelib.domain.refusal import Detail, InvalidDefinition
from chalicelib.domain.step_list import compile_steps
from chalicelib.domain.value import Json

#: The least that each type of step does with, beside its ref and its type.
LEAST: dict[str, dict[str, Json]] = {
    "job": {},
    "approval": {"approval_approvers": ["ann"]},
    "sub_workflow": {"sub_workflow_id": "wf_1"},
    "wait_for_event": {"event_key": "paid"},
    "sleep": {"sleep_duration_secs": 60},
    "http_request": {"payload": {"method": "GET", "url": "https://example.com"}},
    "lambda": {"payload": {"functionName": "f"}},
    "transform": {"payload": 1},
    "agent": {"payload": {"cliId": "claude", "prompt": "Fix {{ payload.issue }}"}},
}


def a_list_step(ref: str, type_: str = "job", *after: str, **fields: Json) -> dict[str, Json]:
    """Return a step with the least of its type that comes after others, and what is given over it."""
    return {"step_ref": ref, "step_type": type_, "depends_on": list(after), **LEAST[type_], **fields}


def compiled_step(type_: str = "job", **fields: Json) -> StepSpec:
    """Return what a step alone in its list is compiled to."""
    return compile_steps([a_list_step("s", type_, **fields)]).steps["s"]


def refused(steps: Json) -> InvalidDefinition:
    """Return the refusal of a step list; one that is not refused fails the test."""
    with pytest.raises(InvalidDefinition) as caught:
        compile_steps(steps)
    return caught.value


def step_problems(*steps: Json) -> tuple[Detail, ...]:
    """Return what is wrong with a step list."""
    return refused(list(steps)).details


def depends_on(definition: Definition) -> dict[str, list[str]]:
    """Return what each step's edges say that it depends on."""
    return {ref: [edge.source for edge in edges] for ref, edges in definition.incoming.items()}
