"""The grammar of the table's keys, whole. No key is built anywhere else.

The root of a collection begins with ``#``, which sorts before letters: a query of the collection reads it first.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from chalicelib.store.times import text_of

#: The sweep index is split so, to spread its writes; `sweep` asks every shard.
SWEEP_SHARDS: Final = ("0", "1", "2", "3")
#: The shard of the sweep index where workflows with a schedule lie, apart from all runs.
SCHEDULE_SHARD: Final = "cron"
#: The shard where workflows lie that are gone for good and not all removed yet.
PURGE_SHARD: Final = "purge"

#: What begins the sort keys of a collection's members.
VERSIONS: Final = "VERSION#"
DEPLOYMENTS: Final = "DEPLOYMENT#"
CONNECTIONS: Final = "CONNECTION#"
EVENTS: Final = "EVENT#"
STEPS: Final = "STEP#"
STATISTICS: Final = "STATS#"
WAITS: Final = "WAIT#"
RELATED: Final = "RELATED#"
#: What begins the list keys of projects' lists.
LISTED_WORKFLOWS: Final = "WORKFLOW#"
TRASHED_WORKFLOWS: Final = "TRASH#"
LISTED_API_KEYS: Final = "KEY#"
LISTED_PERSONAS: Final = "PERSONA#"

_RUN_ROOT: Final = "#RUN"
_LONGEST_ID: Final = 200
_LONGEST_SLUG: Final = 255
#: In characters: even at four bytes each it stays within the 1,024 bytes of a sort key.
_LONGEST_STEP_KEY: Final = 240
_LONGEST_NUMBER: Final = 6


class ImpossibleId(ValueError):
    """No object can have this id."""


class Key(NamedTuple):
    """Where an item lies."""

    pk: str
    sk: str


def workflow(workflow_id: str) -> Key:
    """Return the key of a workflow."""
    return Key(f"WORKFLOW#{_id(workflow_id)}", "#WORKFLOW")


def counter(workflow_id: str) -> Key:
    """Return the key of what counts a workflow's runs that have not ended."""
    return Key(workflow(workflow_id).pk, "#COUNTER")


def related(workflow_id: str, kind: str, digest: str) -> Key:
    """Return the key of what a workflow's runs have to do with, by its kind and the digest of what tells it apart."""
    return Key(workflow(workflow_id).pk, f"{RELATED}{kind}#{_id(digest)}")


def related_counts(workflow_id: str) -> Key:
    """Return the key of what counts a workflow's related entities."""
    return Key(workflow(workflow_id).pk, f"{RELATED}COUNTS")


def reported(project_id: str, run_id: str, kind: str, digest: str) -> Key:
    """Return the key of what says that a run has had to do with an entity; apart from the run, so as not to be read."""
    return Key(f"REPORTED#{_id(project_id)}#{_id(run_id)}", f"{kind}#{_id(digest)}")


def statistics_of_day(workflow_id: str, day: date) -> Key:
    """Return the key of what a workflow's runs came to that ended on a day of UTC."""
    return Key(workflow(workflow_id).pk, f"{STATISTICS}DAY#{day.isoformat()}")


def statistics_of_quarter(workflow_id: str, start: datetime) -> Key:
    """Return the key of what a workflow's runs came to that ended within the quarter of an hour from a time on."""
    return Key(workflow(workflow_id).pk, f"{STATISTICS}QUARTER#{start.astimezone(UTC):%Y-%m-%dT%H:%M}")


def statistics_beside(key: Key, number: int) -> Key:
    """Return the key of a further part of such statistics, for runs that end while the first is being written."""
    _, span, place = key.sk.split("#")
    return Key(key.pk, f"{STATISTICS}{span}-BESIDE#{place}#{number:02d}")


def statistics_place(sk: str) -> str:
    """Return which day, or which quarter of an hour, such statistics are of, as ISO 8601 has it."""
    return sk.split("#")[2]


def models(workflow_id: str) -> Key:
    """Return the key of the list of models that a workflow's statistics tell apart."""
    return Key(workflow(workflow_id).pk, f"{STATISTICS}MODELS")


