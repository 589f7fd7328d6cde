"""API keys: made, shown once, rotated, revoked. Who calls with one is ``authentication``'s business."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib import settings
from chalicelib.domain.access import ApiKey, Scope, digest_of, scopes_of
from chalicelib.domain.refusal import Invalid, NotFound
from chalicelib.services import authentication
from chalicelib.services.judging import judged_anew
from chalicelib.store import api_keys as store
from chalicelib.store.paging import Page

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 8


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
    """Create a key. ``scopes`` are fine scopes or the trigger API's words; an unknown one is Invalid."""
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


def rotate(project_id: str, key_id: str, *, secret: str | None = None) -> Issued:
    """Give a key a new secret; the old one opens nothing from now on, a minute at most where it was just used."""
    fresh = secret or secrets.token_hex(_SECRET_BYTES)

    def use_case() -> Issued:
        return _put(load(project_id, key_id), fresh)

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
        return scopes_of(words)
    except ValueError as error:
        raise Invalid(f"no such scope: {error}", field="scopes") from error
