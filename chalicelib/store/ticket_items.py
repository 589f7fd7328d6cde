"""The item of a ticket, mapped to and from the domain's ticket."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Self

from chalicelib.domain.ticket import Ticket, TicketKind, TicketStatus
from chalicelib.store import keys, times, values
from chalicelib.store.keys import Key
from chalicelib.store.table import Item, MaybeText, MaybeTime, MaybeWhole, Text, Time, Whole, get_many

#: How long a closed ticket can still be found.
KEPT: Final = timedelta(days=30)


class TicketItem(Item):
    """A ticket: in a collection of its own, or an event wait's among all those on its event key."""

    project_id = Text()
    #: In the project's list of its kind and status.
    list_key = Text()
    kind = Text()
    #: The workflow's id. It is not called so, because by that name the item would stand in the workflow's lists too.
    of_workflow = Text()
    run_id = Text()
    step = Text()
    generation = MaybeWhole()
    failures = MaybeWhole()
    name = MaybeText()
    payload = MaybeText()
    payload_handle = MaybeText()
    note = MaybeText()
    approvers = MaybeText()
    status = Text()
    created_at = Time()
    expires_at = MaybeTime()
    visible_at = MaybeTime()
    holder = MaybeText()
    holder_key_id = MaybeText()
    worker = MaybeText()
    claimed_at = MaybeTime()
    closed_by = MaybeText()
    closed_at = MaybeTime()
    result = MaybeText()
    result_handle = MaybeText()
    result_digest = MaybeText()
    error = MaybeText()
    stopped_at = MaybeTime()
    refused = MaybeWhole()
    revision = Whole()
    #: In seconds, once it is closed: some time after it DynamoDB removes the item.
    ttl = MaybeWhole()

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        """Return the item of a ticket; an event wait's without its event key is a ``ValueError``."""
        return cls(
            *place_of(ticket),
            project_id=ticket.project_id,
            list_key=keys.listed_ticket(ticket.kind, ticket.status, listed_at(ticket), ticket.id),
            kind=ticket.kind.value,
            of_workflow=ticket.workflow_id,
            run_id=ticket.run_id,
            step=ticket.step,
            generation=ticket.generation if ticket.generation != 1 else None,
            failures=ticket.failures or None,
            name=ticket.name,
            payload=values.inline(ticket.payload),
            payload_handle=values.handle(ticket.payload),
            note=ticket.note,
            approvers=values.texts_text(ticket.approvers),
            status=ticket.status.value,
            created_at=ticket.created_at,
            expires_at=ticket.expires_at,
            visible_at=ticket.visible_at,
            holder=ticket.holder,
            holder_key_id=ticket.holder_key_id,
            worker=ticket.worker,
            claimed_at=ticket.claimed_at,
            closed_by=ticket.closed_by,
            closed_at=ticket.closed_at,
            result=values.inline(ticket.result),
            result_handle=values.handle(ticket.result),
            result_digest=ticket.result_digest,
            error=values.error_text(ticket.error),
            stopped_at=ticket.stopped_at,
            refused=ticket.refused or None,
            revision=ticket.revision,
            ttl=times.seconds_of(ticket.closed_at + KEPT) if ticket.closed_at is not None else None,
        )

    def ticket(self) -> Ticket:
        """Return the ticket."""
        kind = TicketKind(self.kind)
        return Ticket(
            id=keys.member_of(self.sk) if kind is TicketKind.EVENT else keys.id_of(self.pk),
            kind=kind,
            project_id=self.project_id,
            workflow_id=self.of_workflow,
            run_id=self.run_id,
            step=self.step,
            generation=self.generation or 1,
            failures=self.failures or 0,
            name=self.name,
            payload=values.value_of(self.payload, self.payload_handle),
            note=self.note,
            approvers=values.texts_of(self.approvers),
            status=TicketStatus(self.status),
            created_at=self.created_at,
            expires_at=self.expires_at,
            visible_at=self.visible_at,
            holder=self.holder,
            holder_key_id=self.holder_key_id,
            worker=self.worker,
            claimed_at=self.claimed_at,
            closed_by=self.closed_by,
            closed_at=self.closed_at,
            result=values.value_of(self.result, self.result_handle),
            result_digest=self.result_digest,
            error=values.error_of(self.error),
            stopped_at=self.stopped_at,
            refused=self.refused or 0,
            revision=self.revision,
        )


def found_at(places: Iterable[Key]) -> tuple[Ticket, ...]:
    """Return the tickets that lie at the keys now, in their order and each once; those that do not are left out."""
    wanted = list(dict.fromkeys(places))
    raws = get_many(wanted)
    return tuple(TicketItem.from_raw_data(raws[key]).ticket() for key in wanted if key in raws)


def place_of(ticket: Ticket) -> Key:
    """Return where a ticket lies."""
    if ticket.kind is not TicketKind.EVENT:
        return keys.ticket(ticket.id)
    if ticket.name is None:
        message = "a wait for an event by key is found by that key"
        raise ValueError(message)
    return keys.event_wait(ticket.project_id, ticket.name, ticket.id)


def listed_at(ticket: Ticket) -> datetime:
    """Return the time that places a ticket in its list: an open job stands where a worker may take it."""
    waits_for_a_worker = ticket.kind is TicketKind.JOB and ticket.status is TicketStatus.OPEN
    return ticket.visible_at if waits_for_a_worker and ticket.visible_at is not None else ticket.created_at
