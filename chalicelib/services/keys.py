"""API keys: made, shown once, rotated, revoked. Who calls with one is ``authentication``'s business."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib import settings
from chalicelib.domain.access import ApiKey, Scope, digest_of, scopes_of
from chalicelib.domain.refusal import Conflict, Invalid, NotFound
from chalicelib.services import authentication
from chalicelib.services.judging import judged_anew
from chalicelib.store import api_keys as store
from chalicelib.store.paging import Page

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 8
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A key with its text, which is shown this once and never again."""

    key: ApiKey
    #: ``ask_<key id>_<secret>``.
    text: str = field(repr=False)


def create(
    project_id: str,
    *,
    name: str,
    scopes: Iterable[str],
    now: datetime,
    expires_at: datetime | None = None,
    secret: str | None = None,
) -> Issued:
    """Create a key. ``scopes`` are fine scopes or the APIs' words for some.

    No scope or an unknown one, a name that cannot be shown on one line, and an end that is past already are Invalid.
    """
    if expires_at is not None and expires_at <= now:
        raise Invalid("a key must expire in the future", field="expires_at")
    key_id = secrets.token_hex(_ID_BYTES)
    key = _key(project_id, key_id, _known(scopes), name=name, now=now, expires_at=expires_at)
    return _put(key, secret or secrets.token_hex(_SECRET_BYTES))


def adopt(project_id: str, text: str, *, name: str, scopes: Iterable[str], now: datetime) -> Issued:
    """Have a key with the text that its owner chose, ``ask_<key id>_<secret>``; one of that id is replaced."""
    parts = authentication.split(text)
    if parts is None:
        raise Invalid("an API key reads ask_<key id>_<secret>, its key id of letters, digits and hyphens", field="key")
    key_id, secret = parts
    authentication.forget(key_id)
    return _put(_key(project_id, key_id, _known(scopes), name=name, now=now), secret)


def rotate(project_id: str, key_id: str, *, now: datetime, secret: str | None = None) -> Issued:
    """Give a key a new secret; the old one opens nothing from now on, but for a minute where it was just used.

    A key that is revoked or has expired is a Conflict: no secret would make it open anything. Of two rotations at once
    the later write counts, as if they had come one after the other. A key that is revoked meanwhile stays so, since the
    store puts no key in force over a revoked one.
    """
    fresh = secret or secrets.token_hex(_SECRET_BYTES)

    def use_case() -> Issued:
        key = load(project_id, key_id)
        if key.revoked_at is not None:
            raise Conflict("the key is revoked; make a new one")
        if key.expires_at is not None and key.expires_at <= now:
            raise Conflict("the key has expired; make a new one")
        return _put(key, fresh)

    return judged_anew(use_case)


def revoke(project_id: str, key_id: str, *, now: datetime) -> ApiKey:
    """End a key; one that is revoked already stays as it is."""

    def use_case() -> ApiKey:
        key = load(project_id, key_id)
        if key.revoked_at is not None:
            return key
        revoked = replace(key, revoked_at=now)
        store.put(revoked)
        return revoked

    revoked = judged_anew(use_case)
    authentication.forget(key_id)
    return revoked


def load(project_id: str, key_id: str) -> ApiKey:
    """Return a project's key, or refuse it as NotFound."""
    key = store.load(key_id)
    if key is None or key.project_id != project_id:
        raise NotFound("API key not found")
    return key


def project_of(key_id: str) -> str:
    """Return the id of the project that a key is of, or refuse the key as NotFound: for those who run the stack."""
    key = store.load(key_id)
    if key is None:
        raise NotFound("API key not found")
    return key.project_id


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[ApiKey]:
    """Return a project's keys, the newest first."""
    return store.page(project_id, cursor=cursor, limit=limit)


def _key(
    project_id: str,
    key_id: str,
    scopes: frozenset[Scope],
    *,
    name: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> ApiKey:
    if not 0 < len(name.strip()) <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Invalid(f"a key's name is 1 to {_LONGEST_NAME} characters on one line", field="name")
    return ApiKey(
        id=key_id,
        project_id=project_id,
        name=name,
        scopes=scopes,
        digest="",
        created_at=now,
        expires_at=expires_at,
    )


def _put(key: ApiKey, secret: str) -> Issued:
    hashed = replace(key, digest=digest_of(secret, pepper=settings.current().key_pepper))
    store.put(hashed)
    authentication.forget(key.id)
    return Issued(key=hashed, text=f"ask_{key.id}_{secret}")


def _known(words: Iterable[str]) -> frozenset[Scope]:
    try:
        known = scopes_of(words)
    except ValueError as error:
        raise Invalid(f"no such scope: {error}", field="scopes") from error
    if not known:
        raise Invalid("a key needs a scope", field="scopes")
    return known
