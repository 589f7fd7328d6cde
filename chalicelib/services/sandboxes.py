"""Agents' sandboxes once nobody waits for them any more: ended, unless the agent has reported and ends by itself.

A sandbox that cannot be ended is tried again whenever its run is looked at after its end; and its agent, whose ticket
is closed, is told with its next heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from chalicelib import logs, metering
from chalicelib.domain.agent_report import Assignment
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepRecord
from chalicelib.domain.ticket import Ticket
from chalicelib.domain.usage import NO_UNITS, Units
from chalicelib.domain.waits import AGENT_LOST
from chalicelib.gateways.errors import CallFailed
from chalicelib.logs import Action
from chalicelib.services import connections, tickets
from chalicelib.services.outside import Outside

#: What begins the handle of a task on ECS, which is paid for by its time; any other sandbox is somebody's own machine.
_TASK: Final = "arn:"
_CPU_UNITS: Final = 1024
#: The codes of what is said in the place of an agent that says nothing.
_OURS: Final = frozenset({AGENT_LOST, "timeout"})


def end(run: Run, waits: Sequence[StepRecord], now: datetime, outside: Outside) -> None:
    """End the sandboxes of waits that are over, and close their tickets after: an open ticket is still to be looked at.

    One that is known to be ended, or whose agent has reported, is left alone. Ended twice, it is ended.
    """
    left = {record.wait.ticket: record for record in waits if record.wait is not None and _is_left(record)}
    found = tickets.of_waits(run.project_id, (record.wait for record in left.values() if record.wait is not None))
    for ticket in found:
        if ticket.result_digest is not None or ticket.stopped_at is not None:
            continue
        record = left[ticket.id]
        handle = record.wait.note if record.wait is not None else None
        try:
            _stop(run, handle, _reason(run, record), outside)
        except (CallFailed, Refusal) as error:
            logs.tell(Action.SANDBOX_LEFT, run_id=run.id, step=record.key, code=error.code)
            continue
        metering.add(used(ticket, handle, now))
        tickets.stopped(ticket, tickets.verdict(record), now=now)


def used(ticket: Ticket, handle: str | None, now: datetime) -> Units:
    """Return what a sandbox has used since its ticket was issued; nothing where it is none of AWS's."""
    if handle is None or not handle.startswith(_TASK):
        return NO_UNITS
    assigned, milliseconds = (
        Assignment.of(ticket.payload),
        max(0, (now - ticket.created_at) // timedelta(milliseconds=1)),
    )
    return Units(
        fargate_cpu_ms=assigned.cpu_units * milliseconds // _CPU_UNITS,
        fargate_mb_seconds=assigned.memory_mb * milliseconds // 1000,
    )


def _is_left(record: StepRecord) -> bool:
    """Whether no word of the agent has ended the wait; that it is lost is our word."""
    return record.event_id is None or (record.error is not None and record.error.code in _OURS)


def _stop(run: Run, handle: str | None, reason: str, outside: Outside) -> None:
    if handle is None:
        return
    connection = connections.load(run.project_id, run.connection_id)
    access = outside.credentials.assume(connection, run_id=run.id)
    outside.agents.stop(access, handle, reason=reason)


def _reason(run: Run, record: StepRecord) -> str:
    if record.error is not None:
        return f"{record.error.code}: {record.error.message}"
    return f"the run is {run.status}" if run.status.ended else f"the step is {record.status}"
