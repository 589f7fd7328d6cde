"""``agent {cliId | personaId, prompt, …}``: has a command-line agent work in a sandbox; answers what it reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from chalicelib import settings
from chalicelib.domain.agent_report import Assignment
from chalicelib.domain.outcome import Outcome, Waiting
from chalicelib.domain.sandbox import size_for
from chalicelib.domain.step import Wait, WaitKind
from chalicelib.domain.ticket import TicketKind, ticket_event
from chalicelib.gateways.agents import Order
from chalicelib.gateways.errors import CallFailed
from chalicelib.services import connections, tickets
from chalicelib.services.agent_tokens import token_of
from chalicelib.services.executors.call import StepCall

#: How long a sandbox may take until its agent is first heard of.
START_GRACE: Final = timedelta(minutes=5)


def execute(call: StepCall) -> Outcome:
    """Start the sandbox and wait for its agent's report, its silence, or the step's ``timeoutMs``, which fail it.

    The ticket comes before the sandbox, which may report at once. An attempt that is made again finds both: they go by
    the same id. A sandbox of which no answer came is left to itself: its ticket is closed, and it is told so.
    """
    from chalicelib.services import agent_setup, agent_work  # noqa: PLC0415 - loaded with a run's first agent: few have one

    setup = agent_setup.setup_of(call)
    size = size_for(setup.cpu_count, setup.memory_mb)
    url = settings.current().public_url
    if not url:
        message = "STEPWELL_PUBLIC_URL is not set, so no agent could report"
        raise CallFailed("agents_not_configured", message, retryable=False)
    work = agent_work.document(call, setup)
    connection = connections.load(call.run.project_id, call.run.connection_id)
    access = call.outside.credentials.assume(connection, run_id=call.run.id)
    deadline, claim = call.now + setup.timeout, call.claim
    beat_by = min(call.now + START_GRACE, deadline)
    ticket = tickets.issued(
        call,
        TicketKind.AGENT,
        name=setup.role,
        payload=Assignment(
            cli_id=setup.cli_id,
            model=setup.model,
            persona_id=setup.persona_id,
            cpu_units=size.cpu_units,
            memory_mb=size.memory_mb,
        ).as_json(),
        expires_at=deadline,
        visible_at=beat_by,
    )
    order = Order(
        id=ticket,
        project_id=call.run.project_id,
        cli_id=setup.cli_id,
        work=work,
        template_id=setup.template_id,
        cpu_units=size.cpu_units,
        memory_mb=size.memory_mb,
        timeout=setup.timeout,
        callback_url=f"{url}/api/v1/agents/{ticket}",
        token=token_of(ticket),
    )
    try:
        handle = call.outside.agents.start(access, order, again=claim.losses > 0)
    except CallFailed:
        tickets.withdraw(ticket, now=call.now)
        raise
    return Waiting(
        wait=Wait(
            kind=WaitKind.AGENT,
            event_type=ticket_event(claim.key, claim.generation, claim.failures),
            until=deadline,
            beat_by=beat_by,
            note=handle,
            ticket=ticket,
        ),
    )
