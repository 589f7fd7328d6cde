"""What is deployed of a workflow on each connection, and the functions' URLs that lead there."""

from __future__ import annotations

from typing import Self

from pynamodb.expressions.condition import And, Condition

from chalicelib.domain.workflow import Deployment, WorkflowKind, WorkflowVersion
from chalicelib.store import keys, transactions, values
from chalicelib.store.keys import Key
from chalicelib.store.table import (
    Flag,
    Item,
    MaybeText,
    MaybeTime,
    Raw,
    Text,
    Time,
    Whole,
    find,
    none_if_impossible,
    query,
)
from chalicelib.store.transactions import Write


class DeploymentItem(Item):
    """A deployment, whole: to trigger a run, or to call a function, takes no other read of the library."""

    id = Text()
    project_id = Text()
    workflow_id = Text()
    connection_id = Text()
    version_id = Text()
    version = Whole()
    kind = Text()
    function_nonce = MaybeText()
    settings = MaybeText()
    personas = MaybeText()
    created_by = Text()
    created_at = Time()

    @classmethod
    def of(cls, key: Key, deployment: Deployment) -> Self:
        """Return the item of a deployment, for its own place or its function's."""
        return cls(
            *key,
            id=deployment.id,
            project_id=deployment.project_id,
            workflow_id=deployment.workflow_id,
            connection_id=deployment.connection_id,
            version_id=deployment.version_id,
            version=deployment.version,
            kind=deployment.kind.value,
            function_nonce=deployment.function_nonce,
            settings=values.settings_text(deployment.settings),
            personas=values.texts_text(deployment.personas),
            created_by=deployment.created_by,
            created_at=deployment.created_at,
        )

    def deployment(self) -> Deployment:
        """Return the deployment."""
        return Deployment(
            id=self.id,
            project_id=self.project_id,
            workflow_id=self.workflow_id,
            connection_id=self.connection_id,
            version_id=self.version_id,
            version=self.version,
            kind=WorkflowKind(self.kind),
            function_nonce=self.function_nonce,
            settings=values.settings_of(self.settings),
            personas=values.texts_of(self.personas),
            created_by=self.created_by,
            created_at=self.created_at,
        )


class _WorkflowState(Item):
    """As much of a workflow as a deployment is conditional on."""

    deleted_at = MaybeTime()


class _VersionState(Item):
    """As much of a version as a deployment is conditional on and changes."""

    updated_at = Time()
    deployed = Flag()


def deploy(
    deployment: Deployment,
    *,
    version: WorkflowVersion,
    replaces: Deployment | None,
    function_digest: str | None = None,
) -> None:
    """Deploy a version, in place of what was deployed on the connection; for a script, under its function's URL too.

    Superseded if something else is deployed there by now, the version's content has changed since it was judged, or the
    workflow went to the trash. From then on the version never changes.
    """
    writes = [
        placing(deployment, replaces),
        transactions.update(
            _VersionState,
            keys.version(version.workflow_id, version.number),
            [_VersionState.deployed.set(True)],
            _VersionState.updated_at == version.updated_at,
            part="version",
        ),
        transactions.check(
            _WorkflowState,
            keys.workflow(deployment.workflow_id),
            And(_WorkflowState.pk.exists(), _WorkflowState.deleted_at.does_not_exist()),
            part="workflow",
        ),
    ]
    if function_digest is not None:
        function_item = DeploymentItem.of(keys.function(function_digest), deployment)
        writes.append(transactions.put(function_item, part="function"))
    transactions.commit(*writes)


def takedown(deployment: Deployment, *, function_digest: str | None = None) -> None:
    """Take a deployment down, and its function's URL with it; Superseded if something else is deployed there by now."""
    transactions.commit(*removal(deployment, function_digest))


@none_if_impossible
def load(workflow_id: str, connection_id: str) -> Deployment | None:
    """Return what is deployed of the workflow on the connection."""
    item = find(DeploymentItem, keys.deployment(workflow_id, connection_id))
    return item.deployment() if item else None


def read(raw: Raw) -> Deployment:
    """Return the deployment that a batch has read."""
    return DeploymentItem.from_raw_data(raw).deployment()


@none_if_impossible
def load_function(digest: str) -> Deployment | None:
    """Return what a function's URL leads to, by the digest of its token."""
    item = find(DeploymentItem, keys.function(digest))
    return item.deployment() if item else None


def of_workflow(workflow_id: str) -> tuple[Deployment, ...]:
    """Return all that is deployed of a workflow: at most one for each of its project's connections."""
    within = DeploymentItem.sk.startswith(keys.DEPLOYMENTS)
    found = query(keys.workflow(workflow_id).pk, within)
    return tuple(DeploymentItem.from_raw_data(raw).deployment() for raw in found)


def placing(deployment: Deployment, replaces: Deployment | None) -> Write:
    """Return the write that deploys, in place of what was seen there and of nothing else."""
    as_judged: Condition = DeploymentItem.pk.does_not_exist() if replaces is None else DeploymentItem.id == replaces.id
    return transactions.put(DeploymentItem.of(_key(deployment), deployment), as_judged, part="deployment")


def removal(deployment: Deployment, function_digest: str | None) -> tuple[Write, ...]:
    """Return the writes that take a deployment down."""
    own = transactions.delete(
        DeploymentItem,
        _key(deployment),
        DeploymentItem.id == deployment.id,
        part="deployment",
    )
    if function_digest is None:
        return (own,)
    return own, transactions.delete(DeploymentItem, keys.function(function_digest), part="function")


def _key(deployment: Deployment) -> Key:
    return keys.deployment(deployment.workflow_id, deployment.connection_id)
