"""Follows what CloudFormation does to a stack, event by event, to its end, and finds why it failed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.stacks import Aws
from infra.trouble import explained, one_line

#: How long to wait before asking CloudFormation again.
POLL_SECONDS = 3.0

#: What is to be mended, by what a reason says.
_MENDING: Final[Sequence[tuple[str, str]]] = (
    (r"not authorized to perform:? (?P<what>[A-Za-z0-9-]+:[A-Za-z0-9*]+)", "have {what} allowed to your credentials"),
    (
        r"CloudWatch Logs role ARN must be set",
        "give API Gateway a role that writes logs, in its settings of this region",
    ),
    (r"UnreservedConcurrentExecution", "lower the parameters …Concurrency, or have Lambda's quota raised"),
    (r"(?i)limit ?exceeded|quota|maximum number", "have the quota raised, or remove what takes it up"),
    (r"(?i)already exists", "remove what has that name, or deploy under another STAGE"),
    (r"(?i)KMS|kms:", "check CustomerKeyArn: a key of this region that you may use"),
)
_ANYTHING_ELSE: Final = "mend that"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What befell one resource, or the stack itself."""

    id: str
    logical_id: str
    #: The name or ARN that the resource goes by outside; empty until it has one.
    physical_id: str
    type: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Whether it is what went wrong, and not what was then broken off because of it."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


def newest(aws: Aws, stack_id: str) -> str | None:
    """Return the id of the stack's newest event, which what is begun now comes after."""
    return next((event.id for event in _newest_first(aws, stack_id)), None)


def history(aws: Aws, stack_id: str) -> Sequence[Event]:
    """Return all that befell the stack, the oldest first."""
    return _since(aws, stack_id, None)


def _nothing() -> None:
    """Do nothing."""


def follow(
    aws: Aws, stack_id: str, *, after: str | None, meanwhile: Callable[[], None] = _nothing
) -> tuple[str, Sequence[Event]]:
    """Return how the stack stands once nothing more is done to it, and all events since that one, printed as they came.

    Asking changes nothing: whoever stops asking leaves CloudFormation at its work. ``meanwhile`` is called each time
    that there is something to wait for.
    """
    told: list[Event] = []
    while True:
        for event in _since(aws, stack_id, told[-1].id if told else after):
            told.append(event)
            _show(event)
        # The stack's status may be that of before for a moment; its own events cannot.
        own = [event.status for event in told if event.physical_id == stack_id]
        if own and not own[-1].endswith("_IN_PROGRESS"):
            return own[-1], told
        meanwhile()
        time.sleep(POLL_SECONDS)


def _show(event: Event) -> None:
    """Print a line for a resource that is done with, and nothing for one under way."""
    if not event.status.endswith("_IN_PROGRESS"):
        print(f"  {event.status:<20} {event.logical_id} ({event.type})", flush=True)


def first_cause(events: Sequence[Event], *, secret: str | None = None) -> str:
    """Return what went wrong first, and what to mend, without the secret."""
    failures = [event for event in events if event.failed]
    if not failures:
        return "CloudFormation does not say why"
    event = failures[0]
    # CloudFormation quotes what a service said of what it was given.
    reason = event.reason.replace(secret, "****") if secret else event.reason
    mending = next((text.format(**found.groupdict()) for found, text in _mendings(reason)), _ANYTHING_ELSE)
    return f"{event.logical_id} ({event.type}): {reason.rstrip('. ')}; {mending}"


def _mendings(reason: str) -> Iterator[tuple[re.Match[str], str]]:
    for pattern, text in _MENDING:
        found = re.search(pattern, reason)
        if found is not None:
            yield found, text


def _since(aws: Aws, stack_id: str, after: str | None) -> Sequence[Event]:
    """Return the events after that one, the oldest first."""
    found: list[Event] = []
    for event in _newest_first(aws, stack_id):
        if event.id == after:
            break
        found.append(event)
    return found[::-1]


def _newest_first(aws: Aws, stack_id: str) -> Iterator[Event]:
    with explained("read what CloudFormation does"):
        for page in aws.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
            for each in page["StackEvents"]:
                yield _event(each)


def _event(found: Any) -> Event:
    return Event(
        id=found["EventId"],
        logical_id=found.get("LogicalResourceId", ""),
        physical_id=found.get("PhysicalResourceId", ""),
        type=found.get("ResourceType", ""),
        status=found.get("ResourceStatus", ""),
        reason=one_line(found.get("ResourceStatusReason", "")),
    )
