"""Builders for tests of what people and workers outside find: steps that wait for them, and runs that do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalicelib.domain.access import Actor
from chalicelib.domain.definition import Definition, StepSpec, StepType
from chalicelib.domain.step import StepStatus
from chalicelib.domain.ticket import Ticket, TicketKind
from chalicelib.domain.value import Json
from chalicelib.services import event_keys, jobs, verbs
from chalicelib.services.jobs import Worker
from chalicelib.services.verbs import Ask
from chalicelib.store import tickets
from chalicelib.store.table import connection
from tests.domain.building import a_step
from tests.services.house import House

ADA = Actor(key_id="k1", name="ada")
BOB = Actor(key_id="k2", name="bob")
ASK = Ask(actor=ADA, request_id="r1")


def a_job(ref: str = "job", *, payload: Json = None, retries: int = 0, timeout: timedelta | None = None) -> StepSpec:
    """Return a step that hands its payload to a worker outside."""
    spec = a_step(ref, StepType.JOB, config={"jobId": "resize", "payload": payload}, retries=retries)
    return replace(spec, timeout=timeout)


def a_wait_by_key(ref: str = "wait", *, key: str = "paid", timeout: str = "1 hour", retries: int = 0) -> StepSpec:
    """Return a step that waits for an event by key."""
    config: dict[str, Json] = {"eventKey": key, "timeout": timeout}
    return a_step(ref, StepType.WAIT_FOR_EVENT, config=config, retries=retries)


def an_approval(ref: str = "ok", **config: Json) -> StepSpec:
    """Return a step that waits for a person."""
    return a_step(ref, StepType.APPROVAL, config={"approvers": ["ada"], "timeout": "1 hour", **config})


def waiting(house: House, definition: Definition, **parts: object) -> str:
    """Start a run and let it come as far as it can by itself."""
    run_id = house.start(definition, **parts)  # type: ignore[arg-type] # a test names the parts
    house.drain()
    return run_id


def ticket_of(house: House, run_id: str, key: str) -> Ticket:
    """Return the ticket of a step's last wait, as it is now."""
    wait = house.records(run_id)[key].wait
    assert wait is not None
    assert wait.ticket is not None
    of_event = tickets.of_events("p", [(wait.note, wait.ticket)]) if wait.note else ()
    [found] = of_event or tickets.load_many([wait.ticket])
    return found


def listed(kind: TicketKind) -> list[Ticket]:
    """Return every ticket of a kind in the project, newest first."""
    return list(tickets.page("p", kind, None, cursor=None, limit=100).items)


def report(house: House, job: Ticket, output: Json = "done", *, actor: Actor = ADA) -> Ticket:
    """Complete a job."""
    return jobs.complete("p", job.id, output, worker=Worker(actor=actor), now=house.clock.now(), outside=house.outside)


def send(house: House, payload: Json = "yes", *, key: str = "paid") -> Ticket:
    """Send an event by key."""
    return event_keys.send("p", key, payload, actor_name="ada", now=house.clock.now(), outside=house.outside)


def terminate(house: House, run_id: str) -> None:
    """Cancel a run, and let everything come of it that does."""
    verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
    house.drain()


def terminate_unheard(house: House, run_id: str) -> None:
    """Cancel a run, and lose the invocation that would take down what its steps have set up."""
    verbs.terminate("p", run_id, ask=ASK, now=house.clock.now(), clock=house.clock, outside=house.outside)
    house.invoker.queue.clear()


def status_of(house: House, run_id: str, key: str) -> StepStatus:
    """Return where a step's record says that it stands."""
    return house.records(run_id)[key].status


@contextmanager
def calls() -> Iterator[list[str]]:
    """Note what DynamoDB is asked meanwhile."""
    made: list[str] = []

    def note(model: Any, **_: object) -> None:
        made.append(model.name)

    events = connection().connection.client.meta.events
    events.register("before-call.dynamodb", note)
    try:
        yield made
    finally:
        events.unregister("before-call.dynamodb", note)
