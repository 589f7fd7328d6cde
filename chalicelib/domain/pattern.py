"""Regular expressions that are searched for in time that grows with the text, whatever the expression.

Python's own may take for ever: ``(a+)+$`` tries every way to part a row of a's. So an expression is made into states,
and a text is read once with all states that it may have led to. What this cannot say (references to groups, looking
ahead or behind) is refused. Single characters and classes of them mean what Python's mean; ``$`` is the very end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

LONGEST_PATTERN = 200
#: How many states a pattern may have; ``x{1,200}`` has 400.
MOST_STATES = 600
_MOST_BUILT = 5000
#: How much of what was worked out for one character is kept for the next that is like it.
_MOST_KEPT = 2000

_IGNORE_CASE = "(?i)"
_TOKEN = re.compile(
    r"""
    (?P<open>\((?:\?:|\?P<[^>]*>)?)
    |(?P<close>\))
    |(?P<or>\|)
    |(?P<repeat>[*+?]|\{(?:\d+(?:,\d*)?|,\d*)\})(?P<how>[?+]?)
    |(?P<place>\\[AbBZ]|[\^$])
    |(?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<group>\\[0-9])
    |(?P<character>\\(?:x.{2}|u.{4}|U.{8}|.)|.)
    """,
    re.DOTALL | re.VERBOSE,
)
#: What Python warns of in a class, since it may come to mean something else.
_AMBIGUOUS = re.compile(r"\[|--|&&|~~|\|\|")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_KINDS = ("open", "close", "or", "repeat", "place", "class", "group", "character")
_WORD = re.compile(r"\w")
#: The state in which all has matched.
_END = 0
#: How often the shorter forms repeat what is before them, at least and at most.
_REPEATS: Mapping[str, tuple[int, int | None]] = MappingProxyType({"*": (0, None), "+": (1, None), "?": (0, 1)})


def _is_border(before: str, after: str) -> bool:
    return bool(_WORD.match(before)) is not bool(_WORD.match(after))


#: Whether one is at a place, by the characters before and after it; empty at the ends of the text.
_PLACES: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {
        "^": lambda before, after: not before,  # noqa: ARG005 - has the signature of every place
        "\\A": lambda before, after: not before,  # noqa: ARG005 - the same
        "$": lambda before, after: not after,  # noqa: ARG005 - the same
        "\\Z": lambda before, after: not after,  # noqa: ARG005 - the same
        "\\b": _is_border,
        "\\B": lambda before, after: not _is_border(before, after),
    },
)


@dataclass(frozen=True, kw_only=True)
class _State:
    """What a text must go on with here, if anything, and where it leads."""

    character: re.Pattern[str] | None = None
    place: str | None = None
    leads_to: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression that has been read."""

    text: str
    states: tuple[_State, ...]
    start: int
    #: Whether it asks for more of a place than the character there.
    looks_about: bool

    def is_in(self, text: str) -> bool:
        """Return whether any part of a text matches."""
        kept: dict[tuple[frozenset[int], str, str], frozenset[int]] = {}
        led_to: frozenset[int] = frozenset()
        for at in range(len(text) + 1):
            before = text[at - 1 : at] if at and self.looks_about else ""
            here = (led_to, before, text[at : at + 1])
            if here not in kept:
                if len(kept) >= _MOST_KEPT:
                    kept.clear()
                kept[here] = self._after(*here)
            led_to = kept[here]
            if _END in led_to:
                return True
        return False

    def _after(self, led_to: Iterable[int], before: str, character: str) -> frozenset[int]:
        """Return where a character leads from some states and from the start; the end, if a match ends before it."""
        left, seen, found = [*led_to, self.start], set[int](), set[int]()
        while left:
            at = left.pop()
            if at in seen:
                continue
            seen.add(at)
            state = self.states[at]
            if at == _END:
                return frozenset((_END,))
            if state.character is not None:
                if character and state.character.fullmatch(character):
                    found.update(state.leads_to)
            elif state.place is None or _PLACES[state.place](before, character):
                left.extend(state.leads_to)
        return frozenset(found)


