"""The text of templates: where ``{{ … }}`` are in a string, and an expression put so that JMESPath reads it."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

#: The longest expression, in characters.
LONGEST_EXPRESSION = 4096

_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_LITERAL = r"`(?:\\.|[^`\\])*`"
#: What matters when looking for the end of a template: braces, but not those within quotes.
_HOLE_TOKEN = re.compile(rf"(?P<quoted>{_QUOTED}|{_LITERAL})|(?P<brace>[{{}}])|(?P<loose>['\"`])", re.DOTALL)
_EXPRESSION_TOKEN = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?P<literal>{_LITERAL})|(?P<word>[\w-]+)|(?P<loose>['\"`])",
    re.DOTALL,
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"-?[0-9]+")
_FRACTION = re.compile(r"\.[0-9]+(?![\w-])")


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A template in a string."""

    #: What stands between the braces, stripped.
    expression: str


@dataclass(frozen=True, kw_only=True)
class Readable:
    """An expression as JMESPath reads it."""

    text: str
    #: Where each stretch begins in ``text``.
    starts: tuple[int, ...]
    #: Where the same stretch begins in what was written.
    origins: tuple[int, ...]

    def origin(self, position: int) -> int:
        """Return the place in what was written of a place in ``text``."""
        at = bisect_right(self.starts, position) - 1
        return self.origins[at] + (position - self.starts[at])


def is_identifier(name: str) -> bool:
    """Whether JMESPath takes the name for an identifier as it stands, without quotes."""
    return _IDENTIFIER.fullmatch(name) is not None


def as_template(text: str) -> str:
    """Return a template that comes to the text as it stands, whatever braces are in it."""
    return text.replace("{{", "{{ '{{' }}")


def split(text: str) -> Iterator[str | Hole]:
    """Yield the stretches of plain text and the templates of a string in their order.

    A template that is not closed, or is too long, is a ``ValueError`` whose message is for people.
    """
    at = 0
    while (opened := text.find("{{", at)) >= 0:
        if opened > at:
            yield text[at:opened]
        # Only so much is looked at, so that the work grows with the text and not with its square.
        window = text[opened + 2 : opened + 2 + LONGEST_EXPRESSION + 2]
        length = _hole_length(window)
        yield Hole(expression=window[:length].strip())
        at = opened + 2 + length + 2
    if at < len(text):
        yield text[at:]


def readable(expression: str) -> Readable:
    """Return an expression with what JMESPath cannot read put so that it can.

    Words that it has no token for (``fetch-order``, ``3f2a``, the 1 of ``steps.1.output``) are quoted: nowhere does it
    allow them, so nothing changes its meaning. A literal that is not JSON becomes the text it has always stood for.
    A quote that is not closed is a ``ValueError`` whose message is for people.
    """
    pieces: list[str] = []
    starts, origins = [0], [0]
    length = done = 0

    def take(piece: str, origin: int) -> None:
        nonlocal length
        starts.append(length)
        origins.append(origin)
        pieces.append(piece)
        length += len(piece)

    at = 0
    while (token := _EXPRESSION_TOKEN.search(expression, at)) is not None:
        at = token.end()
        if token.lastgroup == "loose":
            raise ValueError(_unclosed(token.group()))
        if token.lastgroup == "literal":
            changed = _literal(token.group())
        elif token.lastgroup == "word" and _NUMBER.fullmatch(token.group()):
            if expression[token.start() - 1 : token.start()] != "." and (fraction := _FRACTION.match(expression, at)):
                at = fraction.end()
                continue
            changed = _numbered(token.group(), before=expression[: token.start()], after=expression[at:])
        elif token.lastgroup == "word":
            changed = _word(token.group())
        else:
            continue
        if changed != token.group():
            take(expression[done : token.start()], done)
            take(changed, token.start())
            done = at
    take(expression[done:], done)
    return Readable(text="".join(pieces), starts=tuple(starts), origins=tuple(origins))


def _hole_length(window: str) -> int:
    depth = 0
    for token in _HOLE_TOKEN.finditer(window):
        if token.lastgroup == "loose":
            raise ValueError(_unclosed(token.group()))
        if token.group() == "{":
            depth += 1
        elif token.group() == "}" and depth:
            depth -= 1
        elif token.group() == "}" and window.startswith("}}", token.start()):
            return token.start()
    if len(window) > LONGEST_EXPRESSION:
        raise ValueError(f"the template is longer than {LONGEST_EXPRESSION} characters, or its }}}} is missing")
    raise ValueError("the template is not closed: }} is missing (two braces as plain text are written {{ '{{' }})")


def _unclosed(quote: str) -> str:
    return f"a {quote} is not closed"


def _word(word: str) -> str:
    known = word.startswith("-") or is_identifier(word)
    return word if known else f'"{word}"'


def _numbered(word: str, *, before: str, after: str) -> str:
    """Quote a number that is a name, as in ``steps.1.output``: beside a dot JMESPath allows none."""
    return f'"{word}"' if before.endswith(".") or after.startswith(".") else word


def _literal(token: str) -> str:
    text = token[1:-1].replace("\\`", "`")
    try:
        json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("a literal is nested too deeply") from None
    except ValueError:
        # `running` for "running": deprecated by JMESPath, and everywhere in what people copy.
        return _text_literal(text.lstrip(), otherwise=token)
    return token


def _text_literal(text: str, *, otherwise: str) -> str:
    try:
        meant = json.dumps(json.loads('"' + text + '"'))
    except ValueError:
        return otherwise
    return "`" + meant.replace("`", "\\`") + "`"


def _no_constant(name: str) -> None:
    raise ValueError(name)
