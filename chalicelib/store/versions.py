"""Versions of a workflow, by number, and by an id that says the number."""

from __future__ import annotations

from pynamodb.expressions.condition import And, Condition

from chalicelib.domain.workflow import Workflow, WorkflowVersion
from chalicelib.store import keys, transactions, workflows
from chalicelib.store.paging import Page, decoded_number, page_of
from chalicelib.store.table import find, none_if_impossible, query
from chalicelib.store.version_items import VersionIdItem, VersionItem, creation


def create(version: WorkflowVersion, *, workflow: Workflow) -> None:
    """Add a version, together with its workflow whose ``current_version`` it now is.

    Superseded if the workflow changed meanwhile: of two versions made at once, one has the number.
    """
    transactions.commit(workflows.change(workflow), *creation(version))


def overwrite(version: WorkflowVersion, *, workflow: Workflow) -> None:
    """Write the newest version in place, together with its workflow; Superseded if it is deployed or either changed.

    A deployment, too, holds on to the time of the version's last change, so that what is deployed is what was judged.
    """
    still_open = And(VersionItem.id == version.id, VersionItem.deployed.does_not_exist())
    transactions.commit(
        workflows.change(workflow),
        transactions.put(VersionItem.of(version), still_open, part="version"),
    )


@none_if_impossible
def load(workflow_id: str, number: int) -> WorkflowVersion | None:
    """Return a version by its number."""
    item = find(VersionItem, keys.version(workflow_id, number))
    return item.version() if item else None


@none_if_impossible
def find_by_id(workflow_id: str, version_id: str) -> WorkflowVersion | None:
    """Return a version by its id."""
    pointer = find(VersionIdItem, keys.version_id(workflow_id, version_id))
    return load(workflow_id, pointer.number) if pointer else None


def page(workflow_id: str, *, cursor: str | None, limit: int) -> Page[WorkflowVersion]:
    """Return a workflow's versions, newest first; a cursor that is none of ours is Invalid."""
    within: Condition = VersionItem.sk.startswith(keys.VERSIONS)
    if cursor is not None:
        within = VersionItem.sk.between(keys.VERSIONS, keys.version(workflow_id, decoded_number(cursor) - 1).sk)
    found: dict[str, WorkflowVersion] = {}
    for raw in query(keys.workflow(workflow_id).pk, within, descending=True, limit=limit + 1):
        version = VersionItem.from_raw_data(raw).version()
        found[keys.position(version.created_at, str(version.number))] = version
    return page_of(list(found), limit, lambda wanted: (found[position] for position in wanted))
