"""Logs as one JSON object a line, and what every line of an invocation carries.

No line holds a key, a token, a payload or a header's value: messages are fixed texts, and what varies is an id or a
name of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger

#: The loggers of all modules, ``stepwell.drive`` and the like, are below this one and write through it.
logger = Logger(service="stepwell", name="stepwell", log_uncaught_exceptions=False)


@contextmanager
def carrying(**ids: str) -> Iterator[None]:
    """Have every line of this invocation carry these ids, and none after it."""
    with logger.append_context_keys(**ids):
        yield
