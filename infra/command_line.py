"""What a person gave a target of the Makefile: `NAME=value`, as make hands it on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from infra.trouble import Trouble

#: What make itself is given, and is no tool's business.
_MAKES_OWN: Final = frozenset({"PYTHON"})


#: What an empty value could have been meant to be. Nothing is taken for "not given": a key would be for ever, a plan
#: would be carried out. Without PARAMETERS a stack keeps its own, so that one may be empty.
_EMPTY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "STAGE": "a stage such as dev",
        "PLAN": "1",
        "CONFIRM": "the stage's name",
        "NAME": "the key's name",
        "SCOPES": "what the key may do",
        "EXPIRES": "a day such as 2027-01-01, or 90d",
        "PROJECT": "a project's id",
        "NEW_PROJECT": "the project's name",
        "ROTATE": "a key's id",
        "REVOKE": "a key's id",
        "LIST": "1",
    }
)
_MOST_SHOWN: Final = 100


def read(arguments: Sequence[str], *, known: Collection[str]) -> Mapping[str, str]:
    """Return what was given, by name; Trouble for a name that is none of the known, so that no misspelt one is lost.

    An empty value is Trouble as well, where leaving the name away would be something else than what was meant.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in _MAKES_OWN:
            continue
        if not equals or name not in known:
            raise Trouble(f"there is no {shown(name)}=: it takes {', '.join(known)}")
        if not value.strip() and name in _EMPTY:
            raise Trouble(f"{name}= is empty: leave it away or give {_EMPTY[name]}")
        given[name] = value
    return given


def shown(value: str, most: int = _MOST_SHOWN) -> str:
    """Return a value as an error repeats it: its beginning."""
    return value if len(value) <= most else f"{value[:most]}…"
