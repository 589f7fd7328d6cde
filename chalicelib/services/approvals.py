"""The approvers' inbox: which steps wait for a person, and whether this one may decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.run import Run
from chalicelib.domain.step import Wait
from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.services import tickets
from chalicelib.services.tickets import Sight
from chalicelib.store import tickets as store
from chalicelib.store.paging import Page


class ApprovalStatus(StrEnum):
    """What has become of an approval."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"


SHOWN: Final = {
    TicketStatus.OPEN: ApprovalStatus.PENDING,
    TicketStatus.DONE: ApprovalStatus.APPROVED,
    TicketStatus.FAILED: ApprovalStatus.REJECTED,
    TicketStatus.TIMED_OUT: ApprovalStatus.TIMED_OUT,
    TicketStatus.CANCELED: ApprovalStatus.CANCELED,
}
_BY_STATUS: Final = {shown: status for status, shown in SHOWN.items()}


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One approval, as whoever asks finds it."""

    ticket: Ticket
    #: Whether it waits, and for this actor too.
    can_approve: bool


def objection(step: str, wait: Wait, run: Run, actor: Actor) -> str | None:
    """Return why an actor may not decide an approval that waits; None where he may.

    Approvers are named by the id or the name of a key; ``*``, or nobody named, is anyone who may approve at all.
    """
    if wait.approvers and not {"*", actor.key_id, actor.name} & set(wait.approvers):
        return f"approver {actor.name} is not allowed for step {step}"
    if wait.forbid_self_approval and run.created_by_key_id == actor.key_id:
        return f"approver {actor.name} is not allowed for step {step}: whoever started the run may not approve it"
    return None


def page(
    project_id: str,
    status: ApprovalStatus,
    *,
    actor: Actor,
    now: datetime,
    cursor: str | None,
    limit: int,
) -> Page[Approval]:
    """Return a project's approvals in a status, the newest first; of pending ones those alone that wait in truth.

    One that was left open though its step waits no more is closed on the way, so a page may be short and not the last.
    """
    found = store.page(project_id, TicketKind.APPROVAL, _BY_STATUS[status], cursor=cursor, limit=limit)
    sights = tickets.looked_at(found.items, now=now)
    for sight in sights:
        tickets.settle(sight, now=now)
    shown = [_shown(sight, actor) for sight in sights if sight.status is sight.ticket.status]
    return Page(items=tuple(shown), cursor=found.cursor)


def _shown(sight: Sight, actor: Actor) -> Approval:
    run, record = sight.run, sight.record
    if run is None or record is None or record.wait is None or sight.status is not TicketStatus.OPEN:
        return Approval(ticket=sight.ticket, can_approve=False)
    return Approval(ticket=sight.ticket, can_approve=objection(record.key, record.wait, run, actor) is None)
