"""How values, claims, errors and waits are stored: as compact JSON text, or as the handle of a value kept elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from chalicelib.domain.step import Claim, StepError, Wait, WaitKind
from chalicelib.domain.value import Offloaded, Value, dumps
from chalicelib.store.times import from_microseconds, microseconds_of, text_of, time_of

_NO_DEADLINE: Final = None
#: What a claim's list holds after its attempt and time, while nothing says otherwise.
_CLAIM_DEFAULTS: Final = ("", _NO_DEADLINE, 1, 0, 0)


def inline(value: Value) -> str | None:
    """Return the JSON text of a value that lies in its record; none for null and for an offloaded value."""
    return None if value is None or isinstance(value, Offloaded) else dumps(value)


def handle(value: Value) -> str | None:
    """Return what says where an offloaded value lies; none for any other."""
    return f"{value.digest}:{value.size}" if isinstance(value, Offloaded) else None


def value_of(text: str | None, handle_text: str | None) -> Value:
    """Return the value that ``inline`` or ``handle`` wrote."""
    if handle_text is not None:
        digest, _, size = handle_text.partition(":")
        return Offloaded(digest=digest, size=int(size))
    value: Value = json.loads(text) if text is not None else None
    return value


def digest_of(text: str) -> str:
    """Return the digest that tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def claims_text(claims: Mapping[str, Claim]) -> str | None:
    """Return claims as text, one short list each: they ride on every step's write, so that every byte counts."""
    if not claims:
        return None
    return dumps({key: _claim_list(claim) for key, claim in claims.items()})


def claims_of(text: str | None) -> dict[str, Claim]:
    """Return the claims that ``claims_text`` wrote."""
    if text is None:
        return {}
    return {key: _claim(key, fields) for key, fields in json.loads(text).items()}


def tags_of(text: str | None) -> dict[str, str]:
    """Return tags stored as JSON text."""
    tags: dict[str, str] = json.loads(text) if text is not None else {}
    return tags


def error_text(error: StepError | None) -> str | None:
    """Return an error as text."""
    return None if error is None else dumps({name: text for name, text in error.as_json().items() if text is not None})


def error_of(text: str | None) -> StepError | None:
    """Return the error that ``error_text`` wrote."""
    return None if text is None else StepError(**json.loads(text))


def wait_text(wait: Wait | None) -> str | None:
    """Return a wait as text."""
    if wait is None:
        return None
    fields = {
        "kind": wait.kind.value,
        "event_type": wait.event_type,
        "until": _moment(wait.until),
        "note": wait.note,
        "approvers": list(wait.approvers) or None,
    }
    return dumps({name: value for name, value in fields.items() if value is not None})


def wait_of(text: str | None) -> Wait | None:
    """Return the wait that ``wait_text`` wrote."""
    if text is None:
        return None
    fields = json.loads(text)
    until = fields.get("until")
    return Wait(
        kind=WaitKind(fields["kind"]),
        event_type=fields.get("event_type"),
        until=time_of(until) if until is not None else None,
        note=fields.get("note"),
        approvers=tuple(fields.get("approvers", ())),
    )


def _moment(at: datetime | None) -> str | None:
    return text_of(at) if at is not None else None


def _claim_list(claim: Claim) -> list[Any]:
    deadline = microseconds_of(claim.deadline) if claim.deadline is not None else _NO_DEADLINE
    rest = [claim.owner, deadline, claim.generation, claim.failures, claim.losses]
    while rest and rest[-1] == _CLAIM_DEFAULTS[len(rest) - 1]:
        rest.pop()
    return [claim.attempt, microseconds_of(claim.at), *rest]


def _claim(key: str, fields: list[Any]) -> Claim:
    attempt, at, *rest = fields
    rest.extend(_CLAIM_DEFAULTS[len(rest) :])
    owner, deadline, generation, failures, losses = rest
    return Claim(
        key=key,
        attempt=attempt,
        at=from_microseconds(at),
        owner=owner,
        deadline=from_microseconds(deadline) if deadline is not None else None,
        generation=generation,
        failures=failures,
        losses=losses,
    )
