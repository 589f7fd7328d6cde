"""Projects: what owns everything else."""

from __future__ import annotations

import contextlib
from datetime import datetime

from chalicelib import settings
from chalicelib.domain.workflow import Connection, Project
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.store import connections as connection_store
from chalicelib.store import projects as project_store
from chalicelib.store.errors import Exists


def ensure(project_id: str, *, name: str, now: datetime, region: str | None = None) -> None:
    """Have the project and its ``conn_default``, in this process's region; what is there already stays as it is.

    The two are written one after the other: whoever was cut off in between asks again, and finishes.
    """
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
