"""Makers of checks: of a field that is a number, a word of a few, or one line of text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chalicelib.domain.graph_checks import Check, has_template
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.value import Json

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def whole_number(least: int, most: int, *, of: str = "") -> Check:
    """Return what wants a whole number within bounds."""

    def want(value: Json, place: Place) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            place.refuse(f"this must be a whole number from {least} to {most}{of}")

    return want


def number(least: float, most: float) -> Check:
    """Return what wants a number within bounds."""

    def want(value: Json, place: Place) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            place.refuse(f"this must be a number from {least} to {most}")

    return want


def one_of(words: Iterable[str]) -> Check:
    """Return what wants one of some words."""
    known = tuple(str(word) for word in words)

    def want(value: Json, place: Place) -> None:
        if value not in known:
            place.refuse(f"this must be one of {', '.join(known)}, not {shown(value)}")

    return want


def line(longest: int) -> Check:
    """Return what wants text on one line that says something."""

    def want(value: Json, place: Place) -> None:
        if not isinstance(value, str) or not value.strip() or len(value) > longest or _CONTROL.search(value):
            place.refuse(f"this must be text of 1 to {longest} characters, and none that cannot be seen")

    return want


def exact_line(longest: int) -> Check:
    """Return what wants text on one line, and no template in it."""
    within = line(longest)

    def want(value: Json, place: Place) -> None:
        within(value, place)
        if has_template(value):
            place.refuse("this is taken as it stands: it cannot hold a template")

    return want


def long_text(longest: int) -> Check:
    """Return what wants text of any number of lines; it may be empty."""

    def want(value: Json, place: Place) -> None:
        if not isinstance(value, str) or len(value) > longest or _SURROGATE.search(value):
            place.refuse(f"this must be text of {longest} characters at most")

    return want
