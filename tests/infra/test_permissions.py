"""Each role is given what its function uses, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import pytest

from infra.local import LocalStack, permissions
from tests.conftest import Project
from tests.infra import whole_stack
from tests.scenarios.scene import Scene

#: What no call of a function's own code uses, and who does: by action.
BY_OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "logs:CreateLogStream": "Lambda, which writes the function's lines in its name",
        "logs:PutLogEvents": "Lambda, which writes the function's lines in its name",
        "sqs:SendMessage": "Lambda, which sends what it gave up in the function's name",
    }
)


@pytest.fixture(scope="module")
def gone_through() -> Iterator[LocalStack]:
    """A stack of which everything has been asked."""
    permissions.refusals()
    with LocalStack(sweep_seconds=None, retry_delays=(0.05, 0.1), parameters=whole_stack.PARAMETERS) as stack:
        whole_stack.go_through(Scene.of(stack, Project(id="proj_all", key=stack.add_project("proj_all"))))
        yield stack
        assert stack.wait_idle(30)


@pytest.mark.parametrize("function", ["APIHandler", "Drive", "Work", "Sweep", "Uploaded"])
def test_a_role_is_given_nothing_that_its_function_does_not_use(gone_through: LocalStack, function: str) -> None:
    role = gone_through.roles[function]
    unused = sorted(grant for grant in role.grants - role.used if grant.action not in BY_OTHERS)

    assert "\n".join(f"{grant.action} {grant.resource}" for grant in unused) == ""


@pytest.mark.usefixtures("gone_through")
def test_nothing_was_refused() -> None:
    assert permissions.refusals() == []
