"""Projects."""

from __future__ import annotations

from chalicelib.domain.workflow import Project
from chalicelib.store import keys, transactions
from chalicelib.store.table import Item, Text, Time, find, none_if_impossible


class ProjectItem(Item):
    """The root of a project's collection."""

    name = Text()
    created_at = Time()


def put(project: Project) -> None:
    """Create a project; Exists if it is there."""
    item = ProjectItem(*keys.project(project.id), name=project.name, created_at=project.created_at)
    transactions.make(transactions.create(item))


@none_if_impossible
def load(project_id: str) -> Project | None:
    """Return the project."""
    item = find(ProjectItem, keys.project(project_id))
    if item is None:
        return None
    return Project(id=keys.id_of(item.pk), name=item.name, created_at=item.created_at)
