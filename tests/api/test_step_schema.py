from __future__ import annotations

from chalicelib.api.workflow_runs_api.step_schema import PROPERTIES
from chalicelib.domain.step_fields import FIELDS


def test_the_document_describes_every_field_of_a_step() -> None:
    assert list(PROPERTIES) == list(FIELDS)


def test_a_default_that_the_document_gives_is_the_one_that_counts() -> None:
    given = {name: schema["default"] for name, schema in PROPERTIES.items() if schema.get("default")}
    assert given == {name: FIELDS[name].default for name in given}
