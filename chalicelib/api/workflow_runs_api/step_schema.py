"""A step as the OpenAPI document describes it, for generated clients; ``domain.step_fields`` is what judges one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from chalicelib.api.bodies import AnyJson
from chalicelib.domain.definition import OnFailure, ResourceClass
from chalicelib.domain.step_fields import BACKOFFS, DEEPEST_NESTING, LONGEST_WAIT, MOST_APPROVERS, TYPES

_SECONDS: Final = {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest}


def _step(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": ["step_ref"]}


#: The fields of a step, each as JSON Schema has it.
PROPERTIES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "step_ref": {**_text(128), "minLength": 1},
        "step_type": {"type": "string", "enum": [str(one) for one in TYPES], "default": "job"},
        "depends_on": {"type": "array", "items": {"type": "string"}},
        "condition": {"type": "object", "description": "Where it does not hold the step is skipped."},
        "on_failure": {"type": "string", "enum": [str(one) for one in OnFailure], "default": "fail_workflow"},
        "payload": {"description": "Any JSON; templates in it are rendered."},
        "retry_max_attempts": {"type": "integer", "minimum": 0, "maximum": 100, "default": 0},
        "retry_backoff": {"type": "string", "enum": list(BACKOFFS), "default": "exponential"},
        "retry_initial_delay_secs": {**_SECONDS, "default": 1},
        "retry_max_delay_secs": {**_SECONDS, "default": 3600},
        "timeout_secs_override": _SECONDS,
        "output_transform": {"description": "A value whose templates see `output`; it becomes the output."},
        "event_emit_key": _text(512),
        "concurrency_key": _text(128),
        "resource_class": {"type": "string", "enum": [str(one) for one in ResourceClass]},
        "job_id": _text(255),
        "approval_approvers": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_APPROVERS},
        "approval_timeout_secs": _SECONDS,
        "forbid_self_approval": {"type": "boolean", "default": False},
        "sub_workflow_id": _text(255),
        "max_nesting_depth": {"type": "integer", "minimum": 0, "maximum": DEEPEST_NESTING, "default": DEEPEST_NESTING},
        "event_key": _text(512),
        "event_timeout_secs": {**_SECONDS, "default": 3600},
        "sleep_duration_secs": _SECONDS,
    },
)

#: A step list as it is sent.
STEPS: Final[Mapping[str, Any]] = MappingProxyType({"type": "array", "items": _step(PROPERTIES), "maxItems": 1000})
#: The same as it is shown: a workflow of the trigger API has types of steps that a list has not.
STEPS_SHOWN: Final[Mapping[str, Any]] = MappingProxyType(
    {"type": "array", "items": _step({**PROPERTIES, "step_type": {"type": "string"}})},
)

#: What each step may hold is judged by the definition's own rules.
Steps = Annotated[list[AnyJson], WithJsonSchema(dict(STEPS))]
StepsShown = Annotated[Sequence[AnyJson], WithJsonSchema(dict(STEPS_SHOWN))]
