"""Pages of a list, and the opaque cursor between one page and the next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from chalicelib.domain.refusal import Invalid
from chalicelib.store import keys, times
from chalicelib.store.keys import Key
from chalicelib.store.table import ByProject, Raw, query

_Listed = TypeVar("_Listed")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[_Listed]):
    """A part of a list."""

    items: tuple[_Listed, ...]
    #: What to ask for the next part with; none on the last.
    cursor: str | None


class Place(NamedTuple):
    """A place in a list."""

    #: ``<time>#<id>``.
    position: str
    #: Where the item lies that stands there.
    key: Key


def encoded(position: str) -> str:
    """Return the cursor for a place in a list."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decoded(cursor: str) -> str:
    """Return the place in a list that a cursor stands for, ``<time>#<id>``; one that is none of ours is Invalid."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        time, _, id_ = text.partition("#")
        return keys.position(times.time_of(time), id_)
    except (ValueError, binascii.Error) as error:
        message = "cursor is not one that this list returned"
        raise Invalid(message, field="cursor") from error


def decoded_number(cursor: str) -> int:
    """Return the number that stands for an id in a cursor; a cursor that is none of ours is Invalid."""
    number = keys.member_of(decoded(cursor))
    if not number.isascii() or not number.isdigit():
        message = "cursor is not one that this list returned"
        raise Invalid(message, field="cursor")
    return int(number)


def listed(
    project_id: str,
    prefix: str,
    cursor: str | None,
    limit: int,
    load: Callable[[Sequence[str]], Iterator[_Listed]],
) -> Page[_Listed]:
    """Return a page of one of a project's lists, newest first; ``load`` is given places, ``<time>#<id>``."""
    before = decoded(cursor) if cursor is not None else None
    found = positions(ByProject.Meta.index_name, project_id, prefix, before, limit + 1)
    return page_of(list(found), limit, load)


def positions(index: str, owner: str, prefix: str, before: str | None, limit: int) -> Iterator[str]:
    """Yield at most ``limit`` places of a list, ``<time>#<id>``, from the newest, or from the one before a place."""
    return (place.position for place in places(index, owner, prefix, before, limit))


def places(index: str, owner: str, prefix: str, before: str | None, limit: int) -> Iterator[Place]:
    """Yield what ``positions`` does, each with where the item lies."""
    # The place itself is read too and dropped: DynamoDB's BETWEEN includes its ends.
    end = keys.after_all(prefix) if before is None else prefix + before
    extra = before is not None
    sort = ByProject.list_key.between(prefix, end)
    for raw in query(owner, sort, index=index, descending=True, limit=limit + extra):
        place = _place(raw, prefix)
        if place.position != before:
            yield place


def places_after(project_id: str, prefix: str, after: str, last: str, limit: int) -> Iterator[Place]:
    """Yield at most ``limit`` places of one of a project's lists, the oldest first, between two bounds without them."""
    if last < after:
        # DynamoDB refuses to look between bounds that are the wrong way round.
        return
    sort = ByProject.list_key.between(prefix + after, prefix + last)
    for raw in query(project_id, sort, index=ByProject.Meta.index_name, limit=limit + 1):
        place = _place(raw, prefix)
        if place.position != after:
            yield place


def page_of(
    positions: Sequence[str],
    limit: int,
    load: Callable[[Sequence[str]], Iterator[_Listed]],
) -> Page[_Listed]:
    """Return the page of what stands at the first ``limit`` places, with a cursor if there are more."""
    wanted = positions[:limit]
    more = len(positions) > limit
    return Page(items=tuple(load(wanted)), cursor=encoded(wanted[-1]) if more else None)


def _place(raw: Raw, prefix: str) -> Place:
    return Place(raw["list_key"]["S"].removeprefix(prefix), Key(raw["pk"]["S"], raw["sk"]["S"]))
