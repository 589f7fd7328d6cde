"""The parts that writes of a run's root are made of: what differs, what it must still be, and what an event adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.run import Run
from chalicelib.domain.step import Event, StepRecord
from chalicelib.domain.usage import UNIT_NAMES, Units
from chalicelib.store import keys, times, transactions, usages
from chalicelib.store.run_items import RunItem
from chalicelib.store.step_items import EventItem, StepItem
from chalicelib.store.transactions import Write

#: The sweep's time is there exactly while a run has not ended.
LIVE: Final = RunItem.next_check_at.exists()
#: Of a step's first record. Made once, because it is part of almost every write of a run.
_NEW_STEP: Final = StepItem.pk.does_not_exist()


def differences(before: Run, after: Run) -> list[Action]:
    """Return what makes the one run the other, and nothing that is the same in both.

    To write an attribute again costs nothing by itself, but the list key and the sweep's time are in indexes too.
    """
    if before.payload is after.payload:
        before, after = replace(before, payload=None), replace(after, payload=None)
    old, new = RunItem.of(before).attribute_values, RunItem.of(after).attribute_values
    return [set_or_remove(name, new.get(name)) for name in new if new.get(name) != old.get(name)]


def set_or_remove(name: str, value: str | int | datetime | None) -> Action:
    """Set an attribute, or remove one that there is nothing to say of."""
    attribute = RunItem.get_attributes()[name]
    return attribute.remove() if value is None else attribute.set(value)


def token_as_in(run: Run) -> Condition:
    """Hold a write to the task token that its maker has seen, or to there being none."""
    if run.park_token is None:
        return RunItem.park_token.does_not_exist()
    return RunItem.park_token == run.park_token


def update_once(
    run_id: str,
    actions: Sequence[Action],
    condition: Condition,
    *,
    landed: Callable[[RunItem], bool],
) -> None:
    """Change a run; an earlier try of the same, its answer lost, counts as success if ``landed`` knows its marks."""
    write = transactions.update(RunItem, keys.run(run_id), actions, condition, part="run")
    transactions.make_once(write, RunItem, landed=landed)


def step_write(run_id: str, record: StepRecord, write_id: str) -> Write:
    """Return the write of a step's record over the revision before it."""
    condition: Condition = _NEW_STEP if record.revision == 1 else StepItem.revision == record.revision - 1
    return transactions.put(StepItem.of(run_id, record, write_id), condition, part="step")


def delivery(
    before: Run,
    event: Event,
    *,
    answer_token: bool,
    next_check_at: datetime | None,
    after: Run | None = None,
) -> tuple[Write, Write]:
    """Return the writes that keep an event for a run that has not ended, and wake it.

    Two events at once both count: the wake counter is added to, not compared. The token is compared, so that it is
    answered once. With ``next_check_at`` the sweep looks then, in case whoever is to answer it does not live to do so.
    With ``after`` the run takes on what it has used by then and what an agent says of it; what it had used before is
    compared, so that of two that add to it neither is lost.
    """
    condition = LIVE & token_as_in(before)
    actions: list[Action] = [RunItem.wake_seq.add(1)]
    if answer_token:
        actions.append(RunItem.park_token.remove())
    if next_check_at is not None:
        actions.append(RunItem.next_check_at.set(times.milliseconds_of(next_check_at)))
    if after is not None:
        # Its driver writes its units too: they are added to, and the driver reads them again, as it has been woken.
        actions.extend((*differences(before, replace(after, units=before.units)), *_added(before.units, after.units)))
        condition &= _usage_as_in(before)
    return (
        transactions.update(RunItem, keys.run(before.id), actions, condition, part="run"),
        transactions.create(EventItem.of(before.id, event), part="event"),
    )


def event_writes(run_id: str, event: Event, *, part: str) -> tuple[Write, Write]:
    """Return the writes that keep an event for a run that has not ended, wake it, and have the sweep look at once.

    An event written twice is taken once: a step's record names it, and the second is that same event.
    """
    actions = [
        RunItem.wake_seq.add(1),
        RunItem.next_check_at.set(times.milliseconds_of(event.received_at)),
    ]
    return (
        transactions.update(RunItem, keys.run(run_id), actions, LIVE, part=part),
        transactions.put(EventItem.of(run_id, event), part=part),
    )


def _usage_as_in(run: Run) -> Condition:
    usage = usages.usage_text(run.usage)
    return RunItem.usage.does_not_exist() if usage is None else RunItem.usage == usage


def _added(before: Units, after: Units) -> list[Action]:
    more = {name: getattr(after, name) - getattr(before, name) for name in UNIT_NAMES}
    return [RunItem.get_attributes()[usages.USED[name]].add(count) for name, count in more.items() if count]
