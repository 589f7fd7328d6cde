"""The settings of one process, read once from its environment.

Nothing else reads environment variables, but for Powertools' and X-Ray's own, in ``logs`` and ``tracing``.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The longest that Lambda lets a function run, and what `drive` and `work` are deployed with.
LONGEST_FUNCTION_SECONDS: Final = 900


class BadSetting(ValueError):
    """An environment variable holds something that Stepwell cannot use; the message names it, never its value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where this process finds its table, bucket, functions and state machine, and what it permits.

    Every setting has a default, so that ``import app`` (packaging, tests) needs no environment at all. An empty name
    means "not deployed": the call that needs it fails, not the import.
    """

    #: AWS_REGION, which Lambda sets (AWS_DEFAULT_REGION elsewhere): the region that this process runs in.
    region: str = "us-east-1"
    #: STEPWELL_TABLE: the DynamoDB table that holds everything.
    table: str = "stepwell"
    #: STEPWELL_BUCKET: the S3 bucket of payloads and files.
    bucket: str = "stepwell"
    #: STEPWELL_PARK_STATE_MACHINE_ARN: the state machine that holds runs which wait.
    park_state_machine_arn: str = ""
    #: STEPWELL_DRIVE_FUNCTION: the name of the Lambda function that drives a run.
    drive_function: str = "drive"
    #: STEPWELL_WORK_FUNCTION: the name of the Lambda function that runs a batch of claimed steps.
    work_function: str = "work"
    #: STEPWELL_KEY_PEPPER: the secret under which API keys are hashed. Kept out of ``repr``.
    key_pepper: str = field(default="", repr=False)
    #: STEPWELL_PUBLIC_URL: the base of the URLs that are handed out, no slash at its end; empty: the request's own.
    public_url: str = ""
    #: STEPWELL_HTTP_ALLOW: private networks that http_request may reach all the same, such as ``10.1.0.0/16``.
    http_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    #: STEPWELL_FUNCTION_TIMEOUT_SECONDS: the Lambda timeout of `drive` and `work`.
    function_timeout_seconds: int = LONGEST_FUNCTION_SECONDS
    #: STEPWELL_AGENTS: where agents run: `ecs`, or `local`, which the local stack sets.
    agents: str = "ecs"
    #: STEPWELL_AGENT_CLUSTER: the ECS cluster that agents run in, by name or ARN.
    agent_cluster: str = ""
    #: STEPWELL_AGENT_SUBNETS: the subnets that agents run in, with commas between.
    agent_subnets: tuple[str, ...] = ()
    #: STEPWELL_AGENT_SECURITY_GROUPS: the security groups of agents, with commas between; empty: the VPC's own.
    agent_security_groups: tuple[str, ...] = ()
    #: STEPWELL_AGENT_PUBLIC_IP: `true` gives each agent a public address, which it needs in a subnet without NAT.
    agent_public_ip: bool = False
    #: STEPWELL_AGENT_TASK_PREFIX: what the families of agents' task definitions begin with; a `templateId` follows.
    agent_task_prefix: str = "stepwell-agent-"
    #: STEPWELL_AGENT_CLAUDE: the command of `claude` on the local stack.
    agent_claude: str = ""
    #: STEPWELL_AGENT_CODEX: the command of `codex` on the local stack.
    agent_codex: str = ""
    #: STEPWELL_AGENT_OPENCODE: the command of `opencode` on the local stack.
    agent_opencode: str = ""
    #: STEPWELL_AGENT_PI: the command of `pi` on the local stack.
    agent_pi: str = ""
    #: STEPWELL_AGENT_HEARTBEAT_SECONDS: how often the local stack says that an agent is alive.
    agent_heartbeat_seconds: int = 10
    #: PATH: where the local stack finds agents' commands.
    search_path: str = os.defpath

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; a variable that is absent or empty takes its default, a bad one raises BadSetting."""
        return cls(
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or cls.region,
            table=env.get("STEPWELL_TABLE") or cls.table,
            bucket=env.get("STEPWELL_BUCKET") or cls.bucket,
            park_state_machine_arn=env.get("STEPWELL_PARK_STATE_MACHINE_ARN") or cls.park_state_machine_arn,
            drive_function=env.get("STEPWELL_DRIVE_FUNCTION") or cls.drive_function,
            work_function=env.get("STEPWELL_WORK_FUNCTION") or cls.work_function,
            key_pepper=env.get("STEPWELL_KEY_PEPPER") or "",
            public_url=env.get("STEPWELL_PUBLIC_URL", "").rstrip("/"),
            http_allow=_networks("STEPWELL_HTTP_ALLOW", env),
            function_timeout_seconds=_seconds("STEPWELL_FUNCTION_TIMEOUT_SECONDS", env, cls.function_timeout_seconds),
            agents=_one_of("STEPWELL_AGENTS", env, ("ecs", "local")),
            agent_cluster=env.get("STEPWELL_AGENT_CLUSTER") or cls.agent_cluster,
            agent_subnets=_names("STEPWELL_AGENT_SUBNETS", env),
            agent_security_groups=_names("STEPWELL_AGENT_SECURITY_GROUPS", env),
            agent_public_ip=_one_of("STEPWELL_AGENT_PUBLIC_IP", env, ("false", "true")) == "true",
            agent_task_prefix=env.get("STEPWELL_AGENT_TASK_PREFIX") or cls.agent_task_prefix,
            agent_claude=env.get("STEPWELL_AGENT_CLAUDE") or "",
            agent_codex=env.get("STEPWELL_AGENT_CODEX") or "",
            agent_opencode=env.get("STEPWELL_AGENT_OPENCODE") or "",
            agent_pi=env.get("STEPWELL_AGENT_PI") or "",
            agent_heartbeat_seconds=_seconds("STEPWELL_AGENT_HEARTBEAT_SECONDS", env, cls.agent_heartbeat_seconds),
            search_path=env.get("PATH") or os.defpath,
        )

    @property
    def agent_commands(self) -> Mapping[str, str]:
        """Return the local stack's commands by ``cliId``; one that is not set is empty."""
        return {
            "claude": self.agent_claude,
            "codex": self.agent_codex,
            "opencode": self.agent_opencode,
            "pi": self.agent_pi,
        }


@functools.cache
def current() -> Settings:
    """Return this process's settings: its environment as it was at the first call."""
    return Settings.from_environment(os.environ)


def reset() -> None:
    """Forget the settings, so that the next ``current()`` reads the environment again (tests, the local stack)."""
    current.cache_clear()


def _one_of(name: str, env: Mapping[str, str], words: tuple[str, ...]) -> str:
    text = env.get(name) or words[0]
    if text not in words:
        message = f"{name} must be {' or '.join(words)}"
        raise BadSetting(message)
    return text


def _names(name: str, env: Mapping[str, str]) -> tuple[str, ...]:
    texts = (text.strip() for text in env.get(name, "").split(","))
    return tuple(text for text in texts if text)


def _networks(name: str, env: Mapping[str, str]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(text) for text in _names(name, env))
    except ValueError as error:
        message = f"{name} must be networks such as 10.1.0.0/16, with commas between"
        raise BadSetting(message) from error


def _seconds(name: str, env: Mapping[str, str], default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LONGEST_FUNCTION_SECONDS:
        message = f"{name} must be a whole number of seconds from 1 to {LONGEST_FUNCTION_SECONDS}"
        raise BadSetting(message)
    return int(text)
