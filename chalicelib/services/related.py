"""What a workflow's runs have to do with: recorded as agents report, and told for the workflow as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.persona import Persona
from chalicelib.domain.related import Issue, Learning, Related, RelatedCounts, RelatedKind
from chalicelib.services import personas, workflows
from chalicelib.store import related as store
from chalicelib.store.related import Met

#: How many of each kind are told, the last met ones.
MOST_TOLD: Final = 100
#: As much as is kept of what agents say, in characters; reports hold it whole.
_LONGEST_TITLE: Final = 500
_LONGEST_BODY: Final = 4000
_LONGEST_SEVERITY: Final = 50


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a workflow's runs have to do with, the last met first."""

    personas: Sequence[Related]
    issues: Sequence[Related]
    learnings: Sequence[Related]
    #: The personas among them that are known still, by id.
    people: Mapping[str, Persona]


def record(
    project_id: str,
    workflow_id: str,
    run_id: str,
    *,
    issues: Iterable[Issue],
    learnings: Iterable[Learning],
    persona_id: str | None,
    now: datetime,
) -> None:
    """Record what an agent has reported, and which persona it was; recorded twice, it counts once."""
    met = [
        *([Met(kind=RelatedKind.PERSONA, name=persona_id)] if persona_id is not None else ()),
        *(
            Met(kind=RelatedKind.ISSUE, name=one.title[:_LONGEST_TITLE], severity=one.severity[:_LONGEST_SEVERITY])
            for one in issues
        ),
        *(
            Met(kind=RelatedKind.LEARNING, name=one.title[:_LONGEST_TITLE], body=one.body[:_LONGEST_BODY])
            for one in learnings
        ),
    ]
    store.record(project_id, workflow_id, run_id, met, now=now)


def of_workflow(project_id: str, workflow_id: str) -> Told:
    """Return what a project's workflow has to do with, in as many reads however many runs there are."""
    workflow = workflows.load(project_id, workflow_id)
    met = {kind: store.newest(workflow.id, kind, MOST_TOLD) for kind in RelatedKind}
    people = personas.load_many(project_id, [one.name for one in met[RelatedKind.PERSONA]])
    return Told(
        personas=met[RelatedKind.PERSONA],
        issues=met[RelatedKind.ISSUE],
        learnings=met[RelatedKind.LEARNING],
        people=people,
    )


def counts(workflow_id: str) -> RelatedCounts:
    """Return how many there are of each kind, those that are told no more included."""
    return store.counts(workflow_id)
