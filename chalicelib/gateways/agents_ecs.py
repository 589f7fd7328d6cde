"""Sandboxes on AWS: one Fargate task each, in the account of the step's connection.

The work lies in Stepwell's own bucket, and the task is given a URL to it; so neither the limits of a task's environment
nor the rights of its role are in the way. ``examples/agents/`` has what such a task runs.
"""

from __future__ import annotations

import re
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.gateways import clients
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ecs.type_defs import KeyValuePairTypeDef, TaskOverrideTypeDef

    from chalicelib.gateways.agents import Order
    from chalicelib.gateways.clients import AwsAccess
    from chalicelib.settings import Settings

#: For how long the work can be fetched; a task that takes longer to begin is lost by then.
WORK_URL_LASTS: Final = timedelta(hours=1)

#: What the container must be called that does the work: the others of a task keep their own environment.
CONTAINER: Final = "agent"

#: As much of a reason as ECS keeps.
LONGEST_REASON: Final = 255

#: As much of what ECS says as a run's record shall have.
LONGEST_MESSAGE: Final = 300

#: What ECS's refusals are called in a run's record. The others are ``agent_start_failed``.
CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AccessDeniedException": "access_denied",
        "ClusterNotFoundException": "agents_not_configured",
        "ExpiredTokenException": "access_denied",
        "InvalidClientTokenId": "access_denied",
        "ThrottlingException": "throttled",
        "UnrecognizedClientException": "access_denied",
    },
)

_NO_DEFINITION: Final = re.compile(r"task ?definition", re.IGNORECASE)

#: By which ECS says that there is nothing to stop.
_GONE: Final = frozenset({"ClusterNotFoundException", "InvalidParameterException"})


