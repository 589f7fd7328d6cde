"""Lambda on one machine: handlers by name, asynchronous invocations on threads with Lambda's own retries, and a log."""

from __future__ import annotations

import heapq
import itertools
import json
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from infra.local.iam import Role, acting_as

#: A parsed JSON document.
Json = Any

#: Lambda lets a thousand run at once. Here they share one process, and more of them only hold each other up: 100 runs
#: of three steps came through faster with 16 than with 64.
THREADS = 16

#: How many invocations the log keeps, so that a stack that runs for days does not grow.
LOG_LENGTH = 200_000


class InvocationType(StrEnum):
    """How a function was called, in Lambda's own words."""

    EVENT = "Event"
    REQUEST_RESPONSE = "RequestResponse"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a handler is given beside its event: the part of Lambda's context object that handlers read."""

    #: The same for each of Lambda's attempts at one asynchronous invocation.
    aws_request_id: str
    #: The function's name.
    function_name: str
    #: When Lambda would end it, by ``time.monotonic``.
    deadline: float
    #: As deployed.
    memory_limit_in_mb: int = 1024
    #: Always the newest code.
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        """Return the ARN that it was invoked by."""
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Return where its log would be."""
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        """Return which part of the log would be this process's."""
        return "local"

    def get_remaining_time_in_millis(self) -> int:
        """Return how long Lambda would let it run on."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


Handler = Callable[[Json, Context], object]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A handler, as it was deployed."""

    #: What it is invoked by.
    name: str
    #: The code.
    handler: Handler
    #: How long an invocation may take, as its context tells it; nothing here ends one that takes longer.
    timeout_seconds: float = 900.0
    #: How often an asynchronous invocation that raised is tried again.
    retries: int = 2
    #: What it runs under; None for a function that nobody holds to a role, such as one that a step calls.
    role: Role | None = None


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One attempt at one invocation, once it has ended."""

    #: The function's name.
    function: str
    #: What it was given.
    payload: Json
    #: Asynchronous or not.
    type: InvocationType
    #: The same for each attempt.
    request_id: str
    #: 1, then 2 and 3 for Lambda's retries.
    attempt: int
    #: None if it returned, else the name of the exception's class.
    error: str | None
    #: When it began, in seconds since the epoch.
    started_at: float
    #: How long it took.
    seconds: float


class UnknownFunction(Exception):
    """No function has that name."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a function returned, or the error document that Lambda makes of what it raised."""

    #: JSON.
    body: str
    #: Whether it raised.
    failed: bool


@dataclass(frozen=True, order=True)
class _Due:
    #: By ``time.monotonic``.
    at: float
    #: Breaks ties in order of arrival.
    number: int
    function: Function = field(compare=False)
    payload: str = field(compare=False)
    request_id: str = field(compare=False)
    attempt: int = field(compare=False)


class Functions:
    """The functions of one stack. Threads, started as they are needed, take what is due in order."""

    def __init__(self, *, retry_delays: Sequence[float] = (1.0, 2.0), threads: int = THREADS) -> None:
        self.log: deque[Invocation] = deque(maxlen=LOG_LENGTH)
        self._retry_delays = retry_delays
        self._functions: dict[str, Function] = {}
        lock = threading.RLock()
        #: Watchers wait on this for anything to begin or end.
        self._changed = threading.Condition(lock)
        #: Threads wait on this for something to do.
        self._offered = threading.Condition(lock)
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._limit = threads
        self._threads = 0
        self._idle = 0
        self._running = 0
        self._closed = False

    def register(self, function: Function) -> None:
        """Deploy a function, over one of the same name if there is one."""
        self._functions[function.name] = function

    def find(self, name: str) -> Function:
        """Return the function of that name or ARN; raise UnknownFunction if there is none."""
        short = name.rpartition(":function:")[2].partition(":")[0]
        if short not in self._functions:
            raise UnknownFunction(name)
        return self._functions[short]

    def start(self, name: str, payload: str) -> str:
        """Take an asynchronous invocation on, and return its request id at once."""
        function = self.find(name)
        request_id = str(uuid.uuid4())
        self._put(function, payload, request_id, attempt=1, delay=0.0)
        return request_id

    def call(self, name: str, payload: str) -> Answer:
        """Run a function in the caller's thread and return what it answers."""
        function = self.find(name)
        with self._changed:
            self._running += 1
        try:
            return self._attempt(function, payload, str(uuid.uuid4()), 1, InvocationType.REQUEST_RESPONSE)
        finally:
            self._settle()

    @property
    def busy(self) -> bool:
        """Whether an invocation runs, or is due now or later."""
        with self._changed:
            return bool(self._running or self._due)

    def wait(self, timeout: float) -> bool:
        """Wait until nothing runs and nothing is due; return whether that came to pass."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._due, timeout)

    def wait_for_change(self, timeout: float) -> None:
        """Wait until an invocation begins or ends, or the time is up: for those who wait for something else."""
        with self._changed:
            self._changed.wait(timeout)

    def close(self) -> None:
        """Start nothing more; a thread ends when what it runs does."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()
            self._offered.notify_all()

    def _put(self, function: Function, payload: str, request_id: str, *, attempt: int, delay: float) -> None:
        due = _Due(time.monotonic() + delay, next(self._numbers), function, payload, request_id, attempt)
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, due)
            self._offered.notify()
            if len(self._due) > self._idle and self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name=f"lambda-{self._threads}", daemon=True).start()

    def _take(self) -> _Due | None:
        with self._changed:
            while not self._closed:
                wait = self._due[0].at - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._running += 1
                    self._changed.notify_all()
                    return heapq.heappop(self._due)
                self._idle += 1
                self._offered.wait(wait)
                self._idle -= 1
        return None

    def _settle(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _work(self) -> None:
        while (due := self._take()) is not None:
            try:
                answer = self._attempt(due.function, due.payload, due.request_id, due.attempt, InvocationType.EVENT)
                if answer.failed and due.attempt <= due.function.retries:
                    delay = self._retry_delays[min(due.attempt, len(self._retry_delays)) - 1]
                    self._put(due.function, due.payload, due.request_id, attempt=due.attempt + 1, delay=delay)
            finally:
                self._settle()

    def _attempt(self, function: Function, payload: str, request_id: str, attempt: int, kind: InvocationType) -> Answer:
        event = json.loads(payload or "{}")
        started_at, began = time.time(), time.monotonic()
        context = Context(
            aws_request_id=request_id,
            function_name=function.name,
            deadline=began + function.timeout_seconds,
        )
        error: str | None = None
        try:
            with acting_as(function.role):
                body = json.dumps(function.handler(event, context))
        except BaseException as raised:  # noqa: BLE001 - the outermost loop: whatever a handler raises is Lambda's to report
            error = type(raised).__name__
            trace = traceback.format_exc()
            if kind is InvocationType.EVENT:
                print(f"{function.name} {request_id} (attempt {attempt}) raised:\n{trace}", file=sys.stderr)
            body = json.dumps({"errorType": error, "errorMessage": str(raised), "stackTrace": trace.splitlines()})
        self.log.append(
            Invocation(
                function=function.name,
                payload=event,
                type=kind,
                request_id=request_id,
                attempt=attempt,
                error=error,
                started_at=started_at,
                seconds=time.monotonic() - began,
            )
        )
        return Answer(body=body, failed=error is not None)
