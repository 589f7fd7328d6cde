"""Conditions of steps: read when a workflow is saved, and asked once the step could start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.value import Json

if TYPE_CHECKING:
    from chalicelib.domain.scope import Scope
    from chalicelib.domain.step import StepStatus


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that has been read; ``type`` says which of its other parts count."""

    type: str
    source: Json


def holds(condition: Condition, scope: Scope, status_of: Callable[[str], StepStatus]) -> bool:
    """Return whether a condition holds."""
    raise NotImplementedError
