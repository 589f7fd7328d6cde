"""How what a run has used is stored: units of AWS as a number each, what its agents report as a JSON list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from types import MappingProxyType
from typing import Any, Final

from chalicelib.domain.usage import UNIT_NAMES, ModelUsage, Units
from chalicelib.domain.value import dumps

#: The attribute of each unit.
USED: Final[Mapping[str, str]] = MappingProxyType({name: f"used_{name}" for name in UNIT_NAMES})
_USAGE: Final = tuple(one.name for one in fields(ModelUsage))


def used(units: Units) -> dict[str, Any]:
    """Return the attributes of units; nothing is said of those that are 0."""
    return {USED[name]: getattr(units, name) or None for name in UNIT_NAMES}


def usage_text(usage: Sequence[ModelUsage]) -> str | None:
    """Return usage as text; a list for each tool and model."""
    return dumps([list(astuple(one)) for one in usage]) if usage else None


def usage_of(text: str | None) -> tuple[ModelUsage, ...]:
    """Return the usage that ``usage_text`` wrote."""
    found = json.loads(text) if text is not None else ()
    return tuple(ModelUsage(**dict(zip(_USAGE, one, strict=True))) for one in found)
