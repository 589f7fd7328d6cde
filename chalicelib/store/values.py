"""How values, claims, errors and waits are stored: as compact JSON text, or as the handle of a value kept elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from chalicelib.domain.step import Claim, PastAttempt, Reset, StepError, StepStatus, Wait, WaitKind
from chalicelib.domain.value import Offloaded, Value, dumps
from chalicelib.domain.workflow import WorkflowSettings
from chalicelib.store.times import from_microseconds, microseconds_of, text_of, time_of

_NO_DEADLINE: Final = None
#: What a claim's list holds after its attempt and time, while nothing says otherwise.
_CLAIM_DEFAULTS: Final[Sequence[Any]] = ("", _NO_DEADLINE, 1, 0, 0)
#: What a past attempt's list holds after its number, generation and status, while nothing says otherwise.
_ATTEMPT_DEFAULTS: Final[Sequence[Any]] = (None, None, None, None, None, None)
#: A workflow's settings while nothing says otherwise: of these nothing is stored.
_DEFAULT_SETTINGS: Final = WorkflowSettings()
_MICROSECOND: Final = timedelta(microseconds=1)


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


def attempts_text(attempts: Sequence[PastAttempt]) -> str | None:
    """Return past attempts as text, one short list each."""
    return dumps([_attempt_list(attempt) for attempt in attempts]) if attempts else None


def attempts_of(text: str | None) -> tuple[PastAttempt, ...]:
    """Return the past attempts that ``attempts_text`` wrote."""
    return tuple(_attempt(fields) for fields in json.loads(text)) if text is not None else ()


def resets_text(resets: Sequence[Reset]) -> str | None:
    """Return resets as text, one short list each."""
    if not resets:
        return None
    return dumps(
        [[one.generation, one.step, int(one.subtree), int(one.reopened), int(one.forced)] for one in resets],
    )


def resets_of(text: str | None) -> tuple[Reset, ...]:
    """Return the resets that ``resets_text`` wrote."""
    found = json.loads(text) if text is not None else ()
    return tuple(
        Reset(generation=generation, step=step, subtree=bool(subtree), reopened=bool(reopened), forced=bool(forced))
        for generation, step, subtree, reopened, forced in found
    )


def texts_text(texts: Sequence[str]) -> str | None:
    """Return a list of texts as text."""
    return dumps(list(texts)) if texts else None


def texts_of(text: str | None) -> tuple[str, ...]:
    """Return the texts that ``texts_text`` wrote."""
    return tuple(json.loads(text)) if text is not None else ()


def settings_text(settings: WorkflowSettings) -> str | None:
    """Return what differs from a workflow's usual settings as text."""
    fields = {name: value for name, value in vars(settings).items() if value != getattr(_DEFAULT_SETTINGS, name)}
    if settings.timeout is not None:
        fields["timeout"] = settings.timeout // _MICROSECOND
    return dumps(fields) if fields else None


def settings_of(text: str | None) -> WorkflowSettings:
    """Return the settings that ``settings_text`` wrote."""
    if text is None:
        return _DEFAULT_SETTINGS
    fields = json.loads(text)
    if "timeout" in fields:
        fields["timeout"] = fields["timeout"] * _MICROSECOND
    return WorkflowSettings(**fields)


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
        "beat_by": _moment(wait.beat_by),
        "note": wait.note,
        "approvers": list(wait.approvers) or None,
        "forbid_self_approval": wait.forbid_self_approval or None,
        "ticket": wait.ticket,
    }
    return dumps({name: value for name, value in fields.items() if value is not None})


def wait_of(text: str | None) -> Wait | None:
    """Return the wait that ``wait_text`` wrote."""
    if text is None:
        return None
    fields = json.loads(text)
    return Wait(
        kind=WaitKind(fields["kind"]),
        event_type=fields.get("event_type"),
        until=_moment_of(fields.get("until")),
        beat_by=_moment_of(fields.get("beat_by")),
        note=fields.get("note"),
        approvers=tuple(fields.get("approvers", ())),
        forbid_self_approval=fields.get("forbid_self_approval", False),
        ticket=fields.get("ticket"),
    )


def _moment(at: datetime | None) -> str | None:
    return text_of(at) if at is not None else None


def _moment_of(text: str | None) -> datetime | None:
    return time_of(text) if text is not None else None


def _claim_list(claim: Claim) -> list[Any]:
    deadline = microseconds_of(claim.deadline) if claim.deadline is not None else _NO_DEADLINE
    rest = [claim.owner, deadline, claim.generation, claim.failures, claim.losses]
    return [claim.attempt, microseconds_of(claim.at), *_trimmed(rest, _CLAIM_DEFAULTS)]


def _claim(key: str, fields: list[Any]) -> Claim:
    attempt, at, *rest = fields
    owner, deadline, generation, failures, losses = (*rest, *_CLAIM_DEFAULTS[len(rest) :])
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


def _attempt_list(attempt: PastAttempt) -> list[Any]:
    rest = [
        microseconds_of(attempt.started_at) if attempt.started_at is not None else None,
        microseconds_of(attempt.finished_at) if attempt.finished_at is not None else None,
        None if isinstance(attempt.output, Offloaded) else attempt.output,
        handle(attempt.output),
        error_text(attempt.error),
        attempt.event_id,
    ]
    return [attempt.attempt, attempt.generation, attempt.status.value, *_trimmed(rest, _ATTEMPT_DEFAULTS)]


def _attempt(fields: list[Any]) -> PastAttempt:
    attempt, generation, status, *rest = fields
    started_at, finished_at, output, output_handle, error, event_id = (*rest, *_ATTEMPT_DEFAULTS[len(rest) :])
    return PastAttempt(
        attempt=attempt,
        generation=generation,
        status=StepStatus(status),
        started_at=from_microseconds(started_at) if started_at is not None else None,
        finished_at=from_microseconds(finished_at) if finished_at is not None else None,
        output=output if output_handle is None else value_of(None, output_handle),
        error=error_of(error),
        event_id=event_id,
    )


def _trimmed(rest: list[Any], defaults: Sequence[Any]) -> list[Any]:
    """Return a list without what goes without saying at its end."""
    while rest and rest[-1] == defaults[len(rest) - 1]:
        rest.pop()
    return rest
