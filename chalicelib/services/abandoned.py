"""Takes down what waits have set up outside the run once nobody waits any more: child runs, sandboxes, tickets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from chalicelib import logs
from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import Refusal
from chalicelib.domain.run import Run
from chalicelib.domain.step import StepRecord, StepStatus, WaitKind
from chalicelib.domain.ticket import TicketStatus
from chalicelib.logs import Action
from chalicelib.services import sandboxes, tickets, verbs
from chalicelib.services.outside import Outside
from chalicelib.services.verbs import Ask

_ON: Final = frozenset({StepStatus.WAITING, StepStatus.RUNNING})

TakeDown = Callable[[Run, Sequence[StepRecord], datetime, Outside], None]


def take_down(run: Run, records: Iterable[StepRecord], *, now: datetime, outside: Outside) -> None:
    """Take down what the records' waits have set up; of a run that goes on, only those that are over.

    Doing it again, or for what has ended by itself, changes nothing: it is done whenever a run that has ended is looked
    at, in case whoever ended it did not live to do so.
    """
    by_kind: dict[WaitKind, list[StepRecord]] = {}
    for record in records:
        if record.wait is not None and (run.status.ended or record.status not in _ON):
            by_kind.setdefault(record.wait.kind, []).append(record)
    for kind, waits in by_kind.items():
        if kind in _ACTS:
            _ACTS[kind](run, waits, now, outside)


def leaves_work(record: StepRecord) -> bool:
    """Whether a wait has set up more than a ticket, which can be closed together with the wait."""
    return record.wait is not None and (record.wait.ticket is None or record.wait.kind is WaitKind.AGENT)


def _cancel_children(run: Run, waits: Sequence[StepRecord], now: datetime, outside: Outside) -> None:
    """Cancel the children whose end has not been taken; one that has ended, or was canceled, stays as it is."""
    ask = Ask(
        actor=Actor(key_id=run.id, name=f"run {run.id}"),
        request_id=run.id,
        reason="the run that waited for it has ended",
    )
    for child_id in (record.wait.note for record in waits if record.wait is not None and record.event_id is None):
        if child_id is None:
            continue
        try:
            verbs.terminate(run.project_id, child_id, ask=ask, now=now, outside=outside)
        except Refusal as refused:
            logs.tell(Action.CHILD_ENDED, run_id=child_id, code=refused.code)


def _close_reported(run: Run, waits: Sequence[StepRecord], now: datetime, outside: Outside) -> None:
    """Close the tickets of waits that no event has ended: those that one has were closed by the event's own write."""
    _close(run, [record for record in waits if record.event_id is None], now, outside)


def _close(run: Run, waits: Sequence[StepRecord], now: datetime, outside: Outside) -> None:
    """Close the tickets that are open still, each as its record says; see ``tickets.close`` for whoever comes first."""
    del outside
    by_ticket = {record.wait.ticket: record for record in waits if record.wait is not None and record.wait.ticket}
    found = tickets.of_waits(run.project_id, (record.wait for record in by_ticket.values() if record.wait is not None))
    for ticket in found:
        if ticket.status is TicketStatus.OPEN:
            record = by_ticket[ticket.id]
            tickets.close(ticket, tickets.verdict(record), now=now, by=_decided_by(record))


def _decided_by(record: StepRecord) -> str | None:
    """Return who approved it by an event of the approval's type, which knows nothing of tickets."""
    by = record.output.get("by") if isinstance(record.output, Mapping) else None
    return by if isinstance(by, str) else None


_ACTS: Final[Mapping[WaitKind, TakeDown]] = MappingProxyType(
    {
        WaitKind.CHILD: _cancel_children,
        WaitKind.JOB: _close_reported,
        WaitKind.EVENT: _close_reported,
        WaitKind.APPROVAL: _close,
        WaitKind.AGENT: sandboxes.end,
    },
)