class EcsAgents:
    """Sandboxes as tasks of one cluster, whose task definitions are ``<prefix><template id>``."""

    def __init__(
        self,
        *,
        bucket: str,
        cluster: str,
        subnets: tuple[str, ...],
        security_groups: tuple[str, ...] = (),
        public_ip: bool = False,
        task_prefix: str = "stepwell-agent-",
    ) -> None:
        self._bucket = bucket
        self._cluster = cluster
        self._subnets = subnets
        self._security_groups = security_groups
        self._public_ip = public_ip
        self._task_prefix = task_prefix

    @classmethod
    def of(cls, settings: Settings) -> EcsAgents:
        """Return the sandboxes of the deployment's cluster; without one, only ``start`` fails."""
        return cls(
            bucket=settings.bucket,
            cluster=settings.agent_cluster,
            subnets=settings.agent_subnets,
            security_groups=settings.agent_security_groups,
            public_ip=settings.agent_public_ip,
            task_prefix=settings.agent_task_prefix,
        )

    def start(self, access: AwsAccess, order: Order, *, again: bool) -> str:
        """Run the task and return its ARN: two calls to AWS, or one if it was there.

        Asked for twice at once, or again after a crash, it is one task: ECS knows the order's id, its client token, for
        an hour longer than the task lasts, and refuses a second request with it by naming the task of the first. A task
        that was started but of which no answer came reports to a closed ticket, is told so, and ends itself.
        """
        for value, name in ((self._cluster, "STEPWELL_AGENT_CLUSTER"), (self._subnets, "STEPWELL_AGENT_SUBNETS")):
            if not value:
                raise CallFailed("agents_not_configured", f"{name} is not set, so no agent can run", retryable=False)
        there = self._running(access, order) if again else None
        if there is not None:
            return there
        url = self._put(order)
        try:
            answer = clients.ecs(access).run_task(
                cluster=self._cluster,
                taskDefinition=f"{self._task_prefix}{order.template_id}",
                launchType="FARGATE",
                count=1,
                clientToken=order.id,
                startedBy=order.id,
                networkConfiguration={
                    "awsvpcConfiguration": {
                        "subnets": list(self._subnets),
                        "securityGroups": list(self._security_groups),
                        "assignPublicIp": "ENABLED" if self._public_ip else "DISABLED",
                    }
                },
                overrides=_overrides(order, url),
            )
        except ClientError as error:
            if clients.code_of(error) != "ConflictException":
                raise self._refused(error, order) from error
            return self._conflicting(access, order, error)
        except BotoCoreError as error:
            raise _unreached(error) from error
        if answer["tasks"]:
            return answer["tasks"][0]["taskArn"]
        reasons = ", ".join(failure.get("reason", "unknown") for failure in answer["failures"]) or "unknown"
        raise CallFailed("agent_start_failed", f"ECS started no task: {reasons}", retryable=True)

    def stop(self, access: AwsAccess, handle: str, *, reason: str) -> None:
        """Stop the task; one that has stopped, or that ECS has forgotten, is left alone."""
        try:
            clients.ecs(access).stop_task(
                cluster=_cluster_in(handle) or self._cluster, task=handle, reason=reason[:LONGEST_REASON]
            )
        except ClientError as error:
            if clients.code_of(error) not in _GONE:
                raise self._refused(error) from error
        except BotoCoreError as error:
            raise _unreached(error) from error

    def _running(self, access: AwsAccess, order: Order) -> str | None:
        try:
            found = clients.ecs(access).list_tasks(cluster=self._cluster, startedBy=order.id)["taskArns"]
        except ClientError as error:
            raise self._refused(error, order) from error
        except BotoCoreError as error:
            raise _unreached(error) from error
        return found[0] if found else None

    def _conflicting(self, access: AwsAccess, order: Order, error: ClientError) -> str:
        """Return the task of an earlier request, which ECS names in its refusal, though it may have stopped."""
        named = error.response.get("resourceIds")
        there = str(named[0]) if isinstance(named, list) and named else self._running(access, order)
        if there is None:
            raise CallFailed("agent_start_failed", "ECS: ConflictException", retryable=True) from error
        return there

    def _put(self, order: Order) -> str:
        """Put the work where the task finds it. A second writer of the key writes the same order's work."""
        key = f"agent-work/{order.project_id}/{order.id}.json"
        with clients.unavailable(f"bucket {self._bucket}"):
            clients.s3().put_object(
                Bucket=self._bucket, Key=key, Body=order.work.encode(), ContentType="application/json"
            )
            return clients.s3().generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": key},
                ExpiresIn=int(WORK_URL_LASTS.total_seconds()),
            )

    def _refused(self, error: ClientError, order: Order | None = None) -> CallFailed:
        code = clients.code_of(error)
        said = error.response.get("Error", {}).get("Message", "")
        if code == "ClientException" and order is not None and _NO_DEFINITION.search(said):
            message = f"ECS has no task definition {self._task_prefix}{order.template_id}"
            return CallFailed("template_not_found", message, retryable=False)
        if code == "ClusterNotFoundException":
            message = "ECS has no cluster of the name in STEPWELL_AGENT_CLUSTER in the connection's account and region"
            return CallFailed(CODES[code], message, retryable=False)
        message = f"ECS: {code}: {said}"[:LONGEST_MESSAGE]
        return CallFailed(CODES.get(code, "agent_start_failed"), message, retryable=clients.is_passing(error))


def _overrides(order: Order, url: str) -> TaskOverrideTypeDef:
    """Return the task's own size, and what its container is told."""
    told = {
        "STEPWELL_WORK_URL": url,
        "STEPWELL_CALLBACK_URL": order.callback_url,
        "STEPWELL_CALLBACK_TOKEN": order.token,
        "STEPWELL_CLI": order.cli_id,
        "STEPWELL_TIMEOUT_SECONDS": str(max(int(order.timeout.total_seconds()), 1)),
    }
    environment: list[KeyValuePairTypeDef] = [{"name": name, "value": value} for name, value in told.items()]
    return {
        "cpu": str(order.cpu_units),
        "memory": str(order.memory_mb),
        "containerOverrides": [{"name": CONTAINER, "environment": environment}],
    }


def _cluster_in(handle: str) -> str | None:
    """Return the cluster that a task's ARN names, ``arn:…:task/<cluster>/<id>``: the setting may be another by now."""
    parts = handle.split("/")
    return parts[1] if len(parts) == 3 else None  # noqa: PLR2004 - the three just shown


def _unreached(error: BotoCoreError) -> CallFailed:
    return CallFailed("connection_failed", f"ECS: {type(error).__name__}", retryable=True)