def slug(project_id: str, slug_: str) -> Key:
    """Return the key of what says which workflow of a project a slug means."""
    if len(slug_) > _LONGEST_SLUG or not slug_.isascii() or not slug_.isprintable() or "#" in slug_ or not slug_:
        message = f"a slug is 1 to {_LONGEST_SLUG} printable ASCII characters without '#'"
        raise ImpossibleId(message)
    return Key(project(project_id).pk, f"SLUG#{slug_}")


def version(workflow_id: str, number: int) -> Key:
    """Return the key of a version; six digits keep them in order."""
    return Key(workflow(workflow_id).pk, f"{VERSIONS}{number:0{_LONGEST_NUMBER}d}")


def version_id(workflow_id: str, id_: str) -> Key:
    """Return the key of what says which number a version's id has."""
    return Key(workflow(workflow_id).pk, f"VERSION-ID#{_id(id_)}")


def deployment(workflow_id: str, connection_id: str) -> Key:
    """Return the key of what is deployed of a workflow on a connection."""
    return Key(workflow(workflow_id).pk, f"{DEPLOYMENTS}{_id(connection_id)}")


def function(digest: str) -> Key:
    """Return the key of what a function's URL leads to, by the digest of its token."""
    return Key(f"FUNCTION#{_id(digest)}", "#FUNCTION")


def run(run_id: str) -> Key:
    """Return the key of a run."""
    return Key(f"RUN#{_id(run_id)}", _RUN_ROOT)


def run_partition(run_id: str) -> str:
    """Return the partition of a run's collection, as the park state machine is told it."""
    return run(run_id).pk


def run_payload(run_id: str, digest: str) -> Key:
    """Return the key of a payload that is too large to lie in the run itself."""
    return Key(run(run_id).pk, f"PAYLOAD#{_id(digest)}")


def run_excerpt(run_id: str) -> Key:
    """Return the key of the beginning of a prompt whose run's payload lies outside the table."""
    return Key(run(run_id).pk, "EXCERPT")


def run_output(run_id: str, digest: str) -> Key:
    """Return the key of an output that is too large to lie in the run itself."""
    return Key(run(run_id).pk, f"OUTPUT#{_id(digest)}")


def event(run_id: str, event_id: str) -> Key:
    """Return the key of an event sent to a run."""
    return Key(run(run_id).pk, f"{EVENTS}{_id(event_id)}")


def step(run_id: str, step_key: str) -> Key:
    """Return the key of a step's record.

    A very long step key (loops within loops) is cut, and its digest keeps it apart from others.
    """
    if len(step_key) <= _LONGEST_STEP_KEY:
        return Key(f"RUN#{_id(run_id)}", STEPS + step_key)
    digest = hashlib.sha256(step_key.encode()).hexdigest()
    return Key(f"RUN#{_id(run_id)}", f"{STEPS}{step_key[: _LONGEST_STEP_KEY - len(digest)]}~{digest}")


def history(run_id: str) -> str:
    """Return the partition of a run's history, apart from the run so that loading a run does not read it."""
    return f"HISTORY#{_id(run_id)}"


def history_record(run_id: str, at: datetime, record_id: str) -> Key:
    """Return the key of one record of a run's history."""
    return Key(history(run_id), f"{text_of(at)}#{_id(record_id)}")


def api_key(key_id: str) -> Key:
    """Return the key of an API key."""
    return Key(f"KEY#{_id(key_id)}", "#KEY")


def persona(persona_id: str) -> Key:
    """Return the key of a persona."""
    return Key(f"PERSONA#{_id(persona_id)}", "#PERSONA")


def project(project_id: str) -> Key:
    """Return the key of a project."""
    return Key(f"PROJECT#{_id(project_id)}", "#PROJECT")


def connection(project_id: str, connection_id: str) -> Key:
    """Return the key of a project's connection; ids of connections are unique within a project only."""
    return Key(project(project_id).pk, f"{CONNECTIONS}{_id(connection_id)}")


def ticket(ticket_id: str) -> Key:
    """Return the key of an approval's or a job's ticket."""
    return Key(f"TICKET#{_id(ticket_id)}", "#TICKET")


def file(file_id: str) -> Key:
    """Return the key of an uploaded file's record."""
    return Key(f"FILE#{_id(file_id)}", "#FILE")


