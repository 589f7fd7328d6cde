"""Checks of single values in a graph. Each notes at a place what is wrong with a value; none raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from chalicelib.domain.duration import parse_duration, parse_timestamp
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.template_text import is_identifier
from chalicelib.domain.value import Json

Check: TypeAlias = Callable[[Json, Place], None]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
#: The longest that a run may sleep or wait in one step.
YEAR = timedelta(days=365)
#: How often a loop may go round.
MOST_ITERATIONS = 1000
#: A branch takes no label that means something else on an edge.
RESERVED_LABELS = frozenset({"error"})

_ADDRESS = re.compile(r"https?://[^\s/?#]")
_LONGEST_TEXT = 100_000
_LONGEST_LABEL = 100
_MOST_BRANCHES = 100
_MOST_APPROVERS = 100


def has_template(value: Json) -> bool:
    """Whether a value is text with a template in it, so that what it comes to is only known in a run."""
    return isinstance(value, str) and "{{" in value


def anything(value: Json, place: Place) -> None:
    """Take any value."""


def text(value: Json, place: Place) -> None:
    """Want text that says something."""
    if not isinstance(value, str) or not value.strip():
        place.refuse("this must be text, and not empty")
    elif len(value) > _LONGEST_TEXT:
        place.refuse(f"this may be {_LONGEST_TEXT} characters long at most")


def flag(value: Json, place: Place) -> None:
    """Want true or false."""
    if not isinstance(value, bool):
        place.refuse("this must be true or false")


def method(value: Json, place: Place) -> None:
    """Want an HTTP method."""
    if not isinstance(value, str) or value not in METHODS:
        place.refuse(f"the method must be one of {', '.join(METHODS)}")


def url(value: Json, place: Place) -> None:
    """Want an http(s) address; a template may stand for any part of it."""
    if not isinstance(value, str) or not value.strip():
        place.refuse("the url must be text, and not empty")
    elif len(value) > _LONGEST_TEXT:
        place.refuse(f"the url may be {_LONGEST_TEXT} characters long at most")
    elif not _may_be_address(value):
        place.refuse("the url must begin with http:// or https:// and name a host")


def fields(value: Json, place: Place) -> None:
    """Want an object of plain values, such as headers; a template may stand for it all."""
    if has_template(value):
        return
    if not isinstance(value, Mapping):
        place.refuse("this must be an object")
        return
    for name, inner in value.items():
        if inner is not None and not isinstance(inner, str | int | float):
            place.at(name).refuse("this must be text, a number, true or false")


def query(value: Json, place: Place) -> None:
    """Want query parameters: an object of plain values, or of lists of them."""
    if has_template(value):
        return
    if not isinstance(value, Mapping):
        place.refuse("this must be an object")
        return
    for name, inner in value.items():
        several = inner if isinstance(inner, list | tuple) else [inner]
        if not all(one is None or isinstance(one, str | int | float) for one in several):
            place.at(name).refuse("this must be text, a number, true or false, or a list of them")


def duration(value: Json, place: Place) -> None:
    """Want a duration of a year at most, or a template of one."""
    if not has_template(value):
        fixed_duration(value, place)


def fixed_duration(value: Json, place: Place) -> timedelta | None:
    """Want a duration of a year at most, and return it."""
    try:
        return parse_duration(value, longest=YEAR)
    except ValueError as error:
        place.refuse(str(error))
        return None


def timestamp(value: Json, place: Place) -> None:
    """Want a moment, or a template of one."""
    if not has_template(value):
        try:
            parse_timestamp(value)
        except ValueError as error:
            place.refuse(str(error))


def event_type(value: Json, place: Place) -> None:
    """Want an event's type, or a template of one."""
    if has_template(value):
        return
    if not isinstance(value, str) or EVENT_TYPE.fullmatch(value) is None:
        place.refuse("an event type is 1 to 100 of the characters A-Z a-z 0-9 _ -")


def approvers(value: Json, place: Place) -> None:
    """Want a list of people's or keys' names, or a template of one."""
    if has_template(value):
        return
    if not isinstance(value, list | tuple) or len(value) > _MOST_APPROVERS:
        place.refuse(f"this must be a list of {_MOST_APPROVERS} names at most")
        return
    for at, name in enumerate(value):
        text(name, place.at(at))


def collection(value: Json, place: Place) -> None:
    """Want a list, or an expression or template of one."""
    if isinstance(value, list | tuple):
        if len(value) > MOST_ITERATIONS:
            place.refuse(f"the collection may have {MOST_ITERATIONS} items at most")
    elif not isinstance(value, str) or not value.strip():
        place.refuse("the collection must be a list, or an expression of one")


def count(value: Json, place: Place) -> None:
    """Want a number of iterations, or an expression or template of one."""
    if isinstance(value, str) and value.strip():
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_ITERATIONS:
        place.refuse(f"the count must be a whole number from 0 to {MOST_ITERATIONS}, or an expression of one")


def condition(value: Json, place: Place) -> None:
    """Want an expression; it is read elsewhere."""
    if not isinstance(value, str):
        place.refuse("a condition is an expression as text")


def identifier(value: Json, place: Place) -> None:
    """Want a name that templates can say without quotes."""
    if not isinstance(value, str) or not is_identifier(value) or len(value) > _LONGEST_LABEL:
        place.refuse("this must be a name of letters, digits and _ that does not begin with a digit")


def branches(value: Json, place: Place) -> None:
    """Want ``[{label, condition}]``: labels unique, and no condition empty but the last."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= _MOST_BRANCHES:
        place.refuse(f"branches must be a list of 1 to {_MOST_BRANCHES} objects {{label, condition}}")
        return
    seen: set[str] = set()
    for at, branch in enumerate(value):
        here = place.at(at)
        if not isinstance(branch, Mapping):
            here.refuse("a branch is an object {label, condition}")
            continue
        here.refuse_unknown(branch, known=("label", "condition"))
        _label(branch.get("label"), here.at("label"), seen)
        _branch_condition(branch.get("condition"), here.at("condition"), last=at == len(value) - 1)


def is_else(condition: Json) -> bool:
    """Whether a branch's condition is empty, so that the branch is taken when no other is."""
    return condition is None or (isinstance(condition, str) and not condition.strip())


def _label(label: Json, place: Place, seen: set[str]) -> None:
    if not isinstance(label, str) or not label.strip() or len(label) > _LONGEST_LABEL:
        place.refuse(f"a label is text of 1 to {_LONGEST_LABEL} characters")
    elif label in RESERVED_LABELS:
        place.refuse(f"the label {shown(label)} is taken: an edge labelled so is followed when the step fails")
    elif label in seen:
        place.refuse(f"the label {shown(label)} is there twice")
    else:
        seen.add(label)


def _branch_condition(value: Json, place: Place, *, last: bool) -> None:
    if not is_else(value):
        condition(value, place)
    elif not last:
        place.refuse("an empty condition means else, and only the last branch can be that")


def _may_be_address(url: str) -> bool:
    """Whether a url is one, or may come to be one when its templates are rendered."""
    before = url.strip().split("{{", 1)[0].lower()
    if not has_template(url):
        return _ADDRESS.match(before) is not None
    return any(before.startswith(scheme) or scheme.startswith(before) for scheme in ("http://", "https://"))
