"""Templates: ``{{ expression }}`` in any string of a step's configuration, the expression in JMESPath.

JMESPath is bounded: it has no loops of its own and calls nothing but its own functions. What is left to bound is
checked when an expression is compiled. Only this module knows the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast

import jmespath
from jmespath.exceptions import (
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter

from chalicelib.domain import template_text
from chalicelib.domain.lazy import LazyMapping, settled
from chalicelib.domain.template_tree import Node, check_bounds, check_sense, nodes
from chalicelib.domain.value import Json, dumps

#: What a text with several templates may come to, in characters.
LONGEST_TEXT = 4_000_000

#: Nodes that hand on parts of what they are given and build nothing, so that their result needs no second look.
_PASSING = frozenset(
    {
        "field",
        "subexpression",
        "index_expression",
        "index",
        "literal",
        "comparator",
        "not_expression",
        "or_expression",
        "and_expression",
        "pipe",
    },
)
_PLAIN = frozenset({str, int, float, bool, dict, list, type(None)})
_FRACTIONAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class TemplateError(Exception):
    """A template cannot be read, or its value cannot be worked out. The message says why; the text says where, too."""

    def __init__(self, message: str, expression: str) -> None:
        super().__init__(f"{message}, in {expression[:200]!r}")
        self.message = message
        self.expression = expression


class Context(Protocol):
    """What templates see: the value of each root name, None for a name that there is not. Any mapping will do."""

    def get(self, name: str, /) -> object:
        """Return the value of a name."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A compiled expression."""

    #: As it was written.
    text: str
    tree: Node = field(repr=False, compare=False)
    #: Whether it only picks from what it is given.
    picks: bool = field(repr=False, compare=False)

    def evaluate(self, context: Context) -> Json:
        """Return the expression's value; a ``TemplateError`` if it has none."""
        try:
            found: object = _INTERPRETER.visit(cast("Any", self.tree), context)
        except JMESPathTypeError as error:
            raise TemplateError(_wrong_type(error), self.text) from error
        except RecursionError as error:
            raise TemplateError("the value is nested too deeply", self.text) from error
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            # JMESPath lets Python's own errors through: "a" < 1, contains('a', `1`), [::0].
            raise TemplateError(f"it cannot be worked out: {_first_line(error)}", self.text) from error
        if self.picks and type(found) in _PLAIN:
            return cast("Json", found)
        try:
            return settled(found)
        except ValueError as error:
            raise TemplateError(str(error), self.text) from error


def render(value: Json, context: Context) -> Json:
    """Return a value with its templates replaced by what they stand for; keys of objects are left as they are.

    A string that is one template becomes that template's value, whatever its type. In a text with more to it strings
    stand as they are, null as nothing, and everything else as compact JSON.
    """
    if isinstance(value, str):
        return _rendered(value, context) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: render(inner, context) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [render(inner, context) for inner in value]
    return value


def evaluate(expression: str, context: Context) -> Json:
    """Return the value of an expression written without braces, or as one template."""
    return condition(expression).evaluate(context)


def truthy(value: Json) -> bool:
    """Whether JMESPath takes a value for true: all but false, null, and empty text, list and object. 0 is true."""
    return not (value is None or value is False or value in ("", [], {}))


def condition(text: str) -> Expression:
    """Return the expression of a text that is one, with or without braces around it."""
    if not text.lstrip().startswith("{{"):
        return compile_expression(text)
    parts = templates(text.strip())
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0]
    raise TemplateError("one expression is wanted here, without text around it", text)


@lru_cache(maxsize=2048)
def templates(text: str) -> tuple[str | Expression, ...]:
    """Return the stretches of plain text and the expressions of a string, in their order."""
    try:
        parts = tuple(template_text.split(text))
    except ValueError as error:
        raise TemplateError(str(error), text) from error
    return tuple(part if isinstance(part, str) else compile_expression(part.expression) for part in parts)


