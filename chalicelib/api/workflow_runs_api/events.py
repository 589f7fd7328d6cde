"""Events by key in the workflow-runs API: who waits for one, and sending it to them or calling it off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from chalicelib.api.bodies import AnyJson
from chalicelib.api.endpoints import NOTHING, Nothing, Reply
from chalicelib.api.requests import Caller
from chalicelib.api.workflow_runs_api.surface import Body, api, listed
from chalicelib.api.workflow_runs_api.ticket_rows import EventOut, OwnPageQuery
from chalicelib.domain.access import Scope
from chalicelib.services import event_keys
from chalicelib.services.event_keys import EventStatus


class EventsQuery(OwnPageQuery):
    """Which waits for events by key."""

    status: EventStatus | None = None
    #: One run's only.
    workflow_run_id: Annotated[str | None, Field(min_length=1)] = None


class SendEvent(Body):
    """What to tell those who wait."""

    #: Any JSON value, up to 100 KB; becomes the output of the steps that wait.
    payload: AnyJson = None


@api.endpoint("GET", "/v1/events", scope=Scope.RUNS_READ, query=EventsQuery)
def list_events(caller: Caller, query: EventsQuery) -> Reply[Sequence[EventOut]]:
    """List a project's or a run's waits for events by key, newest first."""
    query.check(caller)
    found = event_keys.page(
        caller.project_id,
        query.status,
        run_id=query.workflow_run_id,
        cursor=query.cursor,
        limit=query.limit,
    )
    return listed([EventOut.listed(event) for event in found.items], found.cursor)


@api.endpoint("GET", "/v1/events/{event_key}", scope=Scope.RUNS_READ)
def get_event(caller: Caller, event_key: str) -> EventOut:
    """Show the newest wait for a key; of those that go on, if there are any."""
    return EventOut.of(event_keys.find(caller.project_id, event_key))


@api.endpoint("POST", "/v1/events/{event_key}/send", scope=Scope.RUNS_TRIGGER, body=SendEvent)
def send_event(caller: Caller, event_key: str, body: SendEvent) -> EventOut:
    """Send an event to every step of the project that waits for the key, and show the newest wait that it ended.

    404 where nobody has ever waited for the key, 409 where nobody does now; the same payload again is a 200.
    """
    sent = event_keys.send(
        caller.project_id,
        event_key,
        body.payload,
        actor_name=caller.actor.name,
        now=caller.now,
    )
    return EventOut.of(sent)


@api.endpoint("DELETE", "/v1/events/{event_key}", scope=Scope.RUNS_CONTROL, status=204)
def cancel_event(caller: Caller, event_key: str) -> Nothing:
    """Call off an event: every step that waits for the key fails with `event canceled`, and is not tried again."""
    event_keys.cancel(caller.project_id, event_key, actor_name=caller.actor.name, now=caller.now)
    return NOTHING
