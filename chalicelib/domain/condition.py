"""Conditions of steps: read when a workflow is saved, and asked once the step could start.

A condition is ``{"type": "eq", "left": …, "right": …}``, or the same as ``{"eq": {"left": …, "right": …}}``; where a
type has one field, its name may be left out, as in ``{"not": {…}}``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias, TypeGuard

from chalicelib.domain import template
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.pattern import Pattern, read_pattern
from chalicelib.domain.references import references
from chalicelib.domain.step import StepStatus
from chalicelib.domain.value import Json

#: How deep conditions may stand in conditions, and how many there may be in one step's.
DEEPEST = 20
MOST_CONDITIONS = 100
#: How many characters of a text are searched for a pattern.
MOST_SEARCHED = 10_000

#: What a step's status is asked by.
StatusOf: TypeAlias = Callable[[str], StepStatus]


@dataclass(frozen=True, kw_only=True)
class Operand:
    """What is compared: a step's status, or a value whose templates are rendered then."""

    #: The step whose status it is; none for a value.
    step_ref: str | None = None
    value: Json = None
    #: Where its step or value stands in what was sent.
    path: str

    def comes_to(self, scope: template.Context, status_of: StatusOf) -> Json:
        """Return what is compared; a ``TemplateError`` where a template has no value."""
        return template.render(self.value, scope) if self.step_ref is None else str(status_of(self.step_ref))


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that has been read; ``type`` says which of its other parts count."""

    type: str
    #: Of ``not``, ``all_of`` and ``any_of``.
    conditions: tuple[Condition, ...] = ()
    #: Of a comparison ``left`` and ``right``; of ``exists`` and of a question for a status the one.
    operands: tuple[Operand, ...] = ()
    #: The statuses asked for.
    statuses: frozenset[StepStatus] = frozenset()
    #: What ``regex`` looks for.
    pattern: Pattern | None = field(default=None, compare=False)

    def all_operands(self) -> Iterator[Operand]:
        """Yield what the condition and all within it look at."""
        yield from self.operands
        for inner in self.conditions:
            yield from inner.all_operands()


def read(value: Json, place: Place) -> Condition | None:
    """Return the condition that a value stands for; None, with what is wrong noted at ``place``, if it is none.

    Whether the steps that it names are there is for the caller to see, by ``all_operands``.
    """
    return _Reading().condition(value, place, depth=1)


def holds(condition: Condition, scope: template.Context, status_of: StatusOf) -> bool:
    """Return whether a condition holds; a ``TemplateError`` where a template that it comes to has no value."""
    found = (operand.comes_to(scope, status_of) for operand in condition.operands)
    inner = (holds(one, scope, status_of) for one in condition.conditions)
    match condition.type:
        case "step_status" | "step_status_in":
            return next(found) in condition.statuses
        case "not":
            return not next(inner)
        case "all_of":
            return all(inner)
        case "any_of":
            return any(inner)
        case "exists":
            return next(found) is not None
        case "regex":
            text = next(found)
            return isinstance(text, str) and condition.pattern is not None and condition.pattern.is_in(_cut(text))
        case comparison:
            return COMPARISONS[comparison](next(found), next(found))


def same(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, true is not 1, and the order of an object's fields is nothing."""
    pairs: list[tuple[Json, Json]] = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.keys() != other.keys():
                return False
            pairs.extend((one[name], other[name]) for name in one)
        elif _is_list(one) and _is_list(other):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, bool) is not isinstance(other, bool) or one != other:
            return False
    return True


def _is_list(value: Json) -> TypeGuard[Sequence[Json]]:
    return isinstance(value, list | tuple)


def _ordered(test: Callable[[float | str, float | str], bool]) -> Callable[[Json, Json], bool]:
    """Return a test of numbers with numbers and texts with texts; of anything else it is false."""

    def compare(left: Json, right: Json) -> bool:
        if isinstance(left, bool) or isinstance(right, bool):
            return False
        for kind in (int | float, str):
            if isinstance(left, kind) and isinstance(right, kind):
                return test(left, right)
        return False

    return compare


def _contains(whole: Json, part: Json) -> bool:
    if isinstance(whole, str | Mapping):
        return isinstance(part, str) and part in whole
    return _is_list(whole) and any(same(item, part) for item in whole)


#: What each comparison makes of its left and its right.
COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = MappingProxyType(
    {
        "eq": same,
        "ne": lambda left, right: not same(left, right),
        "gt": _ordered(operator.gt),
        "gte": _ordered(operator.ge),
        "lt": _ordered(operator.lt),
        "lte": _ordered(operator.le),
        "contains": _contains,
        "in": lambda left, right: _contains(right, left),
    },
)
#: The fields of each type; all are required.
FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "step_status": ("step_ref", "status"),
        "step_status_in": ("step_ref", "statuses"),
        "not": ("condition",),
        "all_of": ("conditions",),
        "any_of": ("conditions",),
        "exists": ("operand",),
        **dict.fromkeys((*COMPARISONS, "regex"), ("left", "right")),
    },
)


@dataclass(frozen=True, kw_only=True)
class _Given:
    """A condition's type and its fields, however it was written."""

    type: str
    fields: Mapping[str, Json]
    places: Mapping[str, Place]