@lru_cache(maxsize=2048)
def compile_expression(text: str) -> Expression:
    """Return an expression ready for evaluation; a ``TemplateError`` says what is wrong with its text, and where."""
    if not text.strip():
        raise TemplateError("the expression is empty", text)
    if len(text) > template_text.LONGEST_EXPRESSION:
        raise TemplateError(f"the expression is longer than {template_text.LONGEST_EXPRESSION} characters", text)
    try:
        readable = template_text.readable(text)
    except ValueError as error:
        raise TemplateError(str(error), text) from error
    tree = _parsed(text, readable)
    met = tuple(nodes(tree))
    try:
        check_bounds(met, tree)
        check_sense(met)
        _check_functions(met)
    except ValueError as error:
        raise TemplateError(str(error), text) from error
    return Expression(text=text, tree=tree, picks=all(node["type"] in _PASSING for node, _ in met))


class _LazyFunctions(Functions):
    """JMESPath's functions, told what a lazy object is: they know types by name."""

    def call_function(self, function_name: str, resolved_args: Iterable[object]) -> object:
        """Call a function by its name; of a lazy object no more is fetched than the function needs."""
        plain = _outlined if function_name in {"keys", "length"} else _settled_lazy
        return super().call_function(function_name, [plain(argument) for argument in resolved_args])


#: It keeps nothing of what it evaluates.
_INTERPRETER = TreeInterpreter(Options(custom_functions=_LazyFunctions()))


def _outlined(argument: object) -> object:
    return argument.outline() if isinstance(argument, LazyMapping) else argument


def _settled_lazy(argument: object) -> object:
    """Return a lazy object as a plain one, and anything else (expressions too) as it is."""
    return settled(argument) if isinstance(argument, LazyMapping) else argument


def _rendered(text: str, context: Context) -> Json:
    parts = templates(text)
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0].evaluate(context)
    pieces: list[str] = []
    length = 0
    for part in parts:
        piece = part if isinstance(part, str) else _as_text(part.evaluate(context))
        length += len(piece)
        if length > LONGEST_TEXT:
            raise TemplateError("the text comes to more than 4 MB", text[:100])
        pieces.append(piece)
    return "".join(pieces)


def _as_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else dumps(value)


def _parsed(text: str, readable: template_text.Readable) -> Node:
    try:
        return cast("Node", jmespath.compile(readable.text).parsed)
    except RecursionError as error:
        raise TemplateError("the expression is nested too deeply", text) from error
    except ParseError as error:
        raise TemplateError(_unreadable(error, text, readable), text) from error
    except (JMESPathError, LookupError, TypeError, ValueError) as error:
        raise TemplateError(f"it is no JMESPath expression: {_first_line(error)}", text) from error


def _unreadable(error: ParseError, text: str, readable: template_text.Readable) -> str:
    if isinstance(error, IncompleteExpressionError):
        return "the expression ends too soon"
    at = readable.origin(error.lexer_position if isinstance(error, LexerError) else error.lex_position)
    if at >= len(text):
        return "the expression ends too soon"
    where = f'the expression cannot be read at character {at + 1}, "{text[at : at + 20]}"'
    number = _FRACTIONAL.match(text, at)
    if number is not None:
        return f"{where}: numbers are written in backticks, `{number.group()}`"
    hint = _HINTS.get(text[at : at + 1])
    return f"{where}: {hint}" if hint else where


#: What people try that JMESPath does not have, by the character where it stops.
_HINTS: Mapping[str, str] = {
    "=": "equality is written ==",
    **dict.fromkeys("+-/%", "there is no arithmetic in JMESPath"),
    "`": "what stands in backticks is JSON; text is written 'in single quotes'",
    "?": "there is no choice ? : in JMESPath; write a && b || c",
}


def _check_functions(met: Iterable[tuple[Node, int]]) -> None:
    for node, _ in met:
        if node["type"] != "function_expression":
            continue
        name = str(node.get("value"))
        known = Functions.FUNCTION_TABLE.get(name)
        if known is None:
            raise ValueError(f"there is no function {name}()")
        wanted, given = len(known["signature"]), len(node["children"])
        variadic = wanted > 0 and known["signature"][-1].get("variadic", False)
        if given < wanted or (given > wanted and not variadic):
            least = "at least " if variadic else ""
            raise ValueError(f"{name}() takes {least}{wanted} argument{'' if wanted == 1 else 's'}, not {given}")


def _wrong_type(error: JMESPathTypeError) -> str:
    """Say it without the value itself: it may be large, and it is somebody's data."""
    wanted = " or ".join(error.expected_types)
    return f"{error.function_name}() wants {wanted}, and was given {error.actual_type}"


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]
