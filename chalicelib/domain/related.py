"""What a workflow's runs have to do with: the personas in them, the issues they found, and what they learned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RelatedKind(StrEnum):
    """What an entity is."""

    PERSONA = "persona"
    ISSUE = "issue"
    LEARNING = "learning"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """Something wrong that an agent reports; of one title it is one issue."""

    title: str
    #: In the agent's own words; of one run the first counts, of several the latest run's.
    severity: str


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Something that an agent has learned; of one title another body is another version."""

    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Related:
    """An entity that runs of a workflow have to do with."""

    kind: RelatedKind
    #: A persona's id; an issue's or a learning's title.
    name: str
    #: An issue's.
    severity: str | None = None
    #: A learning's.
    body: str | None = None
    #: A learning's place among those of its title, from 1.
    version: int | None = None
    #: How many runs, each counted once.
    runs: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class RelatedCounts:
    """How many entities of each kind a workflow has."""

    personas: int = 0
    issues: int = 0
    learning_versions: int = 0
