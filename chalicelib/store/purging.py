"""Workflows that are gone for good: out of every list at once, and then removed bit by bit."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.store import keys, transactions
from chalicelib.store.errors import Superseded
from chalicelib.store.keys import Key
from chalicelib.store.table import Sweep, query
from chalicelib.store.workflow_items import WorkflowItem


def unfinished(limit: int) -> list[str]:
    """Return the ids of at most ``limit`` workflows that are gone for good and not all removed, the oldest first."""
    return [keys.id_of(raw["pk"]["S"]) for raw in query(keys.PURGE_SHARD, index=Sweep.Meta.index_name, limit=limit)]


def remove(workflow_id: str, most: int) -> bool:
    """Remove at most so many items of a workflow that is gone for good; True once nothing is left of it.

    What is removed twice, by the request and the sweep at once, is gone all the same. The workflow itself goes last, so
    that the sweep sees it until then, and only while it is marked so.
    """
    root = keys.workflow(workflow_id)
    members = [key for key in _keys(root, most + 1) if key != root]
    transactions.delete_many(members[:most])
    if len(members) >= most:
        return False
    purged = WorkflowItem.purged_at.exists() | WorkflowItem.pk.does_not_exist()
    try:
        transactions.make(transactions.delete(WorkflowItem, root, purged))
    except Superseded:
        # It is no longer marked, which nothing does: better it stays than that somebody's workflow is lost.
        return False
    return True


def _keys(root: Key, most: int) -> Iterator[Key]:
    return (Key(raw["pk"]["S"], raw["sk"]["S"]) for raw in query(root.pk, limit=most))
