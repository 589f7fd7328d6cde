"""Runs a function (``kind: script``): the same engine, in memory, within the request.

No record, no second attempt, no waiting.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import engine, template
from chalicelib.domain.definition import ROOT, Definition
from chalicelib.domain.engine import Decision, Finish
from chalicelib.domain.outcome import Failed, Outcome
from chalicelib.domain.progress import Progress
from chalicelib.domain.refusal import BadRequest, NotFound
from chalicelib.domain.run import Run, RunStatus
from chalicelib.domain.starting import Driver, Limits
from chalicelib.domain.step import Claim, StepError, StepStatus
from chalicelib.domain.value import Json, resolved
from chalicelib.domain.workflow import Deployment, WorkflowKind
from chalicelib.services import definitions
from chalicelib.services.attempts import Attempts, attempts, is_inline
from chalicelib.services.clock import Clock, SystemClock
from chalicelib.services.outside import Outside, current
from chalicelib.services.values import Values
from chalicelib.store import deployments

#: API Gateway gives up after 29 seconds; a function says so itself before.
LONGEST = timedelta(seconds=27)
#: How many functions may call one another in a row.
DEEPEST = 10
#: What the names of nodes that a function answers with begin with.
EXPORT = "EXPORT_"


class ScriptFailed(Exception):
    """A node failed with nothing to catch it, or the time was up."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def run_deployed(
    project_id: str,
    workflow_id: str,
    *,
    connection_id: str,
    body: Json,
    depth: int,
    now: datetime,
    outside: Outside,
) -> Json:
    """Run the function that is deployed on a connection, as another workflow's step; NotFound where there is none."""
    deployment = deployments.load(workflow_id, connection_id)
    if deployment is None or deployment.project_id != project_id:
        message = f"function {workflow_id} is not deployed on this connection"
        raise NotFound(message)
    if deployment.kind is not WorkflowKind.SCRIPT:
        message = f"{workflow_id} is a workflow, not a function"
        raise BadRequest(message)
    return run(deployment, body, depth=depth, now=now, outside=outside)


def run(
    deployment: Deployment,
    body: Json,
    *,
    now: datetime,
    depth: int = 0,
    clock: Clock | None = None,
    outside: Outside | None = None,
) -> Json:
    """Return what a function answers; ScriptFailed where it fails."""
    if depth > DEEPEST:
        message = f"functions call one another more than {DEEPEST} deep"
        raise ScriptFailed(message)
    clock, outside = clock or SystemClock(), outside or current()
    values = Values(project_id=deployment.project_id, payloads=outside.payloads)
    call = _call(deployment, body, depth, now)
    definition = definitions.of(call, values)
    progress = Progress.rebuild(definition, definitions.facts(call), resolve=values.resolver())
    with attempts(clock=clock, outside=outside) as made:
        finish = _run(call, progress, made, deadline=now + LONGEST)
    if finish.error is not None:
        raise ScriptFailed(finish.error.message)
    return _answer(definition, progress)


def _run(call: Run, progress: Progress, made: Attempts, *, deadline: datetime) -> Finish:
    """Carry a function through to its end."""
    quick: deque[Claim] = deque()

    def advance() -> Decision:
        decided = engine.advance(
            progress,
            status=RunStatus.RUNNING,
            now=made.clock.now(),
            driver=Driver(owner=call.id, deadline=deadline + LONGEST),
            limits=Limits(expires_at=deadline),
        )
        _start(call, progress, made, decided.claims, quick)
        return decided

    decision = advance()
    while decision.finish is None:
        if quick:
            claim = quick.popleft()
            ended: tuple[Claim, Outcome] | None = (claim, made.make(call, progress, claim))
        else:
            ended = made.next_ended(seconds=max(0.001, (deadline - made.clock.now()).total_seconds()))
        if ended is not None and progress.counts(ended[0].key):
            claim, outcome = ended
            progress.record(engine.conclude(progress, claim.key, _final(claim, outcome), now=made.clock.now()))
        decision = advance()
    return decision.finish


def _start(call: Run, progress: Progress, made: Attempts, claims: Sequence[Claim], quick: deque[Claim]) -> None:
    for claim in claims:
        if claim.deadline is None:
            continue
        if is_inline(progress, claim.key):
            quick.append(claim)
        else:
            made.start(call, progress, claim)


def _final(claim: Claim, outcome: Outcome) -> Outcome:
    """Return an attempt's outcome as a function takes it: there is no second attempt, and nothing to wait in."""
    if isinstance(outcome, Failed):
        return replace(outcome, retryable=False)
    if hasattr(outcome, "wait"):
        return Failed(error=StepError(code="waits", message="a function cannot wait", step=claim.key), retryable=False)
    return outcome


def _answer(definition: Definition, progress: Progress) -> Json:
    """Return the trigger code rendered, or what the nodes named ``EXPORT_…`` came to, by the rest of their names."""
    if definition.answer is not None:
        try:
            return template.render(_parsed(definition.answer), progress.scope_in(progress.root))
        except template.TemplateError as error:
            raise ScriptFailed(str(error)) from error
    exported = (
        (spec, progress.records.get(spec.ref)) for spec in definition.steps.values() if spec.name.startswith(EXPORT)
    )
    return {
        spec.name.removeprefix(EXPORT): resolved(record.output, progress.resolve)
        for spec, record in exported
        if record is not None and record.status is StepStatus.COMPLETED
    }


def _parsed(code: Json) -> Json:
    """Return trigger code that is JSON with templates in it as that JSON, so that numbers stay numbers.

    Other text as it is.
    """
    if not isinstance(code, str):
        return code
    try:
        parsed: Json = json.loads(code)
    except ValueError:
        return code
    return parsed


def _call(deployment: Deployment, body: Json, depth: int, now: datetime) -> Run:
    """Return the run that a function's nodes see; it is never recorded."""
    return Run(
        id=str(uuid.uuid4()),
        project_id=deployment.project_id,
        workflow_id=deployment.workflow_id,
        version_id=deployment.version_id,
        version=deployment.version,
        connection_id=deployment.connection_id,
        status=RunStatus.RUNNING,
        triggered_by="function",
        created_by=ROOT,
        created_at=now,
        updated_at=now,
        payload=body,
        depth=depth,
    )
