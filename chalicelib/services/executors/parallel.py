"""``parallel``: nothing to do; its edges lead to all its arms at once."""

from __future__ import annotations

from chalicelib.domain.outcome import Completed, Outcome
from chalicelib.services.executors.call import StepCall


def execute(_call: StepCall) -> Outcome:
    """Be done."""
    return Completed()
