"""What the tests of several gateways share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest
from moto import mock_aws

from chalicelib.gateways import clients
from chalicelib.gateways.http import HttpGateway
from chalicelib.gateways.wire import Switchboard
from tests.gateways.agents_ecs_cluster import EcsCluster, make_cluster
from tests.gateways.asking import LOOPBACK
from tests.gateways.lambda_endpoint import LambdaEndpoint, serve_lambda

REGION: Final = "eu-west-1"


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    """An HTTP gateway that may reach the loopback."""
    switchboard = Switchboard(allow=LOOPBACK)
    yield HttpGateway(switchboard=switchboard)
    switchboard.close()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment in which botocore can sign, and no client of another test's."""
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith(("AWS_ENDPOINT_URL", "AWS_PROFILE"))]:
        monkeypatch.delenv(name)
    clients.reset()
    yield
    clients.reset()


@pytest.fixture
def aws(aws_environment: None) -> Iterator[None]:
    """AWS, as moto plays it in this process."""
    with mock_aws():
        yield


@pytest.fixture
def ecs_cluster(aws: None) -> EcsCluster:
    """A cluster for agents, as moto plays it."""
    return make_cluster(REGION)


@pytest.fixture
def lambda_endpoint(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    """An endpoint that every Lambda client made in the test calls."""
    with serve_lambda() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint.server.url)
        yield endpoint
