"""Requests that take effect once, however often they are sent: the first is answered, its repeats are told the same.

A key is taken by a conditional write before the request is made, and the answer is written to it afterwards. In between
the request may fail or its process die, and nobody knows what it has done: then the key stays taken, and the same
request may take it over and be made again, with the same derived ids. A request that was refused has done nothing and
frees its key.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib import logs
from chalicelib.domain.idempotency import FirstUse, IdempotencyRecord
from chalicelib.domain.refusal import Conflict, IdempotencyMismatch, Refusal, TryLater
from chalicelib.domain.value import Json, Offloaded, dumps
from chalicelib.logs import Action
from chalicelib.services.availability import PASSING
from chalicelib.services.faults import describe
from chalicelib.services.outside import current
from chalicelib.services.values import Values
from chalicelib.store import idempotency
from chalicelib.store.errors import Exists, Superseded

#: How long a key is remembered, from its first use.
REMEMBERED: Final = timedelta(hours=24)
#: A request that has not been answered by then never will be: no invocation of the API lasts as long.
LOST_AFTER: Final = timedelta(seconds=60)
_TRIES: Final = 3
_HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a request was answered with."""

    status: int
    #: Those that belong to the answer, not to the one request.
    headers: Mapping[str, str]
    #: JSON text, or nothing.
    body: str
    #: Whether an earlier request was answered so, and this one did nothing.
    replayed: bool = False


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request that carries an idempotency key."""

    project_id: str
    #: The kind of request that the key is unique for; without ``#``.
    scope: str
    #: The key as its sender wrote it.
    key: str
    #: Of all that tells this request from another of its kind.
    digest: str
    now: datetime


def once(sent: Sent, make: Callable[[FirstUse], Made]) -> Made:
    """Make the request, or return what the same request was answered before.

    Refused are another request with the same key, and the same one while it is still in flight.
    """
    first, earlier = _taken(sent)
    if earlier is not None:
        return earlier
    use = FirstUse(project_id=sent.project_id, scope=sent.scope, key=sent.key, at=first.expires_at - REMEMBERED)
    try:
        made = make(use)
    except TryLater:
        _give_up(first)
        raise
    except Refusal:
        _free(first)
        raise
    except Exception:
        _give_up(first)
        raise
    _remember(first, made)
    return made


def _taken(sent: Sent) -> tuple[IdempotencyRecord, Made | None]:
    """Return the record of the key's use, which is this request's own unless what an earlier one made is beside it."""
    ours = IdempotencyRecord(
        scope=sent.scope,
        key=sent.key,
        project_id=sent.project_id,
        request_digest=sent.digest,
        created_at=sent.now,
        expires_at=sent.now + REMEMBERED,
    )
    for _ in range(_TRIES):
        with contextlib.suppress(Exists):
            idempotency.put(ours)
            return ours, None
        found = idempotency.load(sent.project_id, sent.scope, sent.key, now=sent.now)
        if found is None:  # freed, or out of its time, since it was in our way
            continue
        if found.request_digest != sent.digest:
            raise IdempotencyMismatch(f"the {_HEADER} was used before with another request", field=_HEADER)
        if found.response is not None:
            return found, _made(found.project_id, found.response)
        if sent.now - found.created_at < LOST_AFTER:
            break
        # Its end tells when the key was first used, and so stays; of two that take it over at once one does.
        again = replace(found, created_at=sent.now)
        with contextlib.suppress(Superseded):
            idempotency.take_over(again, before=found)
            return again, None
    raise Conflict(f"a request with this {_HEADER} is still in flight; try again", field=_HEADER)


def _remember(record: IdempotencyRecord, made: Made) -> None:
    """Write to the key what was answered.

    The request has taken effect, and so is answered even if this fails: its repeats are told that it is in flight, and
    then make it again. Its writes are judged anew then, and its ids are the same.
    """
    answered: Json = {"status": made.status, "headers": dict(made.headers), "body": made.body}
    try:
        idempotency.answer(replace(record, response=_kept(record.project_id, answered)))
    except PASSING as error:
        logs.tell(Action.ANSWER_NOT_KEPT, fault=describe(error))


def _free(record: IdempotencyRecord) -> None:
    """Let the key be used anew; if that fails, it is in flight until it counts as lost."""
    with contextlib.suppress(*PASSING):
        idempotency.remove(record)


def _give_up(record: IdempotencyRecord) -> None:
    """Let the same request take the key over at once; if that fails, as soon as it counts as lost."""
    with contextlib.suppress(Superseded, *PASSING):
        idempotency.take_over(replace(record, created_at=record.created_at - LOST_AFTER), before=record)


def _kept(project_id: str, answered: Json) -> str:
    """Return what the record holds of an answer: itself, or the handle of where it lies if it is large."""
    value = _values(project_id).kept(answered)
    return dumps({"digest": value.digest, "size": value.size} if isinstance(value, Offloaded) else value)


def _made(project_id: str, text: str) -> Made:
    held = json.loads(text)
    if "digest" in held:
        held = _values(project_id).fetched(Offloaded(digest=held["digest"], size=held["size"]))
    return Made(status=held["status"], headers=held["headers"], body=held["body"], replayed=True)


def _values(project_id: str) -> Values:
    return Values(project_id=project_id, payloads=current().payloads)
