r"""Regular expressions that are searched for in time that grows with the text, whatever the expression.

Python's own may take for ever: ``(a+)+$`` tries every way to part a row of a's. These are RE2's, in RE2's syntax
(https://github.com/google/re2/wiki/Syntax): it neither looks ahead or behind nor refers to groups, ``$`` is the very
end, and ``\d``, ``\w`` and ``\b`` are ASCII's. Only this module knows the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LONGEST_PATTERN = 200
#: What a pattern and all that is kept while it is searched for may take. The library keeps 128 patterns, so 128 MB.
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression that has been read."""

    text: str
    _search: Callable[[bytes], object | None]

    def is_in(self, text: str) -> bool:
        """Return whether any part of a text matches; half a surrogate pair in it counts as a question mark."""
        return self._search(text.encode(errors="replace")) is not None


def read_pattern(text: str) -> Pattern:
    """Return the pattern that a text stands for; a ``ValueError`` whose message is for people if it is none."""
    import re2  # noqa: PLC0415 - 7 ms of a cold start, for the few workflows that have such a condition

    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"a regex may be {LONGEST_PATTERN} characters long at most")
    options = re2.Options()
    options.max_mem = _MOST_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        found = re2.compile(text, options)
    except UnicodeEncodeError:
        raise ValueError("the regex cannot be read: it has half a surrogate pair in it") from None
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise ValueError(f"the regex cannot be read: {reason} (its syntax is RE2's)") from None
    return Pattern(text=text, _search=found.search)
