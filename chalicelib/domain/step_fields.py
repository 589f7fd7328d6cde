"""The fields of a step in a step list: whose they are, what they may hold, and what they are where nothing is said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chalicelib.domain import graph_checks as check
from chalicelib.domain.definition import OnFailure, ResourceClass, StepType
from chalicelib.domain.field_checks import exact_line, line, one_of, whole_number
from chalicelib.domain.graph_nodes import DEEPEST_DATA, MOST_RETRIES
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.retry import Backoff
from chalicelib.domain.scope import BUILT_IN
from chalicelib.domain.template_tree import too_deep
from chalicelib.domain.value import Json

DAY = 86_400
#: The longest that a step may wait or sleep, and that a worker or a sub-workflow may take, in seconds.
LONGEST_WAIT = 30 * DAY
#: The longest that a step may take which an invocation sits through, in seconds.
LONGEST_CALL = 420
MOST_APPROVERS = 100
#: How deep sub-workflows may start sub-workflows.
DEEPEST_NESTING = 10

_REF = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)

#: The types of step that a list may have.
TYPES = (
    StepType.JOB,
    StepType.APPROVAL,
    StepType.SUB_WORKFLOW,
    StepType.WAIT_FOR_EVENT,
    StepType.SLEEP,
    StepType.HTTP_REQUEST,
    StepType.LAMBDA,
    StepType.TRANSFORM,
    StepType.AGENT,
)
#: The spellings of a back-off.
BACKOFFS: Mapping[str, Backoff] = MappingProxyType(
    {"exponential": Backoff.EXPONENTIAL, "fixed": Backoff.CONSTANT},
)


def _seconds(most: int) -> check.Check:
    return whole_number(1, most, of=" (seconds)")


def _ref(value: Json, place: Place) -> None:
    if not isinstance(value, str) or _REF.fullmatch(value) is None:
        place.refuse("a step_ref is 1 to 128 of the characters A-Z a-z 0-9 _ -, and begins with a letter or _")
    elif value in BUILT_IN:
        place.refuse(f"{shown(value)} already means something in templates; choose another step_ref")


def _type(value: Json, place: Place) -> None:
    if value not in TYPES:
        place.refuse(f"the step_type must be one of {', '.join(TYPES)}, not {shown(value)}")


def _refs(value: Json, place: Place) -> None:
    if not isinstance(value, list | tuple):
        place.refuse("depends_on must be a list of step_refs")
        return
    for at, ref in enumerate(value):
        if not isinstance(ref, str):
            place.at(at).refuse(f"a step_ref is text, not {shown(ref)}")


def _approvers(value: Json, place: Place) -> None:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_APPROVERS:
        place.refuse(f'this must be a list of 1 to {MOST_APPROVERS} keys, by id or name; "*" is anyone who may approve')
        return
    for at, name in enumerate(value):
        line(255)(name, place.at(at))


def _value(value: Json, place: Place) -> None:
    if too_deep(value, deepest=DEEPEST_DATA):
        place.refuse(f"this may nest {DEEPEST_DATA} levels deep at most")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a step."""

    check: check.Check
    #: The types of step that have it; none for all.
    of: tuple[StepType, ...] = ()
    required: bool = False
    #: What it is where it is not given; None leaves it out.
    default: Json = None
    #: Whether null is a value like any other.
    nullable: bool = False


#: Types of step that an invocation sits through.
CALLS = (StepType.HTTP_REQUEST, StepType.LAMBDA)
_APPROVAL = (StepType.APPROVAL,)
_CHILD = (StepType.SUB_WORKFLOW,)
_EVENT = (StepType.WAIT_FOR_EVENT,)

