"""An object whose values are fetched when something reads them, for the contexts of templates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from chalicelib.domain.value import Json

#: How deep a result may nest.
DEEPEST_RESULT = 200
#: How many values a result may hold. Each takes two characters of JSON or more, and no step's output may be over 1 MB.
MOST_VALUES = 600_000


class LazyMapping(Mapping[str, Json]):
    """An object of known names; each value is fetched once, the first time that it is read."""

    def __init__(self, names: Iterable[str], fetch: Callable[[str], Json]) -> None:
        self._names = dict.fromkeys(names)
        self._fetch = fetch
        self._fetched: dict[str, Json] = {}

    def __getitem__(self, name: str) -> Json:
        if name not in self._fetched:
            if name not in self._names:
                raise KeyError(name)
            self._fetched[name] = self._fetch(name)
        return self._fetched[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __eq__(self, other: object) -> bool:
        # Conditions compare with {}: that must fetch nothing.
        if isinstance(other, Mapping) and len(other) != len(self):
            return False
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def outline(self) -> dict[str, Json]:
        """Return an object of the same names without the values; nothing is fetched."""
        return dict.fromkeys(self._names)


def settled(value: object) -> Json:
    """Return a value with every lazy object in it made plain.

    What is not JSON, not finite, too deep or too large is a ``ValueError`` whose message is for people.
    """
    return _Settling().settle(value, depth=0)


class _Settling:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def settle(self, value: object, *, depth: int) -> Json:
        self._left -= 1
        if self._left < 0:
            raise ValueError("the value is too large")
        if depth > DEEPEST_RESULT:
            raise ValueError("the value is nested too deeply")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("the value is not a finite number")
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, Mapping):
            return {key: self.settle(inner, depth=depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.settle(inner, depth=depth + 1) for inner in value]
        raise ValueError("this is no value by itself; name a part of it")
