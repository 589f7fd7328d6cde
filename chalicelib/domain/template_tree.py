"""The tree of a parsed expression: walking it, and the bounds that keep its evaluation cheap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from chalicelib.domain.value import Json

#: How deep an expression and the literals in it may nest.
DEEPEST = 100
#: How many times over an expression may repeat what it is given: ``[@, @]`` twice, ``[@, @] | [@, @]`` four times.
MOST_REPEATS = 10_000

#: Nodes that look into what their first child gives.
_REACHING = frozenset({"subexpression", "value_projection", "projection", "filter_projection", "flatten"})


class Node(TypedDict):
    """A node of an expression's tree, as JMESPath builds it."""

    type: str
    children: Sequence[Node]
    value: NotRequired[Json]


def nodes(tree: Node) -> Iterator[tuple[Node, int]]:
    """Yield every node of a tree with its depth; the tree may be deeper than Python recurses."""
    left = [(tree, 1)]
    while left:
        node, depth = left.pop()
        yield node, depth
        left.extend((child, depth + 1) for child in children(node))


def children(node: Node) -> Sequence[Node]:
    """Return a node's children; a slice's are numbers, and it has none."""
    return () if node["type"] == "slice" else node["children"]


def check_bounds(met: Iterable[tuple[Node, int]], tree: Node) -> None:
    """Raise a ``ValueError`` with a message for people if evaluating the tree, whose nodes are ``met``, costs much."""
    for node, depth in met:
        if depth > DEEPEST or (node["type"] == "literal" and too_deep(node.get("value"), deepest=DEEPEST)):
            raise ValueError("the expression is nested too deeply")
    if _repeats(tree) > MOST_REPEATS:
        raise ValueError("the expression repeats its input too often")


def check_sense(met: Iterable[tuple[Node, int]]) -> None:
    """Raise a ``ValueError`` for ``!a.b``: JMESPath reads it as the field ``b`` of ``!a``, which is always null."""
    for node, _ in met:
        inner = children(node)
        if node["type"] in _REACHING and inner and inner[0]["type"] == "not_expression":
            raise ValueError("! takes only the first name after it; put the rest in brackets, as in !(a.b)")


def too_deep(value: Json, *, deepest: int) -> bool:
    """Whether a value nests deeper than so many lists and objects; it may be deeper than Python recurses."""
    level: list[Json] = [value]
    for _ in range(deepest + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Json) -> Sequence[Json]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _repeats(node: Node) -> int:
    """Return an upper bound of how many copies of its input a node's result can hold."""
    inner = [_repeats(child) for child in children(node)]
    match node["type"]:
        case "subexpression" | "pipe" | "index_expression" | "projection" | "value_projection" | "filter_projection":
            return math.prod(inner)
        case "multi_select_list" | "multi_select_dict":
            return sum(inner)
        case "function_expression":
            # map(&[@, @], list): what the expression repeats, for each element of the list.
            by_type = list(zip(children(node), inner, strict=True))
            per_element = math.prod(count for child, count in by_type if child["type"] == "expref")
            return max(1, per_element * sum(count for child, count in by_type if child["type"] != "expref"))
        case _:
            return max(inner, default=1)
