"""What the functions write down: one JSON object a line, one line a fact, each of a kind that stands in a table.

``tell`` is the only way to write one. No line holds a key, a token, a payload, a header's value, a path's or the text
of an error that a user can word: a message is fixed, and what varies is an id, a name or a number of ours. Every line
carries what ``carrying`` says of the request or the run that it is about; threads carry it too if they are given the
context of the one that starts them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Final, TypedDict, Unpack

from aws_lambda_powertools import Logger

from chalicelib.domain.value import Json

#: The service's name would be the logger's too, which is to be that of Chalice's, whatever the stage. Its level is
#: POWERTOOLS_LOG_LEVEL, else INFO.
_powertools: Final = Logger(service="stepwell", log_uncaught_exceptions=False, use_rfc3339=True, utc=True)
_powertools.append_keys(service=os.environ.get("POWERTOOLS_SERVICE_NAME") or "stepwell")
_log: Final = logging.getLogger("stepwell")


class Action(Enum):
    """What a line can tell: its ``action``, in lower case, with its level and its message."""

    #: The API has answered: which endpoint, with what status, after how long, to which key.
    REQUEST_ANSWERED = (logging.INFO, "a request is answered")
    #: Nobody foresaw what happened to a request, or to one of many objects that it named.
    REQUEST_FAILED = (logging.ERROR, "a request failed")
    BULK_FAILED = (logging.ERROR, "one of many failed")
    #: The key that a request carries is none in force.
    KEY_REFUSED = (logging.WARNING, "a key is refused")
    #: DynamoDB, S3, Lambda or Step Functions did not answer.
    PART_UNAVAILABLE = (logging.WARNING, "a part of Stepwell does not answer")
    #: The request has taken effect, but a repeat of it would not be answered from its record.
    ANSWER_NOT_KEPT = (logging.WARNING, "an answer is not kept")

    #: A run is on record; how it was triggered.
    RUN_STARTED = (logging.INFO, "a run is started")
    #: Its status, and how long after it was started. A run that has failed or timed out is a warning.
    RUN_ENDED = (logging.INFO, "a run has ended")
    #: Parked until something comes, or a time: what it waits for.
    RUN_PARKED = (logging.INFO, "a run is parked")
    #: By the token of its parking, or by an invocation of `drive`.
    RUN_WOKEN = (logging.INFO, "a run is woken")
    WAKE_LOST = (logging.WARNING, "a wake-up is lost")
    #: What a person or a parent has done to a run or a step.
    VERB_DONE = (logging.INFO, "a verb is done")
    #: Something that a step waits for has come: an event, an approval, a job's or an agent's report.
    EVENT_DELIVERED = (logging.INFO, "an event is delivered")
    CHILD_ENDED = (logging.INFO, "a child had ended")

    #: One invocation's part in a run: attempts made, steps that ended, and how it let go.
    DRIVE_ENDED = (logging.INFO, "a drive has ended")
    #: The same of an invocation of `work`.
    WORK_ENDED = (logging.INFO, "a batch of attempts has ended")
    #: What an attempt came to, and after how long. One that failed is a warning.
    ATTEMPT_ENDED = (logging.INFO, "an attempt has ended")
    #: An attempt whose invocation died or ran out of time; it is made again, or its step has failed.
    ATTEMPT_LOST = (logging.WARNING, "an attempt is lost")
    #: A wait is over: completed, or failed and then a warning.
    WAIT_ENDED = (logging.INFO, "a wait has ended")
    #: An executor raised what it should not.
    STEP_CRASHED = (logging.ERROR, "a step crashed")
    #: An attempt's result came when its step had been settled otherwise.
    RESULT_DROPPED = (logging.INFO, "a result came too late")
    #: `work` cannot be invoked, and the driver makes the attempts itself.
    WORK_HERE = (logging.WARNING, "no work invocation")
    #: A step's output goes nowhere: its event key cannot be rendered.
    NOT_EMITTED = (logging.WARNING, "no event key")

    #: An agent's sandbox says what is not taken from it.
    CALLBACK_REFUSED = (logging.INFO, "an agent's callback is refused")
    SANDBOX_LEFT = (logging.WARNING, "a sandbox is not ended")
    TICKET_OPEN = (logging.WARNING, "a ticket stays open")

    #: A schedule has started its run, or has not: it has as many as it may, or none can be started.
    SCHEDULE_FIRED = (logging.INFO, "a schedule has fired")
    SCHEDULE_LEFT_OUT = (logging.WARNING, "no scheduled run")
    #: Another sweep, or a person, has set it since.
    SCHEDULE_MOVED = (logging.INFO, "the schedule moved on")
    SCHEDULE_FAILED = (logging.ERROR, "a schedule failed")
    #: Nobody has driven it in its time; the sweep has it driven.
    RUN_OVERDUE = (logging.WARNING, "a run was overdue")
    #: A run was overdue when it was looked for, and not any more.
    SWEEP_LATE = (logging.INFO, "the run moved on")
    SWEEP_FAILED = (logging.WARNING, "an overdue run is not driven")
    #: What is left of a workflow that is gone for good is removed by the next sweep.
    PURGE_INTERRUPTED = (logging.WARNING, "not all removed")
    #: An uploaded file is ready, or rejected.
    UPLOAD_JUDGED = (logging.INFO, "an upload is judged")

    #: An invocation came to nothing; Lambda makes it again.
    INVOCATION_FAILED = (logging.ERROR, "an invocation failed")

    def __init__(self, level: int, message: str) -> None:
        self.level = level
        self.message = message


class Ids(TypedDict, total=False):
    """Whom and what a line is about; any of it may be told by the line itself or carried by all."""

    #: The invocation's, which is the ``X-Request-Id`` of the API's answers; and API Gateway's own.
    request_id: str
    gateway_request_id: str
    #: The method and the path's pattern, never the path.
    endpoint: str
    project_id: str
    key_id: str | None
    workflow_id: str
    run_id: str
    #: The step's key, and which attempt at it.
    step: str
    attempt: int
    #: The handle of an uploaded file; of a file that is on record.
    object_key: str
    file_id: str


class About(Ids, total=False):
    """What a line may tell beside: these names are all there are."""

    status: str | int
    #: Milliseconds.
    ms: int
    #: A refusal's or an error's, from a list of ours.
    code: str | None
    #: What ``faults.describe`` says of an error, or its type.
    fault: Json
    step_type: str
    outcome: str
    command: str
    #: How a run came to be, or to be woken.
    by: str
    #: What is waited for.
    kind: str
    waiting_for: list[str]
    until: str
    #: In one invocation.
    attempts: int
    steps_ended: int
    let_go: str
    losses: int
    #: The noun and the id of one of many.
    of: str
    id: str


_carried: Final[ContextVar[dict[str, object] | None]] = ContextVar("carried", default=None)


@contextmanager
def carrying(**ids: Unpack[Ids]) -> Iterator[None]:
    """Have every line meanwhile carry these ids beside those that it carries anyway."""
    before = _carried.set({**(_carried.get() or {}), **ids})
    try:
        yield
    finally:
        _carried.reset(before)


def carry(**ids: Unpack[Ids]) -> None:
    """Have every line carry these ids, too, until the innermost ``carrying`` around is over; outside of any, nothing.

    For what is known only once the work has begun, such as whose key it is.
    """
    carried = _carried.get()
    if carried is not None:
        carried.update(ids)


def tell(action: Action, *, level: int | None = None, **about: Unpack[About]) -> None:
    """Write a line, at another level than its own if the fact is worse than its kind."""
    at = level or action.level
    if _log.isEnabledFor(at):
        told = {**(_carried.get() or {}), **about, "action": action.name.lower()}
        _log.log(at, action.message, extra=told, stacklevel=2)
