"""Projects: what owns everything else."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Final

from chalicelib import settings
from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.workflow import Connection, Project
from chalicelib.services import identifiers
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.store import connections as connection_store
from chalicelib.store import projects as project_store
from chalicelib.store.errors import Exists

_LONGEST_NAME: Final = 100


def ensure(project_id: str, *, name: str, now: datetime, region: str | None = None) -> None:
    """Have the project and its ``conn_default``, in this process's region; what is there already stays as it is.

    The two are written one after the other: whoever was cut off in between asks again, and finishes. Of two who ask at
    once each finds written what the other wrote. An id or a name that no project can have is Invalid.
    """
    if not identifiers.FORM.fullmatch(project_id):
        raise Invalid("a project's id is 1 to 128 letters, digits, hyphens and underscores", field="project_id")
    if not 0 < len(name.strip()) <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Invalid(f"a project's name is 1 to {_LONGEST_NAME} characters on one line", field="name")
    default = Connection(
        id=DEFAULT_CONNECTION,
        project_id=project_id,
        name="Default",
        region=region or settings.current().region,
        created_at=now,
    )
    with contextlib.suppress(Exists):
        project_store.put(Project(id=project_id, name=name, created_at=now))
    with contextlib.suppress(Exists):
        connection_store.put(default)


def load(project_id: str) -> Project:
    """Return a project, or refuse it as NotFound."""
    project = project_store.load(project_id)
    if project is None:
        raise NotFound("Project not found")
    return project
