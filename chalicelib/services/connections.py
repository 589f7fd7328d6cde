"""Connections: the AWS accounts and regions that a project's steps act in."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from chalicelib.domain.refusal import NotFound
from chalicelib.domain.workflow import Connection
from chalicelib.services import identifiers
from chalicelib.store import connections as store
from chalicelib.store.paging import Page

#: The connection that every project starts with. Its id is the same in each: a connection is found by project and id.
DEFAULT_CONNECTION: Final = "conn_default"


def create(
    project_id: str,
    *,
    name: str,
    region: str,
    role_arn: str | None,
    external_id: str | None,
    now: datetime,
) -> Connection:
    """Create a connection."""
    connection = Connection(
        id=identifiers.connection_id(),
        project_id=project_id,
        name=name,
        region=region,
        role_arn=role_arn,
        external_id=external_id,
        created_at=now,
    )
    store.put(connection)
    return connection


def load(project_id: str, connection_id: str) -> Connection:
    """Return a project's connection, or refuse it as NotFound."""
    connection = store.load(project_id, identifiers.known_form(connection_id, "Connection"))
    if connection is None:
        raise NotFound("Connection not found")
    return connection


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Connection]:
    """Return a project's connections."""
    return store.page(project_id, cursor=cursor, limit=limit)
