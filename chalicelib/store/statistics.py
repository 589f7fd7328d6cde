"""What a workflow's runs came to, by the day of UTC and the quarter of an hour in which they ended.

The transaction that ends a run adds it, and the one that reopens a run takes it away: each is conditional on the run,
so that every end counts once, whatever is tried again. DynamoDB does the adding; nothing is read before.
"""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias

from pynamodb.expressions.condition import Condition

from chalicelib.domain import rollup
from chalicelib.domain.periods import quarter_of
from chalicelib.domain.rollup import Rollup
from chalicelib.domain.run import Run
from chalicelib.domain.usage import UNIT_NAMES, ModelUsage, Units
from chalicelib.domain.value import dumps
from chalicelib.store import keys, transactions, usages
from chalicelib.store.errors import Superseded
from chalicelib.store.keys import Key
from chalicelib.store.run_items import RunItem
from chalicelib.store.table import Item, Raw, Text, connection, find, get_many, query
from chalicelib.store.transactions import Write

#: As many models are told apart in a workflow's statistics, so that no item outgrows the 4 KB that a read unit reads.
MOST_MODELS: Final = 31
#: What all others' use is added up as.
OTHER: Final = ("other", "")

#: A tool and its model.
_Model: TypeAlias = tuple[str, str]

#: Runs that end while the statistics are being written are added to one of so many items beside them.
_BESIDE: Final = 16
_COUNTS: Final = ("completed", "failed", "canceled", "timed", "duration_ms")
#: What begins the attributes of units, by name; of the histogram, by bucket; and of models, by place in their list.
_UNIT, _BUCKET, _MODEL = "used_", "b", "m"


class ModelsItem(Item):
    """The models that a workflow's statistics tell apart, each in its place for good."""

    models = Text()


def commit(*writes: Write, before: Run | None = None, after: Run) -> None:
    """Make all writes or none, and with them count ``after`` in its workflow's statistics, in place of ``before``.

    Each counts if it has ended. The writes must be conditional on all that a rollup is made of (``as_counted``). Many
    runs of one workflow may end at once: a transaction that meets another at the statistics is made again beside them,
    at one of many places, which whoever reads adds up. So none waits for all the others.
    """
    added = _added(before, after)
    if not added:
        transactions.commit(*writes)
        return

    def beside() -> Sequence[Write]:
        number = random.randrange(_BESIDE)  # noqa: S311 - it spreads writes, it keeps no secret
        return [*writes, *(_addition(keys.statistics_beside(key, number), by) for key, by in added.items())]

    transactions.commit_or([*writes, *(_addition(key, by) for key, by in added.items())], beside)


def as_counted(run: Run) -> Condition:
    """Hold a write to what its rollup is made of and a driver changes without a verb's knowing: times and units."""
    item = RunItem.of(replace(run, payload=None, output=None))
    attributes = RunItem.get_attributes()
    values = {name: getattr(item, name) for name in ("started_at", "usage", *usages.USED.values())}
    return functools.reduce(
        lambda one, other: one & other,
        (
            attributes[name].does_not_exist() if value is None else attributes[name] == value
            for name, value in values.items()
        ),
    )


def of_days(workflow_id: str, first: date, last: date) -> dict[date, Rollup]:
    """Return what ended on each day of UTC from the first to the last; days without any are left out.

    It costs a read unit a day, and what lies beside them: the same, however many runs ended on them.
    """
    days = (date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1))
    wanted = [keys.statistics_of_day(workflow_id, day) for day in days]
    models = keys.models(workflow_id)
    raws = get_many([*wanted, models])
    known = _known(raws.pop(models, None))
    found = _by_place([*raws.values(), *_beside(wanted[0], wanted[-1])], known)
    return {date.fromisoformat(place): one for place, one in found.items()}


def of_quarters(workflow_id: str, start: datetime, end: datetime) -> dict[datetime, Rollup]:
    """Return what ended in each quarter of an hour that begins from ``start`` until before ``end``, by its beginning.

    Those without any are left out.
    """
    first, after = keys.statistics_of_quarter(workflow_id, start), keys.statistics_of_quarter(workflow_id, end)
    raws = [*query(first.pk, Item.sk.between(first.sk, after.sk)), *_beside(first, after)]
    known = _known(get_many([keys.models(workflow_id)]).get(keys.models(workflow_id)))
    found = {datetime.fromisoformat(place).replace(tzinfo=UTC): one for place, one in _by_place(raws, known).items()}
    return {at: one for at, one in found.items() if at < end}


def _added(before: Run | None, after: Run) -> dict[Key, Mapping[str, int]]:
    """Return what a change of a run adds to which items; nothing where it has not ended, or ended already."""
    found: dict[Key, Rollup] = {}
    for run, one in ((before, -rollup.of(before) if before else rollup.NOTHING), (after, rollup.of(after))):
        if run is None or run.finished_at is None:
            continue
        day = keys.statistics_of_day(run.workflow_id, run.finished_at.astimezone(UTC).date())
        for key in (day, keys.statistics_of_quarter(run.workflow_id, quarter_of(run.finished_at))):
            found[key] = found.get(key, rollup.NOTHING) + one
    changed = {key: one for key, one in found.items() if one != rollup.NOTHING}
    used = {(one.tool, one.model) for each in changed.values() for one in each.usage}
    places = _places(after.workflow_id, sorted(used)) if used else {}
    return {key: _amounts(one, places) for key, one in changed.items()}


