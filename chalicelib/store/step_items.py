"""The items of a run's steps and events, mapped to and from the domain's records."""

from __future__ import annotations

from typing import Self

from chalicelib.domain.step import Event, StepRecord, StepStatus
from chalicelib.store import keys, values
from chalicelib.store.table import Flag, Item, MaybeText, MaybeTime, MaybeWhole, Text, Time, Whole


class StepItem(Item):
    """A step's record. It has no index attributes, and nothing in it that goes without saying: it is written most."""

    #: The step's key, where it is too long for the sort key.
    key_text = MaybeText()
    status = Text()
    attempt = Whole()
    started_at = MaybeTime()
    finished_at = MaybeTime()
    generation = MaybeWhole()
    failures = MaybeWhole()
    losses = MaybeWhole()
    output = MaybeText()
    output_handle = MaybeText()
    error = MaybeText()
    retry_at = MaybeTime()
    wait = MaybeText()
    event_id = MaybeText()
    branch = MaybeText()
    claims = MaybeText()
    attempts = MaybeText()
    forced = Flag()
    revision = Whole()
    #: Tells the write that made it from all others.
    write_id = Text()

    @classmethod
    def of(cls, run_id: str, record: StepRecord, write_id: str) -> Self:
        """Return the item of a record."""
        key = keys.step(run_id, record.key)
        return cls(
            *key,
            key_text=None if key.sk.endswith(record.key) else record.key,
            status=record.status.value,
            attempt=record.attempt,
            started_at=record.started_at,
            finished_at=record.finished_at,
            generation=record.generation if record.generation != 1 else None,
            failures=record.failures or None,
            losses=record.losses or None,
            output=values.inline(record.output),
            output_handle=values.handle(record.output),
            error=values.error_text(record.error),
            retry_at=record.retry_at,
            wait=values.wait_text(record.wait),
            event_id=record.event_id,
            branch=record.branch,
            claims=values.claims_text(record.claims),
            attempts=values.attempts_text(record.attempts),
            forced=record.forced or None,
            revision=record.revision,
            write_id=write_id,
        )

    def record(self) -> StepRecord:
        """Return the record."""
        return StepRecord(
            key=self.key_text if self.key_text is not None else keys.member_of(self.sk),
            status=StepStatus(self.status),
            attempt=self.attempt,
            started_at=self.started_at,
            finished_at=self.finished_at,
            generation=self.generation or 1,
            failures=self.failures or 0,
            losses=self.losses or 0,
            output=values.value_of(self.output, self.output_handle),
            error=values.error_of(self.error),
            retry_at=self.retry_at,
            wait=values.wait_of(self.wait),
            event_id=self.event_id,
            branch=self.branch,
            claims=values.claims_of(self.claims),
            attempts=values.attempts_of(self.attempts),
            forced=bool(self.forced),
            revision=self.revision,
        )


class EventItem(Item):
    """An event sent to a run."""

    type = Text()
    payload = MaybeText()
    payload_handle = MaybeText()
    sent_by = Text()
    received_at = Time()
    failure = MaybeText()

    @classmethod
    def of(cls, run_id: str, event: Event) -> Self:
        """Return the item of an event."""
        return cls(
            *keys.event(run_id, event.id),
            type=event.type,
            payload=values.inline(event.payload),
            payload_handle=values.handle(event.payload),
            sent_by=event.sent_by,
            received_at=event.received_at,
            failure=values.error_text(event.failure),
        )

    def event(self) -> Event:
        """Return the event."""
        return Event(
            id=keys.member_of(self.sk),
            type=self.type,
            payload=values.value_of(self.payload, self.payload_handle),
            sent_by=self.sent_by,
            received_at=self.received_at,
            failure=values.error_of(self.failure),
        )