def read_pattern(text: str) -> Pattern:
    """Return the pattern that a text stands for; a ``ValueError`` whose message is for people if it is none."""
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"a regex may be {LONGEST_PATTERN} characters long at most")
    flags = re.IGNORECASE if text.startswith(_IGNORE_CASE) else re.NOFLAG
    body = text.removeprefix(_IGNORE_CASE)
    tokens = [_checked(token) for token in _TOKEN.finditer(body)]
    try:
        re.compile(body)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the regex cannot be read: {error}") from None
    states = _States()
    start = _Parser(tokens, flags).choice()(states, _END)
    return Pattern(
        text=text,
        states=tuple(states.all),
        start=start,
        looks_about=any(state.place for state in states.all),
    )


class _States:
    """The states of a pattern while it is read."""

    def __init__(self) -> None:
        self.all = [_State()]
        self._built = 0

    def add(self, state: _State) -> int:
        self.all.append(state)
        if len(self.all) > MOST_STATES:
            raise ValueError("the regex repeats too much")
        return len(self.all) - 1

    def count(self) -> None:
        """Count something put together; what is repeated may be empty, and repeated ever so often all the same."""
        self._built += 1
        if self._built > _MOST_BUILT:
            raise ValueError("the regex repeats too much")


#: Puts an expression's states before a state, and returns the one that the expression begins with.
_Build: TypeAlias = Callable[[_States, int], int]


class _Parser:
    """Reads an expression that Python could read, and that holds nothing which is refused."""

    def __init__(self, tokens: Sequence[re.Match[str]], flags: re.RegexFlag) -> None:
        self._tokens = tokens
        self._flags = flags
        self._at = 0

    def choice(self) -> _Build:
        ways = [self._sequence()]
        while self._kind() == "or":
            self._at += 1
            ways.append(self._sequence())

        def build(states: _States, then: int) -> int:
            if len(ways) == 1:
                return ways[0](states, then)
            return states.add(_State(leads_to=tuple(way(states, then) for way in ways)))

        return build

    def _sequence(self) -> _Build:
        parts: list[_Build] = []
        while self._kind() not in {None, "or", "close"}:
            part = self._part()
            if self._kind() == "repeat":
                part = _repeated(part, self._taken()["repeat"])
            parts.append(part)

        def build(states: _States, then: int) -> int:
            states.count()
            for part in reversed(parts):
                then = part(states, then)
            return then

        return build

    def _part(self) -> _Build:
        token = self._taken()
        if _kind(token) == "open":
            inner = self.choice()
            self._at += 1
            return inner
        if _kind(token) == "place":
            state = _State(place=token.group())
        else:
            state = _State(character=re.compile(token.group(), self._flags))
        return lambda states, then: states.add(replace(state, leads_to=(then,)))

    def _kind(self) -> str | None:
        return _kind(self._tokens[self._at]) if self._at < len(self._tokens) else None

    def _taken(self) -> re.Match[str]:
        self._at += 1
        return self._tokens[self._at - 1]


def _repeated(inner: _Build, how_often: str) -> _Build:
    least, most = _REPEATS.get(how_often) or _counts(how_often)

    def build(states: _States, then: int) -> int:
        start, before = then, least
        if most is None:
            loop = states.add(_State())
            body = inner(states, loop)
            states.all[loop] = _State(leads_to=(body, then))
            # The last of those that there must be is the loop's own.
            start, before = (body, least - 1) if least else (loop, 0)
        for _ in range((most or least) - least):
            start = states.add(_State(leads_to=(inner(states, start), then)))
        for _ in range(before):
            start = inner(states, start)
        return start

    return build


def _counts(braces: str) -> tuple[int, int | None]:
    least, comma, most = braces[1:-1].partition(",")
    if not comma:
        return int(least), int(least)
    return int(least or 0), int(most) if most else None


def _kind(token: re.Match[str]) -> str:
    return next(name for name in _KINDS if token[name] is not None)


def _checked(token: re.Match[str]) -> re.Match[str]:
    """Return a token, or raise a ``ValueError`` for what no state can say."""
    if token["how"] == "+":
        raise ValueError("a regex here has no possessive repetition, as in a*+")
    if token["group"]:
        raise ValueError("a regex here cannot refer to its groups, as in \\1")
    if token["open"] and token.string.startswith("?", token.end()):
        raise ValueError("of (?…) a regex here has (?:…), (?P<name>…), and (?i) at its very beginning")
    if token["character"] == "[":
        raise ValueError("the regex cannot be read: a [ is not closed")
    if token["class"] and _AMBIGUOUS.search(_ESCAPED.sub("x", token["class"]), 1):
        raise ValueError("in a class of characters, write \\[ for [, and no --, &&, ~~ or ||")
    return token