def event_waits(project_id: str, event_key: str) -> str:
    """Return the partition of all waits on an event key, which may be any text: only its digest is part of ours."""
    return f"EVENTKEY#{_id(project_id)}#{_digest(event_key)}"


def event_wait(project_id: str, event_key: str, ticket_id: str) -> Key:
    """Return the key of the ticket of one wait on an event key."""
    return Key(event_waits(project_id, event_key), f"{WAITS}{_id(ticket_id)}")


def idempotency(project_id: str, scope: str, key: str) -> Key:
    """Return the key of an idempotency record; the sender's key may be any text, so only its digest is part of ours."""
    return Key(f"IDEMPOTENCY#{_id(project_id)}#{_id(scope)}#{_digest(key)}", "#RECORD")


def id_of(pk: str) -> str:
    """Return the id of the object whose collection a partition is."""
    return pk.split("#", 1)[1]


def member_of(sk: str) -> str:
    """Return the id, number or key of a collection's member."""
    return sk.split("#", 1)[1]


def is_run(key: Key) -> bool:
    """Whether a run itself lies there."""
    return key.sk == _RUN_ROOT


def listed_run(status: str, created_at: datetime, run_id: str) -> str:
    """Return the list key of a run: one list for each status, in the order of creation."""
    return f"{listed_runs(status)}{position(created_at, run_id)}"


def listed_runs(status: str) -> str:
    """Return what begins the list keys of the runs in a status."""
    return f"RUN#{status}#"


def listed_workflow(updated_at: datetime, workflow_id: str) -> str:
    """Return the list key of a workflow."""
    return f"{LISTED_WORKFLOWS}{position(updated_at, workflow_id)}"


def trashed_workflow(deleted_at: datetime, workflow_id: str) -> str:
    """Return the list key of a workflow in the trash."""
    return f"{TRASHED_WORKFLOWS}{position(deleted_at, workflow_id)}"


def purged_workflow(purged_at: datetime, workflow_id: str) -> str:
    """Return the list key of a workflow that is gone for good, in a list that nobody reads."""
    return f"PURGED#{position(purged_at, workflow_id)}"


def listed_api_key(created_at: datetime, key_id: str) -> str:
    """Return the list key of an API key."""
    return f"{LISTED_API_KEYS}{position(created_at, key_id)}"


def listed_persona(updated_at: datetime, persona_id: str) -> str:
    """Return the list key of a persona."""
    return f"{LISTED_PERSONAS}{position(updated_at, persona_id)}"


def listed_related(kind: str, last_at: datetime, digest: str) -> str:
    """Return the list key of a related entity."""
    return f"{listed_entities(kind)}{position(last_at, digest)}"


def listed_entities(kind: str) -> str:
    """Return what begins the list keys of a workflow's related entities of a kind."""
    return f"{RELATED}{kind}#"


def listed_ticket(kind: str, status: str, at: datetime, ticket_id: str) -> str:
    """Return the list key of a ticket: one list for each kind and status."""
    return f"{listed_tickets(kind, status)}{position(at, ticket_id)}"


def listed_tickets(kind: str, status: str) -> str:
    """Return what begins the list keys of the tickets of a kind and status."""
    return f"TICKET#{kind}#{status}#"


def after_all(prefix: str) -> str:
    """Return what sorts right after everything that begins with a prefix ending in ``#``."""
    return prefix.removesuffix("#") + "$"


def position(at: datetime, id_: str) -> str:
    """Return the end of a list key: the place in a list, which cursors hold too."""
    return f"{text_of(at)}#{_id(id_)}"


def until(at: datetime | None) -> str:
    """Return what sorts after every place in a list up to a time, or after every place there is."""
    return f"{text_of(at)}$" if at is not None else "~"


def sweep_shard(run_id: str) -> str:
    """Return the shard of the sweep index that a run always lies in."""
    return SWEEP_SHARDS[zlib.crc32(run_id.encode()) % len(SWEEP_SHARDS)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _id(text: str) -> str:
    """Return the id, if it is one: ``#`` would reach into another's keys, and a key's length is limited."""
    if 0 < len(text) <= _LONGEST_ID and "#" not in text and text.isprintable():
        return text
    message = f"an id is 1 to {_LONGEST_ID} printable characters without '#'"
    raise ImpossibleId(message)
