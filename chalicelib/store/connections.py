"""Connections to AWS, in the collection of their project: a connection is found by both ids."""

from __future__ import annotations

from typing import Self

from chalicelib.domain.workflow import Connection
from chalicelib.store import keys, transactions
from chalicelib.store.paging import Page, decoded, page_of
from chalicelib.store.table import Item, MaybeText, Text, Time, find, none_if_impossible, query


class ConnectionItem(Item):
    """A connection."""

    name = Text()
    region = Text()
    role_arn = MaybeText()
    external_id = MaybeText()
    created_at = Time()

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Return the item of a connection."""
        return cls(
            *keys.connection(connection.project_id, connection.id),
            name=connection.name,
            region=connection.region,
            role_arn=connection.role_arn,
            external_id=connection.external_id,
            created_at=connection.created_at,
        )

    def connection(self) -> Connection:
        """Return the connection."""
        return Connection(
            id=keys.member_of(self.sk),
            project_id=keys.id_of(self.pk),
            name=self.name,
            region=self.region,
            role_arn=self.role_arn,
            external_id=self.external_id,
            created_at=self.created_at,
        )


def put(connection: Connection) -> None:
    """Create a connection; Exists if its project has one of that id."""
    transactions.make(transactions.create(ConnectionItem.of(connection)))


@none_if_impossible
def load(project_id: str, connection_id: str) -> Connection | None:
    """Return a project's connection."""
    item = find(ConnectionItem, keys.connection(project_id, connection_id))
    return item.connection() if item else None


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[Connection]:
    """Return a project's connections in the order of their ids; a cursor that is none of ours is Invalid."""
    sort = keys.CONNECTIONS
    if cursor is not None:
        sort += keys.member_of(decoded(cursor))
    within = ConnectionItem.sk.between(sort, keys.after_all(keys.CONNECTIONS))
    found: dict[str, Connection] = {}
    for raw in query(keys.project(project_id).pk, within, limit=limit + 2):
        connection = ConnectionItem.from_raw_data(raw).connection()
        if raw["sk"]["S"] != sort:
            found[keys.position(connection.created_at, connection.id)] = connection
    return page_of(list(found), limit, lambda wanted: (found[position] for position in wanted))
