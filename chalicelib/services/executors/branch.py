"""``branch {branches: [{label, condition}]}``: takes the first way whose condition is true.

An empty condition is "else".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalicelib.domain import template
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Answer ``{branch: label}``; null, and no way taken, where no condition is true."""
    branches = call.config["branches"]
    assert isinstance(branches, Sequence)  # noqa: S101 - the definition was checked when it was saved
    for way in branches:
        assert isinstance(way, Mapping)  # noqa: S101 - likewise
        condition = str(way.get("condition") or "")
        if not condition or template.truthy(template.evaluate(condition, call.scope)):
            label = str(way["label"])
            return Completed(output={"branch": label}, branch=label)
    return Completed(output={"branch": None})
