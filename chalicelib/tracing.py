"""Segments of X-Ray around what an invocation does, where Lambda traces it; elsewhere nothing is loaded or done.

Nothing is patched: calls to AWS have no segments of their own, which would cost each of them more than they would tell.
A segment holds names and ids of ours, and of an error its type. Whatever goes wrong with one, what it is around goes on
as if there were none.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from aws_xray_sdk.core.models.subsegment import Subsegment
    from aws_xray_sdk.core.recorder import AWSXRayRecorder

#: What X-Ray takes in the name of a segment, and how much of it.
_FORBIDDEN: Final = re.compile(r"[^\w\s.:/%&#=+\\@-]")
_LONGEST_NAME: Final = 200

#: ``remote`` is what is done by somebody else, and so stands as a node of its own in the map of services.
Namespace = Literal["local", "remote"]


class Segment:
    """A part of what an invocation does; this one, where nothing is traced, knows nothing."""

    def annotate(self, **annotations: str | int) -> None:
        """Say what the segment is about: X-Ray finds traces by it."""

    def failed(self) -> None:
        """Say that it came to nothing, by no fault of Stepwell's."""


class _Traced(Segment):
    def __init__(self, traced: Subsegment) -> None:
        self._traced = traced

    def annotate(self, **annotations: str | int) -> None:
        for name, value in annotations.items():
            with contextlib.suppress(Exception):  # it may have been ended by whoever waited for it no longer
                self._traced.put_annotation(name, value)

    def failed(self) -> None:
        with contextlib.suppress(Exception):
            self._traced.add_error_flag()


_NONE: Final = contextlib.nullcontext(Segment())

#: The segment that this thread, or the one that has started it, is in.
_around: Final[ContextVar[Subsegment | None]] = ContextVar("around", default=None)


def segment(name: str, *, namespace: Namespace = "local", **annotations: str | int) -> AbstractContextManager[Segment]:
    """Have what is done meanwhile stand in the trace under this name, within what it is done in.

    A thread is within the segment of the one that started it if it is given its context.
    """
    return _segment(name, namespace, annotations) if _is_traced() else _NONE


def _is_traced() -> bool:
    """Whether Lambda samples this invocation: it says so in the environment, for each invocation anew."""
    return "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", "") and os.environ.get(
        "POWERTOOLS_TRACE_DISABLED", ""
    ).lower() not in {"true", "1"}


@functools.cache
def _recorder() -> AWSXRayRecorder:
    """Return what sends segments, loaded by the first invocation that is traced: it takes as long as it is large."""
    from aws_xray_sdk.core.recorder import AWSXRayRecorder as Recorder  # noqa: PLC0415 - as just said

    # What it has to say of its own troubles would stand among our lines, and not be JSON.
    logging.getLogger("aws_xray_sdk").setLevel(logging.CRITICAL)
    return Recorder()


@contextmanager
def _segment(name: str, namespace: Namespace, annotations: dict[str, str | int]) -> Iterator[Segment]:
    traced = _begun(name, namespace)
    if traced is None:
        yield Segment()
        return
    outermost = _around.get() is None
    before = _around.set(traced)
    told = _Traced(traced)
    told.annotate(**annotations)
    try:
        yield told
    except BaseException as error:
        told.annotate(exception=type(error).__name__)
        with contextlib.suppress(Exception):
            traced.add_fault_flag()
        raise
    finally:
        _around.reset(before)
        _end(traced, outermost=outermost)


def _begun(name: str, namespace: Namespace) -> Subsegment | None:
    with contextlib.suppress(Exception):  # a fault of tracing is nobody's
        recorder, around = _recorder(), _around.get()
        if around is None:
            # It would take an invocation for the one before, if both belong to one trace.
            recorder.clear_trace_entities()
        else:
            # What the recorder knows of is this thread's alone.
            recorder.set_trace_entity(around)
        begun: Subsegment | None = recorder.begin_subsegment(
            _FORBIDDEN.sub("_", name)[:_LONGEST_NAME], namespace=namespace
        )
        return begun
    return None


def _end(traced: Subsegment, *, outermost: bool) -> None:
    """End a segment and send it, if nothing within it goes on.

    The outermost takes what still goes on with it: nobody waits for that any more, and Lambda may freeze the process
    before it ends.
    """
    with contextlib.suppress(Exception):
        recorder = _recorder()
        if outermost:
            _end_all(traced)
        if not traced.in_progress:
            # Ended by the outermost, which has been sent.
            return
        recorder.set_trace_entity(traced)
        recorder.end_subsegment()


def _end_all(traced: Subsegment) -> None:
    for within in list(traced.subsegments):
        _end_all(within)
        if within.in_progress:
            within.add_fault_flag()
            within.close()