class _Reading:
    """One reading of a step's condition, which counts what there is in it."""

    def __init__(self) -> None:
        self._count = 0

    def condition(self, value: Json, place: Place, *, depth: int) -> Condition | None:
        self._count += 1
        if depth > DEEPEST:
            place.refuse(f"conditions may stand {DEEPEST} deep in one another at most")
            return None
        if self._count > MOST_CONDITIONS:
            if self._count == MOST_CONDITIONS + 1:
                place.refuse(f"a step's condition may be made of {MOST_CONDITIONS} conditions at most")
            return None
        before = len(place.details)
        given = _given(value, place)
        if given is None:
            return None
        found = self._read(given, depth)
        return found if len(place.details) == before else None

    def _read(self, given: _Given, depth: int) -> Condition:
        fields, places = given.fields, given.places
        match given.type:
            case "step_status" | "step_status_in" as type_:
                operand = _step(fields["step_ref"], places["step_ref"])
                return Condition(type=type_, operands=(operand,), statuses=_statuses(given))
            case "not":
                inner = self.condition(fields["condition"], places["condition"], depth=depth + 1)
                return Condition(type="not", conditions=(inner,) if inner else ())
            case "all_of" | "any_of" as type_:
                return Condition(
                    type=type_, conditions=self._several(fields["conditions"], places["conditions"], depth)
                )
            case "regex":
                pattern = _pattern(fields["right"], places["right"])
                return Condition(type="regex", operands=(_operand(fields["left"], places["left"]),), pattern=pattern)
            case type_:
                operands = tuple(_operand(fields[name], places[name]) for name in FIELDS[type_])
                return Condition(type=type_, operands=operands)

    def _several(self, value: Json, place: Place, depth: int) -> tuple[Condition, ...]:
        if not _is_list(value) or not value:
            place.refuse("this must be a list of conditions, and not empty")
            return ()
        read_ = (self.condition(inner, place.at(at), depth=depth + 1) for at, inner in enumerate(value))
        return tuple(inner for inner in read_ if inner is not None)


def _given(value: Json, place: Place) -> _Given | None:
    if not isinstance(value, Mapping):
        place.refuse('a condition is an object such as {"type": "eq", "left": …, "right": …}')
        return None
    if "type" in value or len(value) != 1:
        type_, fields, here = value.get("type"), value, place
        known: tuple[str, ...] = ("type",)
        named = here.at("type")
    else:
        ((type_, inner),) = value.items()
        here, known, named = place.at(type_), (), place.at(type_)
        sole = FIELDS.get(type_, ())
        if len(sole) == 1 and not (isinstance(inner, Mapping) and tuple(inner) == sole):
            return _Given(type=type_, fields={sole[0]: inner}, places={sole[0]: here})
        fields = inner if isinstance(inner, Mapping) else {}
    if not isinstance(type_, str) or type_ not in FIELDS:
        named.refuse(f"a condition's type must be one of {', '.join(FIELDS)}")
        return None
    here.refuse_unknown(fields, known=(*known, *FIELDS[type_]))
    for name in FIELDS[type_]:
        if name not in fields:
            here.at(name).refuse(f"{name} is required in a condition of type {type_}")
            return None
    return _Given(type=type_, fields=fields, places={name: here.at(name) for name in FIELDS[type_]})


def _operand(value: Json, place: Place) -> Operand:
    if isinstance(value, Mapping) and ("step_ref" in value or "value" in value):
        if len(value) != 1:
            rule = 'an operand is a value, {"step_ref": …} or {"value": …}'
            place.refuse(f"{rule}; an object with a field of that name is written as the latter")
            return Operand(path=place.path)
        if "step_ref" in value:
            return _step(value["step_ref"], place.at("step_ref"))
        value, place = value["value"], place.at("value")
    place.refuse_unreadable(references(value, path=place.path))
    return Operand(value=value, path=place.path)


def _step(value: Json, place: Place) -> Operand:
    if not isinstance(value, str):
        place.refuse("a step_ref is text")
    return Operand(step_ref=str(value), path=place.path)


def _statuses(given: _Given) -> frozenset[StepStatus]:
    name = FIELDS[given.type][1]
    value, place = given.fields[name], given.places[name]
    several = [(value, place)]
    if name == "statuses":
        if not _is_list(value) or not value:
            place.refuse("this must be a list of statuses, and not empty")
            return frozenset()
        several = [(status, place.at(at)) for at, status in enumerate(value)]
    found: set[StepStatus] = set()
    for status, here in several:
        try:
            found.add(StepStatus(str(status)))
        except ValueError:
            here.refuse(f"there is no status {shown(status)}; a step's status is one of {', '.join(StepStatus)}")
    return frozenset(found)


def _pattern(value: Json, place: Place) -> Pattern | None:
    if isinstance(value, Mapping) and tuple(value) == ("value",):
        value, place = value["value"], place.at("value")
    if not isinstance(value, str) or "{{" in value:
        place.refuse("a regex is written out as text: it is checked when the workflow is saved")
        return None
    try:
        return read_pattern(value)
    except ValueError as error:
        place.refuse(str(error))
        return None


def _cut(text: str) -> str:
    return text[:MOST_SEARCHED]
