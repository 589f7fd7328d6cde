"""JSON values as the domain sees them, and the handle of one that is too large to lie in a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


@dataclass(frozen=True, kw_only=True)
class Offloaded:
    """A value kept outside its record, under the hash of its content."""

    #: SHA-256 of the JSON text, hexadecimal.
    digest: str
    #: Length of the JSON text in bytes.
    size: int


Value: TypeAlias = "Json | Offloaded"

#: Fetches an offloaded value; called only when something needs it.
Resolve: TypeAlias = Callable[[Offloaded], Json]


def dumps(value: Json) -> str:
    """Return compact JSON text, keys in the order given; NaN and infinities are a ``ValueError``."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def size_of(value: Json) -> int:
    """Return the length in bytes of the value's JSON text in UTF-8."""
    return len(dumps(value).encode())


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON, in which true is not 1 and the order of names does not matter."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def resolved(value: Value, resolve: Resolve) -> Json:
    """Return the value itself, fetching it if it lies outside its record."""
    return resolve(value) if isinstance(value, Offloaded) else value
