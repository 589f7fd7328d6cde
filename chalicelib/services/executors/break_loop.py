"""``break {condition?}``: ends the loop around it, or the run as complete; without a condition always."""

from __future__ import annotations

from chalicelib.domain import template
from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Answer true to break, false to go on; the engine acts on it."""
    condition = str(call.config.get("condition") or "")
    return Completed(output=not condition or template.truthy(template.evaluate(condition, call.scope)))
