"""What a check of a stack is, what it finds, and how those that cannot look say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from infra.stacks import Aws, Stack
from infra.template import Node
from infra.trouble import DENIED, Trouble, code_of, message_of, one_line, said_by

#: Codes by which AWS services say that there is no such thing; an HTTP status is S3's, asked by HEAD.
ABSENT: Final = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
        "TableNotFoundException",
    }
)


class Level(StrEnum):
    """How things are."""

    OK = "ok"
    #: It works, or nobody could look; somebody should know.
    WARN = "warn"
    #: It does not work, or data could be lost.
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and the command or the place that mends it."""

    level: Level
    said: str
    mend: str = ""
    #: What was looked at; the check's own word unless it says another.
    about: str = ""

    @property
    def line(self) -> str:
        """What a person is shown."""
        mend = f" | mend: {self.mend}" if self.mend else ""
        return f"{self.level:<4} {one_line(f'{self.about}: {self.said}{mend}')}"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, as STS says."""

    account: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is looked at: a stage in the caller's account and region."""

    aws: Aws
    stage: str
    caller: Caller
    #: None before the first deployment.
    stack: Stack | None
    #: The template that this checkout would deploy.
    template: Node
    now: datetime

    @property
    def deployed(self) -> Stack:
        """The stack; Trouble where there is none."""
        if self.stack is None:
            raise Trouble("no stack yet")
        return self.stack

    def parameter(self, name: str) -> str:
        """Return what the stack was given for a parameter, or the template's default."""
        given = self.stack.parameters if self.stack else {}
        return str(given.get(name, self.template["Parameters"].get(name, {}).get("Default", "")))

    @property
    def anew(self) -> str:
        """What brings back a part that was deleted by hand, which CloudFormation still takes to be there."""
        return f"make destroy STAGE={self.stage}, then make deploy STAGE={self.stage}; the data is kept"

    @property
    def table(self) -> str:
        """The table in use: the one that was restored, if one was."""
        return self.parameter("RestoredTable") or self.deployed.output("TableName")


Look: TypeAlias = Callable[[Site], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One entry of a table of checks."""

    about: str
    look: Look
    #: The IAM actions that it takes to look.
    wants: str
    #: Whether there is nothing to look at before the first deployment.
    of_stack: bool = True


def ok(said: str, *, about: str = "") -> Finding:
    """Return that it is well."""
    return Finding(Level.OK, said, about=about)


def warn(said: str, mend: str = "", *, about: str = "") -> Finding:
    """Return that somebody should know."""
    return Finding(Level.WARN, said, mend, about)


def bad(said: str, mend: str = "", *, about: str = "") -> Finding:
    """Return that it does not work."""
    return Finding(Level.BAD, said, mend, about)


def examine(site: Site, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what the checks find, one after the other; one that cannot look says so, and the others go on."""
    for check in checks:
        if site.stack is None and check.of_stack:
            continue
        for found in _found(site, check):
            yield Finding(found.level, found.said, found.mend, found.about or check.about)


def _found(site: Site, check: Check) -> list[Finding]:
    try:
        return list(check.look(site))
    except ClientError as error:
        code = code_of(error)
        if code in DENIED:
            return [warn("could not look: your credentials may not", f"allow {check.wants}")]
        if code in ABSENT and check.of_stack:
            return [bad(f"is not there ({message_of(error) or code})", site.anew)]
        return [warn(f"could not look: {error.operation_name} answered {code}: {message_of(error)}")]
    except BotoCoreError as error:
        return [warn(f"could not look: {said_by(error)}")]
    except Trouble as trouble:
        return [warn(f"could not look: {trouble}")]
