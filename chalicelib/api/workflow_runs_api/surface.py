"""What the workflow-runs API's resources share: its list of endpoints, its models' manners, its pages and projects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from chalicelib.api import bodies
from chalicelib.api.dialects import WORKFLOW_RUNS_API
from chalicelib.api.endpoints import Api, Reply
from chalicelib.api.requests import Caller
from chalicelib.domain.refusal import NotFound
from chalicelib.domain.workflow import MOST_TAGS

api = Api(dialect=WORKFLOW_RUNS_API)

#: No page holds more; a larger ``limit`` is taken for this one.
MOST_ROWS: Final = 100
#: The response header that the next page's ``cursor`` is in; absent on the last page.
NEXT_CURSOR: Final = "X-Next-Cursor"

_POSITIVE: Final = re.compile(r"0*[1-9][0-9]{0,8}")


class Body(bodies.Body):
    """What a request's body is checked against: no field unknown, no type guessed, snake_case outside."""

    model_config = ConfigDict(alias_generator=None)


class Parameters(bodies.Parameters):
    """What a query string or headers are checked against: they are text, and others may be there for others."""

    model_config = ConfigDict(alias_generator=None)


class Shown(BaseModel):
    """What an answer is made of: snake_case outside, and what is None is left out."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    def __new__(cls, *_values: object, **_named: object) -> Self:
        """Have the model built before the first of its kind is made."""
        return super().__new__(bodies.built(cls))


def shown_time(at: datetime) -> str:
    """Return a time as RFC 3339 has it: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


#: A time in an answer.
Time = Annotated[
    datetime,
    PlainSerializer(shown_time, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


#: What a workflow or a run carries, for whoever looks for it.
Tags = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=256)],
    ],
    Field(max_length=MOST_TAGS),
]


def _limit(text: object) -> object:
    """Return the number that the text is; pydantic by itself would also read ``5_0`` and other alphabets' digits."""
    if not isinstance(text, str) or not _POSITIVE.fullmatch(text):
        raise ValueError("must be a positive integer")
    return min(int(text), MOST_ROWS)


def _required(text: str) -> str:
    if not text:
        raise ValueError("is required")
    return text


class PageQuery(Parameters):
    """Which page of a list."""

    cursor: Annotated[str | None, Field(min_length=1, max_length=1000)] = None
    limit: Annotated[int, BeforeValidator(_limit), Field(ge=1)] = 50


class ProjectPageQuery(PageQuery):
    """Which page of a project's list; ``own_project`` checks whose project it is."""

    project_id: Annotated[str, AfterValidator(_required)]


def own_project(caller: Caller, project_id: str) -> str:
    """Return the project's id if it is the caller's own; another does not exist for this caller."""
    if project_id != caller.project_id:
        raise NotFound("project not found")
    return project_id


Row = TypeVar("Row", bound=Shown)


def listed(rows: Sequence[Row], next_cursor: str | None) -> Reply[Sequence[Row]]:
    """Return a page as this API lists things: a bare array, the next page's cursor in a header."""
    return Reply(body=rows, headers={} if next_cursor is None else {NEXT_CURSOR: next_cursor})
