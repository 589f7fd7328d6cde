"""What a workflow's runs have to do with, each entity in an item of the workflow's collection; a run counts once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pynamodb.expressions.update import Action

from chalicelib.domain.related import Related, RelatedCounts, RelatedKind
from chalicelib.domain.value import dumps
from chalicelib.store import keys, transactions
from chalicelib.store.errors import Busy, Exists, Superseded
from chalicelib.store.keys import Key
from chalicelib.store.paging import places
from chalicelib.store.table import ByWorkflow, Item, MaybeText, MaybeWhole, Raw, Text, Time, Whole, find, get_many
from chalicelib.store.transactions import Write

#: How many entities are written in one transaction; each takes three writes at most, and a hundred fit.
_TOGETHER: Final = 25
_TRIES: Final = 8
#: What the versions of a learning are counted under.
_TITLE: Final = "title"


class RelatedItem(Item):
    """An entity."""

    workflow_id = Text()
    list_key = Text()
    kind = Text()
    name = Text()
    severity = MaybeText()
    body = MaybeText()
    version = MaybeWhole()
    runs = Whole()
    first_at = Time()
    last_at = Time()

    def related(self) -> Related:
        """Return the entity."""
        return Related(
            kind=RelatedKind(self.kind),
            name=self.name,
            severity=self.severity,
            body=self.body,
            version=self.version,
            runs=self.runs,
            first_at=self.first_at,
            last_at=self.last_at,
        )


class TitleItem(Item):
    """How many versions there are of the learnings of one title."""

    versions = Whole()


class ReportedItem(Item):
    """That a run has had to do with an entity."""

    at = Time()


class CountsItem(Item):
    """How many entities of each kind a workflow has."""

    persona = MaybeWhole()
    issue = MaybeWhole()
    learning = MaybeWhole()


@dataclass(frozen=True, kw_only=True)
class Met:
    """An entity that a run has to do with."""

    kind: RelatedKind
    name: str
    severity: str | None = None
    body: str | None = None

    @property
    def digest(self) -> str:
        """What tells it from others of its kind."""
        return _digest(dumps([self.name, self.body]))


@dataclass(frozen=True, kw_only=True)
class _Report:
    project_id: str
    workflow_id: str
    run_id: str
    now: datetime

    def entity(self, met: Met) -> Key:
        return keys.related(self.workflow_id, met.kind, met.digest)

    def mark(self, met: Met) -> Key:
        return keys.reported(self.project_id, self.run_id, met.kind, met.digest)

    def title(self, met: Met) -> Key:
        return keys.related(self.workflow_id, _TITLE, _digest(met.name))


def record(project_id: str, workflow_id: str, run_id: str, met: Sequence[Met], *, now: datetime) -> None:
    """Have entities count a run that has to do with them, once however often it says so.

    Of two reports at once that bring up one entity, one creates it and the other, judged anew, finds it there. Busy if
    that goes on.
    """
    report = _Report(project_id=project_id, workflow_id=workflow_id, run_id=run_id, now=now)
    left: Sequence[Met] = list({(one.kind, one.digest): one for one in met}.values())
    tries = 0
    while left:
        raws = get_many([key for one in left for key in (report.mark(one), report.entity(one), report.title(one))])
        together, left = _apart([one for one in left if report.mark(one) not in raws], report)
        if not together:
            return
        try:
            transactions.commit(*_writes(report, together, raws))
        except (Exists, Superseded):
            tries += 1
            if tries == _TRIES:
                raise Busy("what runs have to do with is being changed by others") from None
            left = [*together, *left]


def newest(workflow_id: str, kind: RelatedKind, limit: int) -> list[Related]:
    """Return at most ``limit`` of a workflow's entities of a kind, the last met first."""
    prefix = keys.listed_entities(kind)
    found = [place.key for place in places(ByWorkflow.Meta.index_name, workflow_id, prefix, None, limit)]
    raws = get_many(found)
    return [RelatedItem.from_raw_data(raws[key]).related() for key in found if key in raws]


def counts(workflow_id: str) -> RelatedCounts:
    """Return how many entities of each kind a workflow has, with one read."""
    item = find(CountsItem, keys.related_counts(workflow_id))
    if item is None:
        return RelatedCounts()
    return RelatedCounts(personas=item.persona or 0, issues=item.issue or 0, learning_versions=item.learning or 0)


def _apart(met: Sequence[Met], report: _Report) -> tuple[list[Met], list[Met]]:
    """Return what goes into one transaction, which can write an item once, and what is left for the next."""
    together: list[Met] = []
    left: list[Met] = []
    titles: set[Key] = set()
    for one in met:
        fits = len(together) < _TOGETHER and (one.kind is not RelatedKind.LEARNING or report.title(one) not in titles)
        (together if fits else left).append(one)
        titles.add(report.title(one))
    return together, left


def _writes(report: _Report, met: Sequence[Met], raws: Mapping[Key, Raw]) -> list[Write]:
    """Return the writes that have entities count the run, on condition that all is as it was read."""
    writes: list[Write] = []
    new = [one for one in met if report.entity(one) not in raws]
    for one in met:
        writes.append(transactions.create(ReportedItem(*report.mark(one), at=report.now), part="mark"))
        writes.append(_creation(report, one, raws) if one in new else _addition(report, one))
    writes.extend(_version(report, one, raws) for one in new if one.kind is RelatedKind.LEARNING)
    if new:
        attributes = CountsItem.get_attributes()
        more: list[Action] = [
            attributes[kind.value].add(sum(one.kind is kind for one in new))
            for kind in RelatedKind
            if any(one.kind is kind for one in new)
        ]
        # It is added to: two transactions that both create something both count.
        writes.append(transactions.update(CountsItem, keys.related_counts(report.workflow_id), more, None))
    return writes


def _creation(report: _Report, met: Met, raws: Mapping[Key, Raw]) -> Write:
    item = RelatedItem(
        *report.entity(met),
        workflow_id=report.workflow_id,
        list_key=keys.listed_related(met.kind, report.now, met.digest),
        kind=met.kind.value,
        name=met.name,
        severity=met.severity,
        body=met.body,
        version=_versions(report, met, raws) + 1 if met.kind is RelatedKind.LEARNING else None,
        runs=1,
        first_at=report.now,
        last_at=report.now,
    )
    return transactions.create(item, part="entity")


def _addition(report: _Report, met: Met) -> Write:
    """Return the write that counts one run more. Of two at once the later says when the entity was last met."""
    actions: list[Action] = [
        RelatedItem.runs.add(1),
        RelatedItem.last_at.set(report.now),
        RelatedItem.list_key.set(keys.listed_related(met.kind, report.now, met.digest)),
    ]
    if met.severity is not None:
        actions.append(RelatedItem.severity.set(met.severity))
    return transactions.update(RelatedItem, report.entity(met), actions, RelatedItem.pk.exists(), part="entity")


def _version(report: _Report, met: Met, raws: Mapping[Key, Raw]) -> Write:
    """Return the write that takes the next version of a title: of two that take it at once, one has it."""
    before = _versions(report, met, raws)
    item = TitleItem(*report.title(met), versions=before + 1)
    if before == 0:
        return transactions.create(item, part="title")
    return replace(transactions.put(item, TitleItem.versions == before, part="title"), otherwise=Superseded)


def _versions(report: _Report, met: Met, raws: Mapping[Key, Raw]) -> int:
    raw = raws.get(report.title(met))
    return TitleItem.from_raw_data(raw).versions if raw is not None else 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
