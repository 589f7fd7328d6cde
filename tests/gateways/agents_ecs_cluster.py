"""A cluster as moto plays it, an order for it, and the gateway to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mypy_boto3_ecs import ECSClient
from mypy_boto3_ecs.type_defs import TaskTypeDef
from mypy_boto3_s3.literals import BucketLocationConstraintType
from mypy_boto3_s3.type_defs import CreateBucketConfigurationTypeDef

from chalicelib.gateways import clients
from chalicelib.gateways.agents import Order
from chalicelib.gateways.agents_ecs import EcsAgents
from chalicelib.gateways.clients import OWN_ACCESS
from chalicelib.settings import Settings

BUCKET = "stepwell-files"
CLUSTER = "agents"
SETTINGS = Settings(
    bucket=BUCKET,
    agent_cluster=CLUSTER,
    agent_subnets=("subnet-1", "subnet-2"),
    agent_security_groups=("sg-1",),
    agent_public_ip=True,
)


@dataclass(frozen=True, kw_only=True)
class EcsCluster:
    """What there is in the cluster."""

    ecs: ECSClient

    def task(self, handle: str) -> TaskTypeDef:
        """Return the task as ECS describes it."""
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=[handle])["tasks"][0]

    def count(self) -> int:
        """Return how many tasks run."""
        return len(self.ecs.list_tasks(cluster=CLUSTER)["taskArns"])

    def environment(self, handle: str) -> dict[str, str]:
        """Return what the agent's container was told."""
        (container,) = self.task(handle)["overrides"]["containerOverrides"]
        assert container["name"] == "agent"
        return {pair["name"]: pair["value"] for pair in container["environment"]}


def make_cluster(region: BucketLocationConstraintType) -> EcsCluster:
    """Return a cluster that knows one template, ``default``, and the bucket beside it."""
    ecs = clients.ecs(OWN_ACCESS)
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.register_task_definition(
        family="stepwell-agent-default",
        networkMode="bridge",  # with Fargate's own, moto makes a VPC around it, half a second a test
        cpu="1024",
        memory="2048",
        # moto adds the containers' memory up, which Fargate does not ask for.
        containerDefinitions=[{"name": "agent", "image": "agent:1", "memory": 2048}],
    )
    location: CreateBucketConfigurationTypeDef = {"LocationConstraint": region}
    clients.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    return EcsCluster(ecs=ecs)


def ecs_agents(**parts: object) -> EcsAgents:
    """Return the gateway to a cluster; ``parts`` are other settings."""
    return EcsAgents.of(Settings(**{**vars(SETTINGS), **parts}))


def an_order(name: str = "one", *, template_id: str = "default", token: str = "", work: str = "{}") -> Order:
    return Order(
        id=f"ticket-{name}",
        project_id="proj_1",
        cli_id="claude",
        work=work,
        template_id=template_id,
        cpu_units=4096,
        memory_mb=16384,
        timeout=timedelta(hours=1),
        callback_url="https://flows.example.com/api/v1/agents/ticket",
        token=token,
    )
