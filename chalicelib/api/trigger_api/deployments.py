"""Deployments in the trigger API: which version of a workflow runs on which connection."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from chalicelib.api.bodies import Body
from chalicelib.api.requests import Caller
from chalicelib.api.trigger_api.surface import PageShown, Shown, api, shown_time
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import Deployment
from chalicelib.services import deployments

Id = Annotated[str, Field(min_length=1, max_length=255)]


class Deploy(Body):
    """What to deploy where."""

    connection_id: Id
    #: The newest version where it is absent.
    version_id: Id | None = None


class TakeDown(Body):
    """Where to take it down."""

    connection_id: Id


class Deployed(Shown):
    """That it is deployed, and the URL that starts it."""

    success: bool = True
    deployment_id: str
    url: str


class TakenDown(Shown):
    """That it is not deployed any more."""

    success: bool = True


class DeploymentShown(Shown):
    """A deployment."""

    id: str
    workflow_id: str
    connection_id: str
    version_id: str
    version: int
    created_by: str
    created_at: str

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """Return what is shown of a deployment; never a function's URL, which is a credential."""
        return cls(
            id=deployment.id,
            workflow_id=deployment.workflow_id,
            connection_id=deployment.connection_id,
            version_id=deployment.version_id,
            version=deployment.version,
            created_by=deployment.created_by,
            created_at=shown_time(deployment.created_at),
        )


@api.endpoint("POST", "/api/workflows/{workflow_id}/deploy", scope=Scope.WORKFLOWS_DEPLOY, body=Deploy)
def deploy(caller: Caller, workflow_id: str, body: Deploy) -> Deployed:
    """Deploy a version on a connection, in place of what was deployed there.

    A workflow's ``url`` is its trigger endpoint. A script's is its own: it needs no key, so keep it as one; it stays
    the same until the script is taken down.
    """
    deployed = deployments.deploy(
        caller.project_id,
        workflow_id,
        connection_id=body.connection_id,
        version_id=body.version_id,
        actor=caller.actor,
        now=caller.now,
    )
    path = f"/functions/{deployed.token}" if deployed.token else f"/api/workflows/{workflow_id}/trigger"
    return Deployed(deployment_id=deployed.deployment.id, url=caller.base_url + path)


@api.endpoint("POST", "/api/workflows/{workflow_id}/takedown", scope=Scope.WORKFLOWS_DEPLOY, body=TakeDown)
def take_down(caller: Caller, workflow_id: str, body: TakeDown) -> TakenDown:
    """Take a workflow down from a connection: it cannot be triggered there any more, and its runs go on."""
    deployments.take_down(caller.project_id, workflow_id, connection_id=body.connection_id)
    return TakenDown()


@api.endpoint("GET", "/api/workflows/{workflow_id}/deployments", scope=Scope.WORKFLOWS_READ)
def list_deployments(caller: Caller, workflow_id: str) -> PageShown[DeploymentShown]:
    """List what is deployed of a workflow, by connection, on one page."""
    found = deployments.of_workflow(caller.project_id, workflow_id)
    return PageShown[DeploymentShown](data=[DeploymentShown.of(one) for one in found])
