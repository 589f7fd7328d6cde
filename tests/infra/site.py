"""What checks look at in tests: a stage whose parts lie in moto, and stubs of services that moto does not answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.stub import Stubber

from infra import template
from infra.checks import Caller, Check, Finding, Look, Site, examine
from infra.local.aws import ACCOUNT, REGION
from infra.stacks import Aws, Stack

ARN = f"arn:aws:iam::{ACCOUNT}:user/ada"
STAGE = "prod"
NAME = "stepwell-prod"

#: What is asked, and what is answered; a text is the code of an error.
Answer = tuple[str, Mapping[str, Any] | str]


@dataclass(frozen=True)
class StubbedAws(Aws):
    """The caller's AWS, but for services that botocore's Stubber answers for."""

    stubs: Mapping[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.stubs.get(service) or super().client(service)


@functools.cache
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)


def stub(service: str, *answers: Answer) -> Any:
    """A client that gives these answers, in this order, and nothing else."""
    client = session().client(service)
    stubber = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, str):
            stubber.add_client_error(operation, answer, "said\nso")
        else:
            stubber.add_response(operation, dict(answer))
    stubber.activate()
    return client


@functools.cache
def document() -> Any:
    return template.load()


def a_stack(
    status: str = "CREATE_COMPLETE",
    *,
    outputs: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Stack:
    return Stack(
        id=f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{NAME}/1",
        name=NAME,
        status=status,
        outputs=outputs or {},
        parameters=parameters or {},
        tags={},
    )


def a_site(*, stack: Stack | None = None, arn: str = ARN, stubs: Mapping[str, Any] | None = None) -> Site:
    return Site(
        aws=StubbedAws(session(), stubs or {}),
        stage=STAGE,
        caller=Caller(account=ACCOUNT, arn=arn),
        stack=stack,
        template=document(),
        now=datetime.now(UTC),
    )


def check(checks: Iterable[Check], look: Callable[..., Any]) -> Check:
    """The check that looks so, as the doctor has it."""
    [found] = [each for each in checks if each.look is look]
    return found


def findings(site: Site, look: Look) -> list[Finding]:
    """What one check finds, as the doctor has it said."""
    return list(examine(site, [Check(about="it", look=look, wants="x:Look", of_stack=site.stack is not None)]))


def lines(site: Site, look: Look) -> list[str]:
    """The same as lines, with a single blank after the level."""
    return [" ".join(finding.line.split()) for finding in findings(site, look)]
