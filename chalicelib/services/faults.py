"""What a log may say of an error that nobody foresaw: where it came from, never what it was about.

An exception's message often quotes its input, and a request's input is the user's own: payloads, keys, tokens.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Final

from chalicelib.domain.value import Json

#: As many of the innermost frames, and of the exceptions that led to one another, as are told.
_FRAMES: Final = 12
_CAUSES: Final = 5


def describe(error: BaseException) -> Json:
    """Return the error's type, AWS's code for it if any, and the frames it rose through; then those of its causes."""
    return [_described(one) for one, _ in zip(_line(error), range(_CAUSES), strict=False)]


def _described(error: BaseException) -> Json:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "aws_code": _aws_code(error),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _aws_code(error: BaseException) -> str | None:
    """Return what botocore (``response``) and PynamoDB (``cause_response_code``) keep of AWS's own answer."""
    answer = getattr(error, "response", None)
    told = (
        answer.get("Error", {}).get("Code") if isinstance(answer, dict) else getattr(error, "cause_response_code", None)
    )
    return str(told) if told else None


def _line(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
