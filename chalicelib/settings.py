"""The settings of one process, read once from its environment; nothing else reads environment variables."""

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
        )


@functools.cache
def current() -> Settings:
    """Return this process's settings: its environment as it was at the first call."""
    return Settings.from_environment(os.environ)


def reset() -> None:
    """Forget the settings, so that the next ``current()`` reads the environment again (tests, the local stack)."""
    current.cache_clear()


def _networks(name: str, env: Mapping[str, str]) -> tuple[IPv4Network | IPv6Network, ...]:
    texts = [text.strip() for text in env.get(name, "").split(",")]
    try:
        return tuple(ip_network(text) for text in texts if text)
    except ValueError as error:
        message = f"{name} must be networks such as 10.1.0.0/16, with commas between"
        raise BadSetting(message) from error


def _seconds(name: str, env: Mapping[str, str], default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LONGEST_FUNCTION_SECONDS:
        message = f"{name} must be a whole number of seconds from 1 to {LONGEST_FUNCTION_SECONDS}"
        raise BadSetting(message)
    return int(text)