def _amounts(one: Rollup, places: Mapping[_Model, int]) -> Mapping[str, int]:
    """Return what a rollup is in attributes; what is 0 is left out."""
    found = {name: getattr(one, name) for name in _COUNTS}
    found |= {f"{_UNIT}{name}": getattr(one.units, name) for name in UNIT_NAMES}
    found |= {f"{_BUCKET}{bucket}": count for bucket, count in one.histogram.items()}
    for each in one.usage:
        names = _of_model(places.get((each.tool, each.model), 0))
        for name, amount in zip(names, (each.input_tokens, each.output_tokens, each.cost_nano_usd), strict=True):
            found[name] = found.get(name, 0) + amount
    return {name: amount for name, amount in found.items() if amount}


def _of_model(place: int) -> tuple[str, str, str]:
    """Return the attributes of what a model read, wrote and cost."""
    return f"{_MODEL}{place}i", f"{_MODEL}{place}o", f"{_MODEL}{place}c"


def _addition(key: Key, amounts: Mapping[str, int]) -> Write:
    """Return the write that adds to an item, unconditional as addition may be: of two at once, both count."""
    arguments: dict[str, Any] = {
        "TableName": connection().table_name,
        "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
        "UpdateExpression": "ADD " + ", ".join(f"#{place} :{place}" for place in range(len(amounts))),
        "ExpressionAttributeNames": {f"#{place}": name for place, name in enumerate(amounts)},
        "ExpressionAttributeValues": {f":{place}": {"N": str(by)} for place, by in enumerate(amounts.values())},
    }
    return Write(operation="Update", arguments=arguments, part="statistics")


def _places(workflow_id: str, used: Sequence[_Model]) -> Mapping[_Model, int]:
    """Return the places of models in the workflow's list, the new ones put there; ``OTHER``'s is 0.

    A place never changes hands: of two that add to the list at once one is Superseded, and looks again at what is now
    longer by a model at least. Should the run then not end, the list holds a model that nobody has used yet.
    """
    for _ in range(MOST_MODELS + 1):
        item = find(ModelsItem, keys.models(workflow_id))
        known = _models_of(item.models) if item else ()
        longer = (*known, *(model for model in used if model not in known))[:MOST_MODELS]
        if len(longer) == len(known):
            break
        as_read = ModelsItem.models == item.models if item else ModelsItem.pk.does_not_exist()
        try:
            transactions.make(transactions.put(ModelsItem(*keys.models(workflow_id), models=dumps(longer)), as_read))
        except Superseded:
            continue
        known = longer
        break
    return {model: place for place, model in enumerate(known, start=1)}


def _beside(first: Key, last: Key) -> Iterable[Raw]:
    """Return what was added beside the statistics from the first item to the last."""
    between = Item.sk.between(keys.statistics_beside(first, 0).sk, keys.statistics_beside(last, _BESIDE).sk)
    return query(first.pk, between)


def _by_place(raws: Iterable[Raw], known: Sequence[_Model]) -> dict[str, Rollup]:
    """Return what items say, added up by the time that they are of."""
    found: dict[str, list[Rollup]] = {}
    for raw in raws:
        found.setdefault(keys.statistics_place(raw["sk"]["S"]), []).append(_rollup(raw, known))
    return {place: rollup.together(parts) for place, parts in found.items()}


def _rollup(raw: Raw, known: Sequence[_Model]) -> Rollup:
    """Return what ``_amounts`` wrote; of a model that has come since the list was read, as ``OTHER``'s."""
    amounts = Counter({name: int(value["N"]) for name, value in raw.items() if "N" in value})
    models = dict(enumerate((OTHER, *known)))
    usage = []
    for place in {int(name[len(_MODEL) : -1]) for name in amounts if name.startswith(_MODEL)}:
        tool, model = models.get(place, OTHER)
        read, wrote, cost = (amounts[name] for name in _of_model(place))
        usage.append(ModelUsage(tool=tool, model=model, input_tokens=read, output_tokens=wrote, cost_nano_usd=cost))
    return Rollup(
        completed=amounts["completed"],
        failed=amounts["failed"],
        canceled=amounts["canceled"],
        timed=amounts["timed"],
        duration_ms=amounts["duration_ms"],
        histogram={int(name[len(_BUCKET) :]): count for name, count in amounts.items() if name.startswith(_BUCKET)},
        units=Units(**{name: amounts[f"{_UNIT}{name}"] for name in UNIT_NAMES}),
        usage=tuple(usage),
    )


def _known(raw: Raw | None) -> Sequence[_Model]:
    return _models_of(raw["models"]["S"]) if raw else ()


def _models_of(text: str) -> tuple[_Model, ...]:
    return tuple((tool, model) for tool, model in json.loads(text))
