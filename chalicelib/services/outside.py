"""Everything outside this process that services use, in one value, so that a test can hand in another."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chalicelib import settings
from chalicelib.gateways.agents import Agents
from chalicelib.gateways.agents_ecs import EcsAgents
from chalicelib.gateways.credentials import Credentials, StsCredentials
from chalicelib.gateways.functions import Functions, LambdaFunctions
from chalicelib.gateways.http import Http, gateway
from chalicelib.gateways.invoker import Invoker, LambdaInvoker
from chalicelib.gateways.parking import Parking, StepFunctionsParking
from chalicelib.gateways.payloads import PayloadStore, S3PayloadStore
from chalicelib.gateways.uploads import S3Uploads, Uploads
from chalicelib.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The outside things, real or fake."""

    http: Http
    functions: Functions
    credentials: Credentials
    payloads: PayloadStore
    parking: Parking
    invoker: Invoker
    agents: Agents
    uploads: Uploads


_replaced: list[Outside] = []


def current() -> Outside:
    """Return this process's own, made of its settings at the first call."""
    return _replaced[-1] if _replaced else _real()


def reset() -> None:
    """Forget what was made of the settings (tests, the local stack)."""
    _real.cache_clear()


@contextmanager
def replaced(outside: Outside) -> Iterator[None]:
    """Use another one for a while (tests)."""
    _replaced.append(outside)
    try:
        yield
    finally:
        _replaced.pop()


@functools.cache
def _real() -> Outside:
    here = settings.current()
    return Outside(
        http=gateway(here),
        functions=LambdaFunctions.of(here),
        credentials=StsCredentials(),
        payloads=S3PayloadStore.of(here),
        parking=StepFunctionsParking.of(here),
        invoker=LambdaInvoker.of(here),
        agents=_agents(here),
        uploads=S3Uploads.of(here),
    )


def _agents(here: Settings) -> Agents:
    if here.agents != "local":
        return EcsAgents.of(here)
    from chalicelib.gateways.agents_local import LocalAgents  # noqa: PLC0415 - never on AWS

    return LocalAgents.of(here)
