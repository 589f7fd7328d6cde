"""``transform {value}``: answers its rendered value."""

from __future__ import annotations

from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.services.executors.call import StepCall


def execute(call: StepCall) -> Outcome:
    """Answer the value that the templates made."""
    return Completed(output=call.config.get("value"))
