"""What API Gateway refuses in an API's paths; it says so when a stack is deployed, and only of the first."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

#: The resources that an API may have unless the account's quota was raised: each step of a path is one, and the root.
MOST_RESOURCES: Final = 300
#: As a path's entry in OpenAPI has them.
METHODS: Final = frozenset(
    {"get", "head", "post", "put", "patch", "delete", "options", "x-amazon-apigateway-any-method"}
)
#: API Gateway answers these itself where the API has a domain of its own.
_RESERVED: Final = frozenset({"ping", "sping"})

_WORD: Final = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9._:-]+\+?\}", re.ASCII)

#: A place in the tree of paths: the parts that lead there.
Place = tuple[str, ...]


def faults(paths: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a line for each reason for which API Gateway would refuse these paths with their methods."""
    places = {path: tuple(path[1:].split("/")) if path != "/" else () for path in paths}
    return [
        *(f"{path}: no method {method}" for path, methods in paths.items() for method in {*methods} - METHODS),
        *(fault for path, place in places.items() for fault in _faults_of_one(path, place)),
        *_faults_of_siblings(places.values()),
        *_too_many(resources(paths)),
    ]


def resources(paths: Iterable[str]) -> int:
    """Return how many resources the paths come to."""
    return len(_tree(tuple(path.strip("/").split("/")) for path in paths if path != "/")) + 1


def _tree(places: Iterable[Place]) -> set[Place]:
    return {place[:length] for place in places for length in range(1, len(place) + 1)}


def _faults_of_one(path: str, place: Place) -> Iterator[str]:
    variables = [part.strip("{}+") for part in place if part.startswith("{")]
    if not path.startswith("/"):
        yield f"{path}: does not begin with a slash"
    for part in place:
        if not (_WORD.fullmatch(part) or _VARIABLE.fullmatch(part)):
            yield f"{path}: {part!r} is neither a word nor a variable"
    if len(set(variables)) < len(variables):
        yield f"{path}: names a variable twice"
    if any(part.endswith("+}") for part in place[:-1]):
        yield f"{path}: goes on after a variable that takes all the rest"
    if place[:1] and place[0] in _RESERVED:
        yield f"{path}: /{place[0]} is API Gateway's own"


def _faults_of_siblings(places: Iterable[Place]) -> Iterator[str]:
    siblings: defaultdict[Place, set[str]] = defaultdict(set)
    for place in _tree(places):
        siblings[place[:-1]].add(place[-1])
    for above, parts in sorted(siblings.items()):
        where = "/".join(("", *above, ""))
        variables = sorted(part for part in parts if part.startswith("{"))
        if len(variables) > 1:
            yield f"{where}: {' and '.join(variables)} stand for the same part"
        spellings: defaultdict[str, set[str]] = defaultdict(set)
        for part in parts:
            spellings[part.lower()].add(part)
        # API Gateway would take them, and answer 404 to whoever minds the case less than it does.
        yield from (f"{where}: {' and '.join(sorted(same))}" for same in spellings.values() if len(same) > 1)


def _too_many(count: int) -> Iterator[str]:
    if count > MOST_RESOURCES:
        yield f"{count} resources, where an API may have {MOST_RESOURCES}"
