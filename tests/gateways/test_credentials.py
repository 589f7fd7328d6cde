"""As whom a step acts: STS as moto plays it, and the fake."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.domain.workflow import Connection
from chalicelib.gateways import clients
from chalicelib.gateways.clients import AccessKeys, AwsAccess
from chalicelib.gateways.credentials import Credentials, FakeCredentials, StsCredentials, session_name
from chalicelib.gateways.errors import CallFailed

ROLE = "arn:aws:iam::123456789012:role/steps"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_connection(
    *, role_arn: str | None = ROLE, external_id: str | None = "ours", region: str = "eu-west-1"
) -> Connection:
    return Connection(
        id="conn_1",
        project_id="proj_1",
        name="test",
        region=region,
        role_arn=role_arn,
        external_id=external_id,
        created_at=NOW,
    )


@pytest.fixture(params=[StsCredentials, FakeCredentials])
def both(request: pytest.FixtureRequest, aws: None) -> Credentials:
    made: Credentials = request.param()
    return made


def key_of(access: AwsAccess) -> str:
    assert access.keys is not None
    return access.keys.key_id


def test_a_connection_with_a_role_has_keys_in_its_region(both: Credentials) -> None:
    access = both.assume(a_connection(region="us-west-2"), run_id="run_1")
    assert access.region == "us-west-2"
    assert key_of(access)


def test_a_connection_without_a_role_acts_as_stepwell_in_its_region(both: Credentials) -> None:
    assert both.assume(a_connection(role_arn=None), run_id="run_1") == AwsAccess(region="eu-west-1", keys=None)


def test_secrets_are_not_printed(aws: None) -> None:
    keys = AccessKeys(key_id="AKIA", secret="hunter2", session_token="hunter3")
    assert "hunter" not in repr(AwsAccess(keys=keys))
    assert "secret" not in repr(StsCredentials())


def test_a_role_is_assumed_once_until_shortly_before_it_expires(aws: None) -> None:
    # moto's credentials last for an hour of the real clock.
    now = [datetime.now(UTC)]
    roles = StsCredentials(clock=lambda: now[0])
    first = roles.assume(a_connection(), run_id="run_1")
    now[0] += timedelta(minutes=54)
    assert roles.assume(a_connection(), run_id="run_2") is first
    now[0] += timedelta(minutes=2)
    assert key_of(roles.assume(a_connection(), run_id="run_3")) != key_of(first)


def test_another_external_id_proves_itself(aws: None) -> None:
    roles = StsCredentials()
    ours = roles.assume(a_connection(), run_id="run_1")
    theirs = roles.assume(a_connection(external_id="theirs"), run_id="run_1")
    none = roles.assume(a_connection(external_id=None), run_id="run_1")
    assert len({key_of(ours), key_of(theirs), key_of(none)}) == 3


def test_many_threads_ask_once(aws: None) -> None:
    roles = StsCredentials()
    together = threading.Barrier(16)

    def one(_: int) -> str:
        together.wait()
        return key_of(roles.assume(a_connection(), run_id="run_1"))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(one, range(16)))) == 1


def test_sts_is_told_the_run_and_the_external_id(aws: None) -> None:
    real = clients.sts()
    with patch.object(clients, "sts") as sts:
        sts.return_value.assume_role.side_effect = real.assume_role
        StsCredentials().assume(a_connection(), run_id="run_1")
        StsCredentials().assume(a_connection(external_id=None), run_id="run_1")
    asked = [call.kwargs for call in sts.return_value.assume_role.call_args_list]
    name = {"RoleArn": ROLE, "RoleSessionName": "stepwell-run_1"}
    assert asked == [name | {"ExternalId": "ours"}, name]


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"), False),  # type: ignore[typeddict-item]
        (ClientError({"Error": {"Code": "Throttling"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "x"), True),  # type: ignore[typeddict-item]
        (ClientError({"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "x"), True),  # type: ignore[typeddict-item]
        (EndpointConnectionError(endpoint_url="https://sts"), True),
    ],
)
def test_a_role_that_may_not_be_assumed_is_told_apart_from_sts_in_trouble(
    error: Exception,
    retryable: bool,  # noqa: FBT001 - a table's column
) -> None:
    with patch.object(clients, "sts") as sts:
        sts.return_value.assume_role.side_effect = error
        with pytest.raises(CallFailed, match=ROLE) as failed:
            StsCredentials().assume(a_connection(), run_id="run_1")
    assert (failed.value.code, failed.value.retryable) == ("assume_role_failed", retryable)


def test_a_failure_is_not_remembered(aws: None) -> None:
    roles = StsCredentials()
    with patch.object(clients, "sts") as sts:
        sts.return_value.assume_role.side_effect = EndpointConnectionError(endpoint_url="https://sts")
        with pytest.raises(CallFailed):
            roles.assume(a_connection(), run_id="run_1")
    assert key_of(roles.assume(a_connection(), run_id="run_1"))


def test_a_role_that_is_no_arn_is_not_tried_again(aws: None) -> None:
    with pytest.raises(CallFailed) as failed:
        StsCredentials().assume(a_connection(role_arn="x"), run_id="run_1")
    assert not failed.value.retryable


def test_the_fake_refuses_what_it_is_told_to() -> None:
    with pytest.raises(CallFailed) as failed:
        FakeCredentials(refused={ROLE}).assume(a_connection(), run_id="run_1")
    assert failed.value.code == "assume_role_failed"


@pytest.mark.parametrize(
    ("run_id", "name"),
    [("run_1", "stepwell-run_1"), ("a b/é", "stepwell-a-b--"), ("r" * 99, "stepwell-" + "r" * 55)],
)
def test_a_sessions_name_is_one_that_sts_takes(run_id: str, name: str) -> None:
    assert session_name(run_id) == name
