"""Compiles what the workflows API saves, a pipeline of agent steps, to the definition that the engine runs."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.definition import Definition
from chalicelib.domain.refusal import InvalidDefinition
from chalicelib.domain.value import Json


def compile_pipeline(pipeline: Mapping[str, Json]) -> Definition:
    """Return the definition that a pipeline stands for; ``InvalidDefinition`` with a detail for each thing wrong."""
    raise InvalidDefinition(f"not compiled yet: {', '.join(pipeline)}")
