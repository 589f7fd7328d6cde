"""What is read before a run of a workflow can be started, in as few calls as may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.idempotency import IdempotencyRecord, Once
from chalicelib.domain.persona import Persona
from chalicelib.domain.upload import StoredFile
from chalicelib.domain.workflow import Deployment
from chalicelib.store import deployments, files, idempotency, keys, personas
from chalicelib.store.table import get_many


@dataclass(frozen=True, kw_only=True)
class Before:
    """What is known before a start is judged."""

    #: What its idempotency key has been used for.
    used: IdempotencyRecord | None
    #: What is deployed of the workflow.
    deployment: Deployment | None


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a start names, by id; what is not there is left out."""

    personas: Mapping[str, Persona]
    files: Mapping[str, StoredFile]


def before(project_id: str, workflow_id: str, connection_id: str, *, once: Once | None, now: datetime) -> Before:
    """Return what is known before a start is judged, with one read."""
    deployed = keys.deployment(workflow_id, connection_id)
    used = keys.idempotency(project_id, once.scope, once.key) if once is not None else None
    raws = get_many([deployed] if used is None else [deployed, used])
    return Before(
        used=idempotency.read(raws[used], now=now) if used in raws else None,
        deployment=deployments.read(raws[deployed]) if deployed in raws else None,
    )


def named(persona_ids: Sequence[str], file_ids: Sequence[str]) -> Named:
    """Return personas and files, with one read for a hundred, and none where nothing is named."""
    people = {place: one for one in persona_ids if (place := personas.place_of(one)) is not None}
    images = {place: one for one in file_ids if (place := files.place_of(one)) is not None}
    raws = get_many([*people, *images])
    return Named(
        personas={one: personas.read(raws[place]) for place, one in people.items() if place in raws},
        files={one: files.read(raws[place]) for place, one in images.items() if place in raws},
    )
