"""Load, decide, save; and when somebody else saved in between, load and decide again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.domain.refusal import Conflict
from chalicelib.store.errors import Busy, Superseded

Result = TypeVar("Result")

_TRIES: Final = 5


def judged_anew(use_case: Callable[[], Result]) -> Result:
    """Return what the use case comes to, begun again a few times if what it judged has changed before its write."""
    for _ in range(_TRIES):
        try:
            return use_case()
        except Superseded:
            continue
        except Busy:
            break
    raise Conflict("It is being changed by others at the same time; try again")
