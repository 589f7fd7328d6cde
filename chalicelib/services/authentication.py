"""Who calls: from an Authorization header to a key in force. A good key is kept for a minute, a bad one never.

So a revoked or rotated key may work for a minute more in a process that has just seen it, and a new one works at once.
"""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib import logs, settings
from chalicelib.domain.access import ApiKey, digest_of
from chalicelib.domain.refusal import KeyMissing, Unauthenticated
from chalicelib.logs import Action
from chalicelib.store import api_keys
from chalicelib.store.errors import StoreError

#: How long a good key is believed without reading it again.
KEPT: Final = timedelta(seconds=60)
#: How exact a key's last-used time is; more exact costs a write a request.
TOUCHED_EVERY: Final = timedelta(hours=1)
_MOST_KEPT: Final = 1000

#: ``ask_<key id>_<secret>``; a secret may hold underscores, a key id may not.
_KEY: Final = re.compile(r"ask_([A-Za-z0-9-]{1,64})_([\x21-\x7e]{1,256})", re.ASCII)
_BEARER: Final = re.compile(r"bearer +(\S+) *", re.ASCII | re.IGNORECASE)

# By key id. Threads may overwrite one another's entry with as good a one; each single step of a dict is atomic.
_good: OrderedDict[str, tuple[ApiKey, datetime]] = OrderedDict()


def split(text: str) -> tuple[str, str] | None:
    """Return the key id and the secret of a key's text; None if it is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def authenticate(authorization: str | None, *, now: datetime) -> ApiKey:
    """Return the key that an Authorization header carries.

    What is wrong with a bad one is not said: whoever guesses learns nothing.
    """
    if not authorization or not authorization.strip():
        raise KeyMissing("Missing API key: send it as 'Authorization: Bearer ask_…'")
    token = bearer(authorization)
    parts = split(token) if token is not None else None
    if parts is None:
        raise _refused(None)
    key_id, secret = parts
    digest = digest_of(secret, pepper=settings.current().key_pepper)
    kept = _good.get(key_id)
    if kept is not None and now - kept[1] < KEPT and kept[0].good(digest=digest, now=now):
        return kept[0]
    return _read(key_id, digest, now)


def bearer(authorization: str) -> str | None:
    """Return the token that an Authorization header carries; None where it is no bearer's."""
    found = _BEARER.fullmatch(authorization.strip())
    return found[1] if found else None


def forget(key_id: str) -> None:
    """Believe a key no longer without reading it."""
    _good.pop(key_id, None)


def reset() -> None:
    """Believe no key any longer without reading it (tests, the local stack)."""
    _good.clear()


def _read(key_id: str, digest: str, now: datetime) -> ApiKey:
    key = api_keys.load(key_id)
    if key is None or not key.good(digest=digest, now=now):
        raise _refused(key)
    key = _touched(key, now)
    _good[key_id] = (key, now)
    with contextlib.suppress(KeyError):  # another thread made room meanwhile
        if len(_good) > _MOST_KEPT:
            _good.popitem(last=False)
    return key


def _refused(key: ApiKey | None) -> Unauthenticated:
    """Return the refusal of a key, and tell of it; its id only if it is one of ours: else it may be anything."""
    logs.tell(Action.KEY_REFUSED, key_id=key.id if key is not None else None)
    return Unauthenticated("Invalid API key")


def _touched(key: ApiKey, now: datetime) -> ApiKey:
    """Note that the key is used, at most once an hour; the request must not fail because this does."""
    if key.last_used_at is not None and now - key.last_used_at < TOUCHED_EVERY:
        return key
    with contextlib.suppress(StoreError):
        api_keys.touch(key.id, now=now)
    return replace(key, last_used_at=now)
