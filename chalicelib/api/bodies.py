"""From bytes to a checked model: strict JSON, whatever the Content-Type, then pydantic; any fault is a refusal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from chalicelib.domain.refusal import BodyTooLarge, Detail, Invalid, MalformedBody
from chalicelib.domain.value import Json

#: No request's body is longer, in bytes; API Gateway itself would let 10 MB through, and Lambda 6.
LONGEST_BODY: Final = 1024 * 1024
#: How deep arrays and objects may nest: what walks them later may recurse without fear.
DEEPEST: Final = 100
#: A longer number is beyond what a double, and so JavaScript, can hold.
_LONGEST_NUMBER: Final = 300
#: Nobody reads more complaints at once.
_MOST_DETAILS: Final = 50

Model = TypeVar("Model", bound=BaseModel)

# Any JSON value. It has come through ``read_json`` and needs no second look; pydantic could not follow its recursion.
if TYPE_CHECKING:
    AnyJson: TypeAlias = Json
else:
    AnyJson = Any


_building = threading.Lock()


class Body(BaseModel):
    """What a request's body is checked against: no field unknown, no type guessed, camelCase outside."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, defer_build=True)


class Parameters(BaseModel):
    """What a query string or headers are checked against: they are text, and others may be there for others."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, defer_build=True)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How an API words what is wrong with the input."""

    #: The refusal's own message, by its first fault.
    summary: Callable[[Detail], str]
    #: By pydantic's type of fault, with the limits that it names in braces; of others pydantic's own words stand.
    faults: Mapping[str, str]
    #: Of a query parameter that is given twice.
    twice: str


#: pydantic's words, and ours without what it puts before them, below a summary that names no field.
PLAIN: Final = Wording(
    summary=lambda _first: "Validation failed",
    faults=MappingProxyType({"value_error": "{error}"}),
    twice="Given more than once",
)


def read_json(raw: bytes, *, when_empty: bytes = b"") -> Json:
    """Return the JSON value that the bytes are, or those of ``when_empty`` if they are none.

    Refused as malformed: an empty body where ``when_empty`` is empty too, text that is not UTF-8 or not JSON, NaN and
    infinities by name or by size, half a surrogate pair, nesting beyond ``DEEPEST``. Of a name given twice the last
    counts, as in JavaScript.
    """
    if len(raw) > LONGEST_BODY:
        raise BodyTooLarge(f"The request body is over {LONGEST_BODY} bytes")
    raw = raw if raw.strip() else when_empty
    if not raw:
        raise MalformedBody("The request needs a JSON body")
    try:
        value = json.loads(raw.decode(), parse_float=_number, parse_int=_whole_number, parse_constant=_not_a_number)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise MalformedBody("The request body is not valid JSON") from None
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise _too_deep()
    if b"\\u" in raw and not _encodable(value):
        raise MalformedBody("The request body holds half a surrogate pair")
    return cast("Json", value)


def built(model: type[Model]) -> type[Model]:
    """Return the model ready for use.

    Models are built when first needed (``defer_build``), so that a cold start pays for those of one route only.
    pydantic would do it by itself, but not safely in two threads at once, as the local server's are.
    """
    if not model.__pydantic_complete__:
        with _building:
            model.model_rebuild()
    return model


def checked(model: type[Model], value: object, *, within: str = "", wording: Wording = PLAIN) -> Model:
    """Return the value as the model, or refuse it with each of its faults; ``within`` begins their paths."""
    try:
        return built(model).model_validate(value)
    except ValidationError as error:
        details = tuple(_details(error, within, wording))
    raise Invalid(wording.summary(details[0]), field=details[0].path, details=details)


def single(parameters: Mapping[str, Sequence[str]], *, wording: Wording = PLAIN) -> dict[str, str]:
    """Return the one value of each query parameter; one that is given twice is refused, since either may be meant."""
    for name, values in parameters.items():
        if len(values) > 1:
            fault = Detail(path=name, message=wording.twice)
            raise Invalid(wording.summary(fault), field=name, details=(fault,))
    return {name: values[0] for name, values in parameters.items() if values}


def _details(error: ValidationError, within: str, wording: Wording) -> Iterator[Detail]:
    for fault in error.errors(include_url=False, include_input=False)[:_MOST_DETAILS]:
        path = ".".join(str(part) for part in (within, *fault["loc"]) if part != "")
        ours = wording.faults.get(fault["type"])
        yield Detail(path=path, message=ours.format_map(fault.get("ctx", {})) if ours else fault["msg"])


def _number(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("out of range")
    return number


def _whole_number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("out of range")
    return int(text)


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _too_deep() -> MalformedBody:
    return MalformedBody(f"The request body nests deeper than {DEEPEST} levels")


def _depth(value: object) -> int:
    """Return how deep arrays and objects nest, level by level and so without recursion; it stops beyond ``DEEPEST``."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        nested = [child for child in level if isinstance(child, (dict, list))]
        level = [
            grandchild for child in nested for grandchild in (child.values() if isinstance(child, dict) else child)
        ]
        depth += bool(nested)
    return depth


def _encodable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
