"""API keys, without their secrets."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Self

from pynamodb.expressions.condition import And, Condition

from chalicelib.domain.access import ApiKey, Scope
from chalicelib.domain.value import dumps
from chalicelib.store import keys, transactions
from chalicelib.store.errors import Superseded
from chalicelib.store.paging import Page, listed
from chalicelib.store.table import Item, MaybeTime, Text, Time, find, get_many, none_if_impossible


class ApiKeyItem(Item):
    """An API key."""

    project_id = Text()
    list_key = Text()
    name = Text()
    scopes = Text()
    digest = Text()
    created_at = Time()
    expires_at = MaybeTime()
    last_used_at = MaybeTime()
    revoked_at = MaybeTime()

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Return the item of a key."""
        return cls(
            *keys.api_key(key.id),
            project_id=key.project_id,
            list_key=keys.listed_api_key(key.created_at, key.id),
            name=key.name,
            scopes=dumps(sorted(key.scopes)),
            digest=key.digest,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )

    def api_key(self) -> ApiKey:
        """Return the key."""
        return ApiKey(
            id=keys.id_of(self.pk),
            project_id=self.project_id,
            name=self.name,
            scopes=frozenset(Scope(scope) for scope in json.loads(self.scopes)),
            digest=self.digest,
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
            revoked_at=self.revoked_at,
        )


def put(key: ApiKey) -> None:
    """Write a key, over the one of that id; Superseded if that is another project's, or revoked and this one is not.

    So a key that is revoked while it is rotated stays revoked, whichever is written last.
    """
    theirs: Condition = ApiKeyItem.project_id == key.project_id
    if key.revoked_at is None:
        theirs = And(theirs, ApiKeyItem.revoked_at.does_not_exist())
    transactions.make(transactions.put(ApiKeyItem.of(key), ApiKeyItem.pk.does_not_exist() | theirs))


@none_if_impossible
def load(key_id: str) -> ApiKey | None:
    """Return the key, revoked and expired ones too."""
    item = find(ApiKeyItem, keys.api_key(key_id))
    return item.api_key() if item else None


def touch(key_id: str, *, now: datetime) -> None:
    """Note when a key was last used; whoever writes later is right enough. Nothing if it is gone."""
    used = ApiKeyItem.last_used_at.set(now)
    write = transactions.update(ApiKeyItem, keys.api_key(key_id), [used], ApiKeyItem.pk.exists())
    with contextlib.suppress(Superseded):
        transactions.make(write)


def page(project_id: str, *, cursor: str | None, limit: int) -> Page[ApiKey]:
    """Return a project's keys, newest first, revoked and expired ones too; a cursor that is none of ours is Invalid."""
    return listed(project_id, keys.LISTED_API_KEYS, cursor, limit, _keys)


def _keys(positions: Sequence[str]) -> Iterator[ApiKey]:
    wanted = [keys.api_key(keys.member_of(position)) for position in positions]
    raws = get_many(wanted)
    return (ApiKeyItem.from_raw_data(raws[key]).api_key() for key in wanted if key in raws)
