"""What a person gave a target of the Makefile: `NAME=value`, as make hands it on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from infra.trouble import Trouble

#: What make itself is given, and is no tool's business.
_MAKES_OWN: Final = frozenset({"PYTHON"})


def read(arguments: Sequence[str], *, known: Collection[str]) -> Mapping[str, str]:
    """Return what was given, by name; Trouble for a name that is none of the known, so that no misspelt one is lost."""
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in _MAKES_OWN:
            continue
        if not equals or name not in known:
            raise Trouble(f"there is no {name}=: it takes {', '.join(known)}")
        given[name] = value
    return given
