"""What the trigger API's resources share: its list of endpoints, its pages, its times, its plain "done"."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.api.bodies import Parameters, built
from chalicelib.api.dialects import TRIGGER_API
from chalicelib.api.endpoints import Api

api = Api(dialect=TRIGGER_API)

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def _whole_number(text: object) -> object:
    """Return the number that the text is; pydantic by itself would also read ``5_0`` and other alphabets' digits."""
    if not isinstance(text, str) or not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


class Shown(BaseModel):
    """What an answer is made of: camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)

    def __new__(cls, *_values: object, **_named: object) -> Self:
        """Have the model built before the first of its kind is made."""
        return super().__new__(built(cls))


Row = TypeVar("Row", bound=BaseModel)


class PageShown(Shown, Generic[Row]):
    """One page of a list."""

    data: list[Row]
    #: For the next page's ``cursor``; null on the last.
    next_cursor: str | None = None


class PageQuery(Parameters):
    """Which page of a list."""

    cursor: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    limit: Annotated[int, BeforeValidator(_whole_number), Field(ge=1, le=100)] = 50


class Done(Shown):
    """That it is as asked."""

    ok: bool = True


def shown_time(at: datetime) -> str:
    """Return a time as JavaScript writes it: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
