"""How many of a workflow's runs have not ended, for the workflows that bound them.

The number is that of the runs marked ``counted``: the transaction that marks a run adds to it, and the one that
removes the mark with the run's end takes from it, each conditional on the run. So it is never below 0, and no condition
holds it there: a run must be able to end whatever the counter says.
"""

from __future__ import annotations

from dataclasses import replace

from chalicelib.store import keys, transactions
from chalicelib.store.errors import Full
from chalicelib.store.table import Item, Whole, find
from chalicelib.store.transactions import Write


class CounterItem(Item):
    """The counter of a workflow."""

    active = Whole()


def addition(workflow_id: str, most: int) -> Write:
    """Return the write that counts one more run, made together with the mark on the run; Full if ``most`` are counted.

    It adds, and compares what it adds to: of two takers of the last place, one has it.
    """
    if most < 1:
        message = "a run is counted towards a limit, which is 1 at least"
        raise ValueError(message)
    free = CounterItem.active.does_not_exist() | (CounterItem.active < most)
    write = transactions.update(
        CounterItem,
        keys.counter(workflow_id),
        [CounterItem.active.add(1)],
        free,
        part="counter",
    )
    return replace(write, otherwise=Full)


def removal(workflow_id: str) -> Write:
    """Return the write that counts one run less, made together with the run's end."""
    one_less = [CounterItem.active.add(-1)]
    return transactions.update(CounterItem, keys.counter(workflow_id), one_less, None, part="counter")


def active_runs(workflow_id: str) -> int:
    """Return how many runs of the workflow are counted now."""
    item = find(CounterItem, keys.counter(workflow_id))
    return item.active if item else 0
