"""What a new stack begins with: a project with its connection `conn_default`, and an API key with every scope."""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib.domain.access import Scope
from chalicelib.services import keys, projects


def seed(project_id: str, *, key: str | None = None) -> str:
    """Have the project and return an API key that opens all of it: the given one, or a new one.

    A given key reads `ask_<id>_<secret>`; raises Invalid if the given key does not read so.
    """
    now = datetime.now(UTC)
    projects.ensure(project_id, name="Development", now=now)
    if key is None:
        return keys.create(project_id, name="development", scopes=list(Scope), now=now).text
    return keys.adopt(project_id, key, name="development", scopes=list(Scope), now=now).text
