"""What is counted of a workflow: its runs, which are numbered, and those that have not ended where they are bounded.

The latter are the runs marked ``counted``: the transaction that marks a run adds to them, and the one that removes the
mark with the run's end takes from them, each conditional on the run. So the number is never below 0, and no condition
holds it there: a run must be able to end whatever the counter says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.store import keys, transactions
from chalicelib.store.errors import Full, Superseded
from chalicelib.store.table import Item, MaybeText, MaybeTime, MaybeWhole, find, get_many
from chalicelib.store.transactions import Write


class CounterItem(Item):
    """The counter of a workflow."""

    active = MaybeWhole()
    #: The number that was given last.
    numbered = MaybeWhole()
    last_run_id = MaybeText()
    last_run_at = MaybeTime()


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """The newest of a workflow's runs that have a number. One whose start was cut off is not there."""

    run_id: str
    #: When it was created.
    at: datetime


def addition(workflow_id: str, most: int, *, newest: LastRun | None = None) -> Write:
    """Return the write that counts one more run, made together with the mark on the run; Full if ``most`` are counted.

    It adds, and compares what it adds to: of two takers of the last place, one has it. With ``newest`` the run is named
    as the workflow's newest too.
    """
    if most < 1:
        message = "a run is counted towards a limit, which is 1 at least"
        raise ValueError(message)
    free = CounterItem.active.does_not_exist() | (CounterItem.active < most)
    actions = [CounterItem.active.add(1), *(_named(newest) if newest is not None else ())]
    write = transactions.update(CounterItem, keys.counter(workflow_id), actions, free, part="counter")
    return replace(write, otherwise=Full)


def removal(workflow_id: str) -> Write:
    """Return the write that counts one run less, made together with the run's end."""
    one_less = [CounterItem.active.add(-1)]
    return transactions.update(CounterItem, keys.counter(workflow_id), one_less, None, part="counter")


def active_runs(workflow_id: str) -> int:
    """Return how many runs of the workflow are counted now."""
    item = find(CounterItem, keys.counter(workflow_id))
    return item.active or 0 if item else 0


def next_number(workflow_id: str, *, run_id: str, at: datetime, most: int = 0) -> int:
    """Return the number of a run that was created at ``at``: one more than the last, and no other run's.

    It is added to, so that of many at once each has its own. If the run then comes to nothing, its number is left out;
    lest that happen to each start that finds no place, a run that is to be one of ``most`` is Full here already. Such a
    one may still lose the last place to another: it is named as the newest once it has it, by ``addition``.
    """
    if most:
        return _numbered(workflow_id, [], CounterItem.active.does_not_exist() | (CounterItem.active < most))
    newest = CounterItem.last_run_at.does_not_exist() | (CounterItem.last_run_at <= at)
    try:
        return _numbered(workflow_id, _named(LastRun(run_id=run_id, at=at)), newest)
    except Superseded:
        # A newer run has been numbered before this one.
        return _numbered(workflow_id, [], None)


def correct(workflow_id: str, *, run_id: str, instead: LastRun) -> None:
    """Name another run as a workflow's newest in place of one that came to nothing, unless a newer one is named."""
    actions = _named(instead)
    still = CounterItem.last_run_id == run_id
    with contextlib.suppress(Superseded):
        transactions.make(transactions.update(CounterItem, keys.counter(workflow_id), actions, still))


def last_runs(workflow_ids: Iterable[str]) -> dict[str, LastRun]:
    """Return the newest run of each workflow that has any with a number, in one call for a hundred workflows."""
    wanted = {keys.counter(workflow_id): workflow_id for workflow_id in workflow_ids}
    items = {key: CounterItem.from_raw_data(raw) for key, raw in get_many(wanted).items()}
    return {
        wanted[key]: LastRun(run_id=item.last_run_id, at=item.last_run_at)
        for key, item in items.items()
        if item.last_run_id is not None and item.last_run_at is not None
    }


def _named(run: LastRun) -> list[Action]:
    return [CounterItem.last_run_id.set(run.run_id), CounterItem.last_run_at.set(run.at)]


def _numbered(workflow_id: str, named: list[Action], condition: Condition | None) -> int:
    one_more = [CounterItem.numbered.add(1), *named]
    write = transactions.update(CounterItem, keys.counter(workflow_id), one_more, condition, part="counter")
    seen = transactions.make_and_see(write if named else replace(write, otherwise=Full))
    return int(seen["numbered"]["N"])
