"""Which names templates refer to, read from their expressions without evaluating them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from chalicelib.domain.template import Expression, TemplateError, condition, templates
from chalicelib.domain.template_tree import Node, children
from chalicelib.domain.value import Json

#: The root name whose fields are steps.
STEPS = "steps"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A name that an expression takes from its context."""

    #: The name itself: ``payload``, a step's ref, ``steps``.
    root: str
    #: The step that follows ``steps.``; none where ``steps`` is used whole, or the root is another name.
    step: str | None = None
    #: The expression, as it was written.
    expression: str
    #: Where in the value, dotted: ``headers.x``; empty for the value itself.
    path: str


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A template that cannot be read."""

    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the templates of a value refer to, and which of them cannot be read."""

    references: tuple[Reference, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __add__(self, other: Found) -> Found:
        return Found(
            references=self.references + other.references,
            unreadable=self.unreadable + other.unreadable,
        )


def references(value: Json, *, path: str = "") -> Found:
    """Return what the templates in a value refer to, however deep they are; paths begin with ``path``."""
    texts = ((where, text) for where, text in _texts(value, path) if "{{" in text)
    return _found(texts, lambda text: (part for part in templates(text) if isinstance(part, Expression)))


def references_of_condition(text: str, *, path: str = "") -> Found:
    """Return what an expression written without braces, or as one template, refers to."""
    return _found([(path, text)], lambda text: (condition(text),))


def below(path: str, name: str | int) -> str:
    """Return the path of a part of what is at ``path``; a name without a character is shown as two quotes."""
    part = str(name) or '""'
    return f"{path}.{part}" if path else part


def _texts(value: Json, path: str) -> Iterator[tuple[str, str]]:
    left: list[tuple[str, Json]] = [(path, value)]
    while left:
        where, found = left.pop()
        if isinstance(found, str):
            yield where, found
        elif isinstance(found, Mapping):
            left.extend((below(where, key), inner) for key, inner in reversed(tuple(found.items())))
        elif isinstance(found, Sequence):
            left.extend((below(where, at), found[at]) for at in reversed(range(len(found))))


def _found(texts: Iterable[tuple[str, str]], expressions: Callable[[str], Iterable[Expression]]) -> Found:
    # A dict keeps the order and drops what is said twice.
    named: dict[Reference, None] = {}
    unreadable: list[Unreadable] = []
    for path, text in texts:
        try:
            compiled = tuple(expressions(text))
        except TemplateError as error:
            unreadable.append(Unreadable(path=path, message=str(error)))
            continue
        for expression in compiled:
            for root, step in _Walk().names(expression.tree):
                named[Reference(root=root, step=step, expression=expression.text, path=path)] = None
    return Found(references=tuple(named), unreadable=tuple(unreadable))


class _Sees(Enum):
    """What the names in a part of an expression are looked up in."""

    ROOT = auto()
    STEPS = auto()
    #: An element of a list, or a value: its fields are no names of the context.
    VALUE = auto()


class _Walk:
    """One walk over an expression's tree: what each part sees, what it gives, and the names met on the way."""

    def __init__(self) -> None:
        self._names: list[tuple[str, str | None]] = []

    def names(self, tree: Node) -> Sequence[tuple[str, str | None]]:
        self._use(self._gives(tree, _Sees.ROOT))
        return self._names

    def _gives(self, node: Node, sees: _Sees) -> _Sees:
        inner = children(node)
        match node["type"]:
            case "field":
                return self._field(str(node.get("value")), sees)
            case "current" | "identity":
                return sees
            case "subexpression" | "pipe" | "index_expression":
                for child in inner:
                    sees = self._gives(child, sees)
                return sees
            case "projection" | "value_projection" | "filter_projection":
                self._use(self._gives(inner[0], sees))
                for child in inner[1:]:
                    self._use(self._gives(child, _Sees.VALUE))
            case "expref":
                self._use(self._gives(inner[0], _Sees.VALUE))
            case _:
                for child in inner:
                    self._use(self._gives(child, sees))
        return _Sees.VALUE

    def _field(self, name: str, sees: _Sees) -> _Sees:
        if sees is _Sees.ROOT and name == STEPS:
            return _Sees.STEPS
        if sees is _Sees.ROOT:
            self._names.append((name, None))
        elif sees is _Sees.STEPS:
            self._names.append((STEPS, name))
        return _Sees.VALUE

    def _use(self, given: _Sees) -> None:
        """Note that ``steps`` is used whole: it was given, and no name followed."""
        if given is _Sees.STEPS:
            self._names.append((STEPS, None))
