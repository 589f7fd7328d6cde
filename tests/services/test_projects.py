from __future__ import annotations

import pytest

from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.services import connections, projects
from chalicelib.store import projects as store
from tests.conftest import Table
from tests.services.library import NOW, PROJECT, later

pytestmark = [pytest.mark.store]


def test_a_project_begins_with_its_default_connection(table: Table) -> None:
    projects.ensure(PROJECT, name="Mine", now=NOW)
    assert connections.load(PROJECT, "conn_default").role_arn is None


def test_ensuring_a_project_again_changes_nothing(table: Table) -> None:
    projects.ensure(PROJECT, name="Mine", now=NOW)
    projects.ensure(PROJECT, name="Other", now=later(1), region="eu-west-1")
    project = store.load(PROJECT)
    assert project is not None
    assert (project.name, project.created_at) == ("Mine", NOW)
    assert connections.load(PROJECT, "conn_default").region == "us-east-1"


@pytest.mark.parametrize(
    ("project_id", "name"),
    [("", "Mine"), ("a#b", "Mine"), ("a b", "Mine"), ("p" * 129, "Mine"), (PROJECT, ""), (PROJECT, "a\nb")],
)
def test_a_project_that_cannot_be_is_refused_before_anything_is_written(
    table: Table, project_id: str, name: str
) -> None:
    with pytest.raises(Invalid, match="a project's"):
        projects.ensure(project_id, name=name, now=NOW)
    assert table.client.scan(TableName=table.name)["Items"] == []


def test_a_project_is_loaded_or_not_found(table: Table) -> None:
    projects.ensure(PROJECT, name="Mine", now=NOW)
    assert projects.load(PROJECT).name == "Mine"
    for other in ("proj_2", "a#b"):
        with pytest.raises(NotFound):
            projects.load(other)
