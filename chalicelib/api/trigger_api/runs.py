"""Runs in the trigger API: started, or sent an event, by one endpoint; polled, listed, paused, resumed, terminated."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from chalicelib.api.bodies import AnyJson, Body, Parameters, checked
from chalicelib.api.endpoints import Reply
from chalicelib.api.requests import Caller
from chalicelib.api.trigger_api.run_rows import RunShown, RunStatusShown, row, rows
from chalicelib.api.trigger_api.surface import Done, PageQuery, PageShown, Shown, api
from chalicelib.domain.access import Scope
from chalicelib.domain.idempotency import Once, request_digest
from chalicelib.domain.refusal import TooLarge
from chalicelib.domain.value import size_of
from chalicelib.services import connections, identifiers, runs
from chalicelib.services.starts import TRIGGER

#: In bytes of JSON, as compact as JavaScript writes it: 100 KB.
LONGEST_PARAMS: Final = 102_400


class TriggerRun(Body):
    """What to start, or what to tell a run that waits."""

    connection_id: Annotated[str, Field(min_length=1, max_length=255)]
    #: Reaches the steps as ``event.payload``.
    params: AnyJson = None


class EventParams(Body):
    """``params`` that are an event for a run."""

    instance_id: Annotated[str, Field(min_length=1, max_length=255)]
    event_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    payload: AnyJson = None


class EventSent(Shown):
    """The run that an event was sent to."""

    instance_id: str


class TriggerHeaders(Parameters):
    """The headers that matter to a trigger."""

    idempotency_key: Annotated[str | None, Field(alias="idempotency-key", min_length=1, max_length=255)] = None


class RunsQuery(PageQuery):
    """Which runs of a workflow."""

    status: RunStatusShown | None = None


@api.endpoint(
    "POST",
    "/api/workflows/{workflow_id}/trigger",
    scope=Scope.RUNS_TRIGGER,
    status=201,
    body=TriggerRun,
    headers=TriggerHeaders,
    also=(200,),
)
def trigger_run(
    caller: Caller, workflow_id: str, body: TriggerRun, headers: TriggerHeaders
) -> Reply[RunShown | EventSent]:
    """Start a run of a deployed workflow, or send an event to one.

    ``params`` that have ``instanceId`` and ``eventType`` are an event for that run, answered 200; they never start one.
    """
    if size_of(body.params) > LONGEST_PARAMS:
        raise TooLarge(f"params is over {LONGEST_PARAMS} bytes of JSON", field="params")
    if isinstance(body.params, dict) and {"instanceId", "eventType"} <= body.params.keys():
        return _send_event(caller, workflow_id, body, headers)
    triggered = runs.trigger(
        caller.project_id,
        workflow_id,
        connection_id=identifiers.known_form(body.connection_id, "Connection"),
        payload=body.params,
        actor=caller.actor,
        once=_once(workflow_id, body, headers),
        now=caller.now,
    )
    if triggered.replayed:
        return Reply(body=row(triggered.run), status=200, headers={"Idempotency-Replayed": "true"})
    return Reply(body=row(triggered.run))


def _send_event(caller: Caller, workflow_id: str, body: TriggerRun, headers: TriggerHeaders) -> Reply[EventSent]:
    event = checked(EventParams, body.params, within="params")
    connections.load(caller.project_id, body.connection_id)
    sent = runs.deliver(
        caller.project_id,
        identifiers.known_form(event.instance_id, "Run"),
        workflow_id=workflow_id,
        event_type=event.event_type,
        payload=event.payload,
        actor=caller.actor,
        now=caller.now,
        once=_once(workflow_id, body, headers),
    )
    replayed = {"Idempotency-Replayed": "true"} if sent.replayed else {}
    return Reply(body=EventSent(instance_id=sent.run.id), status=200, headers=replayed)


@api.endpoint("GET", "/api/workflows/{workflow_id}/runs", scope=Scope.RUNS_READ, query=RunsQuery)
def list_runs(caller: Caller, workflow_id: str, query: RunsQuery) -> PageShown[RunShown]:
    """List a workflow's runs, newest first.

    A page may hold fewer rows than ``limit``; only a null ``nextCursor`` is the end. An output over 32 KB is null here:
    poll the run for it.
    """
    return rows(caller.project_id, workflow_id, status=query.status, cursor=query.cursor, limit=query.limit)


@api.endpoint("GET", "/api/workflows/{workflow_id}/runs/{run_id}", scope=Scope.RUNS_READ)
def get_run(caller: Caller, workflow_id: str, run_id: str) -> RunShown:
    """Show a run as it is now."""
    return row(runs.load(caller.project_id, run_id, workflow_id))


@api.endpoint("POST", "/api/workflows/{workflow_id}/runs/{run_id}/pause", scope=Scope.RUNS_CONTROL)
def pause_run(caller: Caller, workflow_id: str, run_id: str) -> Done:
    """Pause a run: steps that execute finish and keep their results, and none starts until it is resumed."""
    runs.pause(caller.project_id, run_id, workflow_id=workflow_id, ask=_ask(caller), now=caller.now)
    return Done()


@api.endpoint("POST", "/api/workflows/{workflow_id}/runs/{run_id}/resume", scope=Scope.RUNS_CONTROL)
def resume_run(caller: Caller, workflow_id: str, run_id: str) -> Done:
    """Resume a paused run; this satisfies no event and no approval."""
    runs.resume(caller.project_id, run_id, workflow_id=workflow_id, ask=_ask(caller), now=caller.now)
    return Done()


@api.endpoint("POST", "/api/workflows/{workflow_id}/runs/{run_id}/terminate", scope=Scope.RUNS_CONTROL)
def terminate_run(caller: Caller, workflow_id: str, run_id: str) -> Done:
    """End a run now: no step starts any more."""
    runs.terminate(caller.project_id, run_id, workflow_id=workflow_id, ask=_ask(caller), now=caller.now)
    return Done()


def _ask(caller: Caller) -> runs.Ask:
    return runs.Ask(actor=caller.actor, request_id=caller.request_id)


def _once(workflow_id: str, body: TriggerRun, headers: TriggerHeaders) -> Once | None:
    if headers.idempotency_key is None:
        return None
    return Once(
        scope=TRIGGER,
        key=headers.idempotency_key,
        request_digest=request_digest([workflow_id, body.connection_id, body.params]),
    )
