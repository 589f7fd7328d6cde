"""What the workflows API's resources share: its list of endpoints, its envelope, its pages, its times."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from chalicelib.api.bodies import Parameters, built
from chalicelib.api.dialects import WORKFLOWS_API
from chalicelib.api.endpoints import Api
from chalicelib.domain.refusal import Detail, Invalid
from chalicelib.store.times import milliseconds_of

api = Api(dialect=WORKFLOWS_API)

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_FLAGS: Final = {"true": True, "false": False}


def whole_number(text: object) -> object:
    """Return the number that a query's text is; pydantic by itself would also read ``5_0`` and other alphabets."""
    if not isinstance(text, str) or not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)


def flag(text: object) -> object:
    """Return whether a query's text says yes; pydantic by itself would also read ``on`` and ``1``."""
    if text not in _FLAGS:
        raise ValueError("must be true or false")
    return _FLAGS[str(text)]


def visible(text: str) -> str:
    """Return a name, unless there is nothing to see of it."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def on_one_line(text: str) -> str:
    """Return a name, unless it cannot be shown on one line."""
    if _CONTROL.search(text):
        raise ValueError("must be on one line, with nothing in it that cannot be seen")
    return visible(text)


def nothing_to_change() -> Invalid:
    """Return the refusal of a change that changes nothing."""
    fault = Detail(path="", message="must name at least one field to change")
    return Invalid(f"the request body {fault.message}", details=(fault,))


class Shown(BaseModel):
    """What an answer is made of: camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)

    def __new__(cls, *_values: object, **_named: object) -> Self:
        """Have the model built before the first of its kind is made."""
        return super().__new__(built(cls))


class Identified(Shown):
    """An answer about one object, whose id clients find under either name."""

    id: str
    also_id: Annotated[str, Field(serialization_alias="_id")]


Row = TypeVar("Row", bound=BaseModel)

#: A time in an answer: milliseconds since 1970.
Time = Annotated[
    datetime,
    PlainSerializer(milliseconds_of, when_used="json"),
    WithJsonSchema({"type": "integer", "description": "Milliseconds since 1970-01-01T00:00:00Z"}),
]

#: An id in a body or a query; one that nothing can have is no object's.
Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Data(Shown, Generic[Row]):
    """The envelope of every answer."""

    data: Row


class PageShown(Shown, Generic[Row]):
    """One page of a list."""

    data: list[Row]
    #: For the next page's ``cursor``; null on the last.
    next_cursor: str | None = None
    has_more: bool = False


class PageQuery(Parameters):
    """Which page of a list."""

    cursor: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    limit: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=100)] = 50


class IdQuery(Parameters):
    """Which object."""

    id: Id