#: All fields; what is wrong with a step is said in this order.
FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "step_ref": Field(check=_ref, required=True),
        "step_type": Field(check=_type, default=StepType.JOB),
        "depends_on": Field(check=_refs, default=()),
        "condition": Field(check=_value),
        "on_failure": Field(check=one_of(OnFailure), default=OnFailure.FAIL_WORKFLOW),
        "payload": Field(check=_value, nullable=True),
        "retry_max_attempts": Field(check=whole_number(0, MOST_RETRIES), default=0),
        "retry_backoff": Field(check=one_of(BACKOFFS), default="exponential"),
        "retry_initial_delay_secs": Field(check=_seconds(DAY), default=1),
        "retry_max_delay_secs": Field(check=_seconds(DAY), default=3600),
        "timeout_secs_override": Field(check=_seconds(LONGEST_WAIT), of=(StepType.JOB, *_CHILD, *CALLS)),
        "output_transform": Field(check=_value),
        "event_emit_key": Field(check=line(512)),
        "concurrency_key": Field(check=exact_line(128)),
        "resource_class": Field(check=one_of(ResourceClass)),
        "job_id": Field(check=exact_line(255), of=(StepType.JOB,)),
        "approval_approvers": Field(check=_approvers, of=_APPROVAL, required=True),
        "approval_timeout_secs": Field(
            check=whole_number(0, LONGEST_WAIT, of=" (seconds; 0 is the longest)"), of=_APPROVAL
        ),
        "forbid_self_approval": Field(check=check.flag, of=_APPROVAL),
        "sub_workflow_id": Field(check=line(255), of=_CHILD, required=True),
        "max_nesting_depth": Field(check=whole_number(1, DEEPEST_NESTING), of=_CHILD, default=DEEPEST_NESTING),
        "event_key": Field(check=line(512), of=_EVENT, required=True),
        "event_timeout_secs": Field(check=_seconds(LONGEST_WAIT), of=_EVENT, default=3600),
        "sleep_duration_secs": Field(check=_seconds(LONGEST_WAIT), of=(StepType.SLEEP,), required=True),
    },
)
#: Which field says how long a step may wait, for those types that have no ``timeout_secs_override``.
_OWN_TIMEOUTS: Mapping[StepType, str] = MappingProxyType(
    {
        StepType.APPROVAL: "approval_timeout_secs",
        StepType.WAIT_FOR_EVENT: "event_timeout_secs",
        StepType.AGENT: "timeoutMs in its payload",
    },
)


def read_fields(step: Mapping[str, Json], place: Place) -> dict[str, Json]:
    """Return a step's fields, defaults filled in, and note what is wrong with them.

    What is malformed is left out, or its default. Where the ``step_type`` is, the fields of single types are let be.
    Many clients send every field there is: one that says nothing (null, 0, false, empty) counts as not given.
    """
    place.refuse_unknown(step, known=tuple(FIELDS))
    found: dict[str, Json] = {}
    for name, field in FIELDS.items():
        step_type = found.get("step_type")
        here, given = place.at(name), name in step and (field.nullable or not _says_nothing(step[name]))
        if field.of and step_type not in field.of:
            if given and step_type is not None:
                here.refuse(_not_of(name, field, StepType(str(step_type))))
            continue
        before = len(place.details)
        if given or (field.required and name in step and step[name] is not None):
            field.check(step[name], here)
        elif field.required:
            here.refuse(f"{name} is required" + (f" in a step of type {step_type}" if field.of else ""))
        well = len(place.details) == before
        if given and well:
            found[name] = step[name]
        elif field.default is not None and (well or name != "step_type"):
            found[name] = field.default
    timeout = found.get("timeout_secs_override")
    if found.get("step_type") in CALLS and isinstance(timeout, int) and timeout > LONGEST_CALL:
        place.at("timeout_secs_override").refuse(
            f"an invocation sits through it: it may be {LONGEST_CALL} seconds at most"
        )
    return found


def _says_nothing(value: Json) -> bool:
    return value is None or value in (0, "", [], ())


def _not_of(name: str, field: Field, step_type: StepType) -> str:
    said = f"{name} belongs to steps of type {', '.join(field.of)}, and this one is of type {step_type}"
    own = _OWN_TIMEOUTS.get(step_type)
    return f"{said}, which has {own}" if name == "timeout_secs_override" and own else said
