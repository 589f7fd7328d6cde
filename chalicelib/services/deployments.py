"""Deployments: which version of a workflow can be triggered, or called, on which connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.access import Actor
from chalicelib.domain.refusal import BadRequest, NotFound
from chalicelib.domain.workflow import Deployment, Workflow, WorkflowKind, WorkflowVersion
from chalicelib.services import connections, contents, function_tokens, identifiers, versions, workflows
from chalicelib.services.judging import judged_anew
from chalicelib.store import deployments as store


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A deployment as it was made."""

    deployment: Deployment
    #: The token of a script's URL, a credential; none for a workflow.
    token: str | None = field(repr=False)


def deploy(
    project_id: str,
    workflow_id: str,
    *,
    connection_id: str,
    version_id: str | None,
    actor: Actor,
    now: datetime,
) -> Deployed:
    """Deploy a version, the newest where none is named, in place of what is deployed there.

    A script keeps its URL until it is taken down.
    """

    def use_case() -> Deployed:
        workflow = workflows.load(project_id, workflow_id)
        connection = connections.load(project_id, connection_id)
        before = store.load(workflow.id, connection.id)
        version = _newest(workflow, actor, now) if version_id is None else versions.load(workflow, version_id)
        content = contents.content_of(version, contents.values_of(project_id))
        deployment = Deployment(
            id=identifiers.deployment_id(),
            project_id=project_id,
            workflow_id=workflow.id,
            connection_id=connection.id,
            version_id=version.id,
            version=version.number,
            kind=workflow.kind,
            function_nonce=_nonce(workflow, before),
            settings=content.settings,
            personas=contents.outline_of(content).personas,
            created_by=actor.name,
            created_at=now,
        )
        digest = function_tokens.digest(deployment)
        store.deploy(deployment, version=version, replaces=before, function_digest=digest)
        return Deployed(deployment=deployment, token=function_tokens.token_of(deployment))

    return judged_anew(use_case)


def take_down(project_id: str, workflow_id: str, *, connection_id: str) -> None:
    """Take a workflow down from a connection, and with it a function's URL; NotFound where it is not deployed."""

    def use_case() -> None:
        workflow = workflows.load(project_id, workflow_id)
        connection = connections.load(project_id, connection_id)
        deployment = store.load(workflow.id, connection.id)
        if deployment is None:
            raise NotFound("Not deployed on this connection")
        store.takedown(deployment, function_digest=function_tokens.digest(deployment))

    judged_anew(use_case)


def of_workflow(project_id: str, workflow_id: str) -> tuple[Deployment, ...]:
    """Return a workflow's deployments, by connection."""
    return store.of_workflow(workflows.load(project_id, workflow_id).id)


def by_token(token: str) -> Deployment:
    """Return the deployment whose function's URL has the token, or refuse it as NotFound."""
    deployment = store.load_function(function_tokens.digest_of_token(token))
    if deployment is None:
        raise NotFound("Function not found")
    return deployment


def _newest(workflow: Workflow, actor: Actor, now: datetime) -> WorkflowVersion:
    """Return the newest version; trigger code changed since it was saved makes a newer one of the same graph."""
    newest = versions.find_newest(workflow)
    if newest is None:
        raise BadRequest("No version to deploy")
    content = contents.content_of(newest, contents.values_of(workflow.project_id))
    if content.trigger_code == workflow.trigger_code:
        return newest
    return versions.save_newest(workflow, content, actor=actor, now=now).version


def _nonce(workflow: Workflow, before: Deployment | None) -> str | None:
    if workflow.kind is not WorkflowKind.SCRIPT:
        return None
    return before.function_nonce if before is not None else function_tokens.new_nonce()
