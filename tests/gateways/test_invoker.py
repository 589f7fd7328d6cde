"""Stepwell's own functions, started through an endpoint that speaks Lambda's protocol."""

from __future__ import annotations

import json

import pytest

from chalicelib.gateways.errors import Unavailable
from chalicelib.gateways.invoker import FakeInvoker, LambdaInvoker
from chalicelib.settings import Settings
from tests.gateways.lambda_endpoint import LambdaEndpoint

SETTINGS = Settings(drive_function="stepwell-dev-drive", work_function="stepwell-dev-work")


def test_a_drive_is_started_and_not_waited_for(lambda_endpoint: LambdaEndpoint) -> None:
    LambdaInvoker.of(SETTINGS).drive("run_1")
    (asked,) = lambda_endpoint.server.asked
    assert asked.path == "/2015-03-31/functions/stepwell-dev-drive/invocations"
    assert asked.headers["x-amz-invocation-type"] == "Event"
    assert json.loads(asked.body) == {"run_id": "run_1"}


def test_a_batch_of_work_is_started_with_its_keys_and_owner(lambda_endpoint: LambdaEndpoint) -> None:
    keys = [f"each.{number}.charge" for number in range(1000)]
    LambdaInvoker.of(SETTINGS).work("run_1", keys, "request-1")
    (asked,) = lambda_endpoint.server.asked
    assert asked.path == "/2015-03-31/functions/stepwell-dev-work/invocations"
    assert json.loads(asked.body) == {"run_id": "run_1", "keys": keys, "owner": "request-1"}
    assert len(asked.body) < 256 * 1024


def test_a_function_that_is_not_there_is_unavailable(lambda_endpoint: LambdaEndpoint) -> None:
    lambda_endpoint.refuse(404, "ResourceNotFoundException")
    with pytest.raises(Unavailable, match="stepwell-dev-drive: ResourceNotFoundException"):
        LambdaInvoker.of(SETTINGS).drive("run_1")


def test_a_throttled_start_is_tried_again(lambda_endpoint: LambdaEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    lambda_endpoint.refuse(429, "TooManyRequestsException", times=2)
    LambdaInvoker.of(SETTINGS).drive("run_1")
    assert len(lambda_endpoint.server.asked) == 3


def test_the_fake_remembers_what_was_started() -> None:
    invoker = FakeInvoker()
    invoker.drive("run_1")
    invoker.work("run_1", ["a", "b"], "request-1")
    assert (invoker.drives, invoker.works) == (["run_1"], [("run_1", ("a", "b"), "request-1")])
