"""How the workflows API starts a run: with a prompt for its agents, and personas as they are at that moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.access import Actor
from chalicelib.domain.idempotency import Once
from chalicelib.domain.persona import Persona
from chalicelib.domain.refusal import BadRequest, Conflict, Detail, Refusal
from chalicelib.domain.value import Json, dumps
from chalicelib.domain.workflow import Deployment, Workflow, WorkflowKind
from chalicelib.services import files, identifiers, starts, workflows
from chalicelib.services.connections import DEFAULT_CONNECTION
from chalicelib.services.outside import Outside, current
from chalicelib.services.starts import Start, Triggered
from chalicelib.store import counters, run_starts
from chalicelib.store.counters import LastRun
from chalicelib.store.errors import Full

#: The kind of request that a start's idempotency key is unique for.
START: Final = "runs/start"
#: As much of a prompt as lists show, in characters.
SHOWN_IN_LISTS: Final = 2000
#: What a refusal calls the workflow.
_FIELD: Final = "workflowId"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the agents of a run are given."""

    prompt: str
    github_repo_url: str | None = None
    branch_name: str | None = None
    #: In place of the workflow's own defaults, field by field.
    config: Mapping[str, Json] | None = None
    #: Uploaded images, by id.
    reference_image_ids: Sequence[str] = ()

    def excerpt(self) -> str:
        """Return what lists need of the payload, as JSON text, where that is too large for them to read."""
        # A character more tells them that there is more.
        return dumps({"prompt": self.prompt[: SHOWN_IN_LISTS + 1], "branchName": self.branch_name})

    def payload(self, personas: Mapping[str, Persona]) -> dict[str, Json]:
        """Return what the run is started with; what nobody said is left out."""
        said: dict[str, Json] = {
            "githubRepoUrl": self.github_repo_url,
            "branchName": self.branch_name,
            "config": self.config or None,
            "referenceImageIds": list(self.reference_image_ids) or None,
            "personas": {one: persona.snapshot() for one, persona in personas.items()} or None,
        }
        return {"prompt": self.prompt, **{name: value for name, value in said.items() if value is not None}}


def start(
    project_id: str,
    workflow_id: str,
    wanted: Wanted,
    *,
    actor: Actor,
    once: Once | None,
    now: datetime,
    outside: Outside | None = None,
) -> Triggered:
    """Start a run of a workflow's newest version; what it needs and cannot have is refused before there is a run.

    With an idempotency key the key's record and the run are written in one transaction. What is checked here may change
    before that: such a run is one that was started a moment sooner, and it keeps its personas as they were.
    """
    outside = outside or current()
    workflow_id = identifiers.known_form(workflow_id, "Workflow")
    before = run_starts.before(project_id, workflow_id, DEFAULT_CONNECTION, once=once, now=now)
    first = starts.of_use(before.used, once) if once is not None else None
    if first is not None:
        return starts.replayed(first, now=now, outside=outside)
    deployment = _startable(project_id, workflow_id, before.deployment)
    named = run_starts.named(deployment.personas, wanted.reference_image_ids)
    _refuse_unfit(project_id, deployment, named.personas)
    if wanted.reference_image_ids:
        files.use(project_id, wanted.reference_image_ids, now=now, found=named.files)
    run_id = str(uuid.uuid4())
    try:
        number = counters.next_number(workflow_id, run_id=run_id, at=now, most=deployment.settings.max_concurrent_runs)
    except Full:
        # Perhaps this very start has the last place, its answer lost.
        first = starts.first_use(project_id, once, now) if once is not None else None
        if first is None:
            raise starts.no_place(deployment.settings) from None
        return starts.replayed(first, now=now, outside=outside)
    begun = Start(
        run_id=run_id,
        triggered_by="api",
        created_by=actor.name,
        created_by_key_id=actor.key_id,
        payload=wanted.payload(named.personas),
        number=number,
        excerpt=wanted.excerpt(),
    )
    triggered = starts.begin(deployment, begun, once=once, now=now, outside=outside)
    if triggered.replayed:
        # The same start was faster, and there is no run of this id.
        counters.correct(
            workflow_id, run_id=run_id, instead=LastRun(run_id=triggered.run.id, at=triggered.run.created_at)
        )
    return triggered


def _startable(project_id: str, workflow_id: str, deployment: Deployment | None) -> Deployment:
    """Return what a run can be started of; a refusal that says why where there is nothing."""
    if deployment is None or deployment.project_id != project_id:
        raise _nothing_deployed(workflows.load_even_deleted(project_id, workflow_id))
    if deployment.kind is WorkflowKind.SCRIPT:
        raise _a_function()
    if not deployment.settings.enabled:
        raise Conflict("the workflow is disabled", field=_FIELD)
    return deployment


def _nothing_deployed(workflow: Workflow) -> Refusal:
    if workflow.deleted_at is not None:
        return Conflict("the workflow is deleted: restore it to start runs of it", field=_FIELD)
    if workflow.kind is WorkflowKind.SCRIPT:
        return _a_function()
    return Conflict(f"no version of the workflow is deployed on {DEFAULT_CONNECTION}", field=_FIELD)


def _a_function() -> Refusal:
    return BadRequest("the workflow is a function, which has no runs: call its own URL", field=_FIELD)


def _refuse_unfit(project_id: str, deployment: Deployment, found: Mapping[str, Persona]) -> None:
    """Refuse to start a run of whose steps one names a persona that cannot work; all such are named."""
    faults = tuple(_faults(project_id, deployment, found))
    if faults:
        raise Conflict(faults[0].message, field=_FIELD, details=faults)


def _faults(project_id: str, deployment: Deployment, found: Mapping[str, Persona]) -> Iterator[Detail]:
    for persona_id in deployment.personas:
        persona = found.get(persona_id)
        if persona is None or persona.project_id != project_id:
            yield Detail(path=_FIELD, message=f"a step names the persona {persona_id}, and there is none of that id")
        elif persona.deleted_at is not None:
            yield Detail(
                path=_FIELD, message=f'a step names the persona "{persona.name}" ({persona_id}), which is deleted'
            )
        elif not persona.is_enabled:
            yield Detail(
                path=_FIELD, message=f'a step names the persona "{persona.name}" ({persona_id}), which is disabled'
            )
