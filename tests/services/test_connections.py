from __future__ import annotations

import pytest

from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.domain.workflow import Connection
from chalicelib.services import connections
from tests.conftest import Table
from tests.services.library import NOW, PROJECT, a_project

pytestmark = [pytest.mark.store]


def a_connection(project_id: str = PROJECT) -> Connection:
    return connections.create(
        project_id,
        name="prod",
        region="eu-west-1",
        role_arn="arn:aws:iam::123456789012:role/steps",
        external_id="x1",
        now=NOW,
    )


def test_a_connection_is_loaded_as_it_was_created(table: Table) -> None:
    created = a_connection()
    assert connections.load(PROJECT, created.id) == created


@pytest.mark.parametrize("connection_id", ["conn_none", "", "a#b", "a/b", "x" * 500])
def test_an_unknown_connection_is_not_found(table: Table, connection_id: str) -> None:
    with pytest.raises(NotFound, match="Connection not found"):
        connections.load(PROJECT, connection_id)


def test_another_projects_connection_is_not_found(table: Table) -> None:
    with pytest.raises(NotFound):
        connections.load(PROJECT, a_connection("proj_2").id)


def test_every_connection_is_listed_once_over_the_pages(table: Table) -> None:
    wanted = {a_connection(a_project()).id for _ in range(4)} | {"conn_default"}
    seen: list[str] = []
    cursor = None
    while True:
        page = connections.page(PROJECT, cursor=cursor, limit=2)
        seen += [connection.id for connection in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(wanted)


def test_a_cursor_that_is_none_of_ours_is_refused(table: Table) -> None:
    with pytest.raises(Invalid):
        connections.page(PROJECT, cursor="bogus", limit=2)
