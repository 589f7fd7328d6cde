"""What one version of a workflow has that another has not, step by step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain.definition import Definition, Edge, StepSpec


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What became of the steps, by ref, each list in the order of the version that has them."""

    added: Sequence[str]
    removed: Sequence[str]
    #: Those that both have, and that do or follow something else.
    changed: Sequence[str]


def difference(before: Definition, after: Definition) -> Difference:
    """Return what changed from one definition to another; two ways of writing the same step are no change."""
    return Difference(
        added=[ref for ref in after.steps if ref not in before.steps],
        removed=[ref for ref in before.steps if ref not in after.steps],
        changed=[ref for ref in after.steps if ref in before.steps and _content(before, ref) != _content(after, ref)],
    )


def _content(definition: Definition, ref: str) -> tuple[StepSpec, str, frozenset[Edge]]:
    """Return all that makes a step what it is. JSON is compared as text: to Python, true and 1 are the same."""
    spec = definition.steps[ref]
    values = json.dumps([dict(spec.config), spec.output_transform], sort_keys=True)
    return replace(spec, config={}, output_transform=None), values, frozenset(definition.incoming[ref])
