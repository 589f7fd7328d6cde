"""What is wrong with a graph, collected rather than raised, so that its author sees all of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.domain.references import Found, below
from chalicelib.domain.refusal import Detail
from chalicelib.domain.value import Json

_LONGEST_SHOWN = 60
_LONGEST_PATH = 300


@dataclass(frozen=True, kw_only=True)
class Place:
    """Somewhere in the caller's input, where a problem can be noted."""

    #: Dotted, as in ``nodes.2.data.url``.
    path: str = ""
    #: The graph node that the place belongs to, if any.
    node_id: str | None = None
    #: All problems of the graph, shared by all places in it.
    details: list[Detail] = field(default_factory=list)

    def at(self, name: str | int) -> Place:
        """Return the place of a part of what is here."""
        return replace(self, path=below(self.path, name))

    def of(self, node_id: str) -> Place:
        """Return the same place, as belonging to a node."""
        return replace(self, node_id=node_id)

    def refuse(self, message: str) -> None:
        """Note a problem here."""
        node_id = None if self.node_id is None else _printable(self.node_id)
        path = _cut(_printable(self.path), _LONGEST_PATH)
        self.details.append(Detail(path=path, message=_printable(message), node_id=node_id))

    def refuse_unreadable(self, found: Found) -> None:
        """Note the templates that cannot be read; their paths are whole ones."""
        for problem in found.unreadable:
            replace(self, path=problem.path).refuse(problem.message)

    def refuse_unknown(self, given: object, *, known: tuple[str, ...], ignored: tuple[str, ...] = ()) -> None:
        """Note the fields of an object that there are not."""
        for name in given if isinstance(given, dict) else ():
            if name not in known and name not in ignored:
                rule = f"the fields here are {', '.join(known)}" if known else "there are no fields here"
                self.at(name).refuse(f"there is no field {shown(name)}; {rule}")


def shown(value: Json) -> str:
    """Return a value as a message shows it: text in quotes and cut short, of all else the kind."""
    match value:
        case str():
            return _cut(f'"{value}"', _LONGEST_SHOWN)
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "an object" if isinstance(value, Mapping) else "a list"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _printable(text: str) -> str:
    """Return text that can be sent: JSON may hold halves of characters, UTF-8 may not."""
    return text.encode("utf-8", "replace").decode()
