"""How what a run has used is stored: as compact JSON lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Final

from chalicelib.domain.usage import NO_UNITS, ModelUsage, Units
from chalicelib.domain.value import dumps

_UNITS: Final = tuple(one.name for one in fields(Units))
_USAGE: Final = tuple(one.name for one in fields(ModelUsage))


def units_text(units: Units) -> str | None:
    """Return units as text; a list in the order of their fields."""
    return None if units == NO_UNITS else dumps(list(astuple(units)))


def units_of(text: str | None) -> Units:
    """Return the units that ``units_text`` wrote."""
    return NO_UNITS if text is None else Units(**dict(zip(_UNITS, json.loads(text), strict=False)))


def usage_text(usage: Sequence[ModelUsage]) -> str | None:
    """Return usage as text; a list for each tool and model."""
    return dumps([list(astuple(one)) for one in usage]) if usage else None


def usage_of(text: str | None) -> tuple[ModelUsage, ...]:
    """Return the usage that ``usage_text`` wrote."""
    found = json.loads(text) if text is not None else ()
    return tuple(ModelUsage(**dict(zip(_USAGE, one, strict=True))) for one in found)
