"""A user's function: Lambda's protocol on the loopback, and the fake, alike where they can be."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from chalicelib.domain.value import Json
from chalicelib.gateways import clients
from chalicelib.gateways.clients import OWN_ACCESS, AccessKeys, AwsAccess
from chalicelib.gateways.errors import CallFailed
from chalicelib.gateways.functions import FakeFunctions, Functions, LambdaFunctions, OwnFunctions
from chalicelib.settings import Settings
from tests.gateways.lambda_endpoint import LambdaEndpoint
from tests.gateways.servers import Answer, raw_server

SETTINGS = Settings(drive_function="stepwell-dev-drive", work_function="stepwell-dev-work")
OWN = OwnFunctions(SETTINGS.drive_function, SETTINGS.work_function)
THEIRS = AwsAccess(region="us-west-2", keys=AccessKeys(key_id="AKIATHEIRS", secret="s", session_token="t"))


@pytest.fixture(params=["real", "fake"])
def functions(request: pytest.FixtureRequest, lambda_endpoint: LambdaEndpoint) -> Functions:
    """Where ``echo`` answers with its payload."""

    def echo(payload: Json) -> Json:
        return payload

    if request.param == "fake":
        return FakeFunctions(own=OWN, functions={"echo": echo})
    return LambdaFunctions.of(SETTINGS)


@pytest.fixture
def real(lambda_endpoint: LambdaEndpoint) -> LambdaFunctions:
    return LambdaFunctions.of(SETTINGS)


def call(
    functions: Functions,
    name: str = "echo",
    payload: Json = None,
    *,
    access: AwsAccess = OWN_ACCESS,
    timeout_seconds: float = 10,
) -> Json:
    return functions.call(name, payload, access=access, timeout_seconds=timeout_seconds)


def the_failure(
    functions: Functions,
    name: str = "echo",
    payload: Json = None,
    *,
    access: AwsAccess = OWN_ACCESS,
    timeout_seconds: float = 10,
) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        call(functions, name, payload, access=access, timeout_seconds=timeout_seconds)
    return failed.value


@pytest.mark.parametrize("payload", [None, {"a": [1, "é", None]}, [], 0, "text"])
def test_a_function_is_called_and_its_answer_returned(functions: Functions, payload: Json) -> None:
    assert call(functions, payload=payload) == payload


@pytest.mark.parametrize(
    "name",
    [
        "stepwell-dev-drive",
        "stepwell-dev-work",
        "stepwell-dev-sweep",
        "stepwell-dev",
        "stepwell-dev-drive:live",
        "stepwell-dev-drive:$LATEST",
        "123456789012:function:stepwell-dev-work",
        "arn:aws:lambda:eu-west-1:123456789012:function:stepwell-dev-drive",
        "arn:aws:lambda:eu-west-1:123456789012:function:stepwell-dev-sweep:3",
    ],
)
def test_stepwells_own_functions_are_refused_under_its_own_role(
    functions: Functions, lambda_endpoint: LambdaEndpoint, name: str
) -> None:
    failure = the_failure(functions, name)
    assert (failure.code, failure.retryable) == ("function_refused", False)
    assert lambda_endpoint.server.asked == []


def test_under_a_role_of_the_users_the_name_is_the_users_own(real: LambdaFunctions) -> None:
    assert call(real, "stepwell-dev-drive", 1, access=THEIRS) == 1


@pytest.mark.parametrize(
    ("drive", "work", "theirs", "ours"),
    [
        ("stepwell-dev-drive", "stepwell-dev-work", ["stepwell-dev-orders", "stepwell-prod-drive"], ["stepwell-dev"]),
        (
            "flows-Drive-Ab1Cd2Ef3Gh4",
            "flows-Work-Zz1Cd2Ef3Gh4",
            ["flows-orders", "flows-work-orders", "Sweep-Ab1Cd2Ef3Gh4"],
            ["flows-Sweep-Ab1Cd2Ef3Gh4", "flows-APIHandler-Ab1Cd2Ef3Gh4", "flows-Uploaded-Ab1Cd2Ef3Gh45"],
        ),
        ("drive", "work", ["drive-orders", "orders", "driver"], ["sweep", "drive", "work"]),
    ],
)
def test_own_functions_are_told_from_a_users_by_the_names_of_two(
    drive: str, work: str, theirs: list[str], ours: list[str]
) -> None:
    own = OwnFunctions(drive, work)
    assert [name for name in theirs if own.include(name)] == []
    assert [name for name in [drive, work, *ours] if not own.include(name)] == []


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "a:b:c", "echo\n", "arn:aws:s3:::bucket"])
def test_what_is_no_functions_name_is_not_sent(
    functions: Functions, lambda_endpoint: LambdaEndpoint, name: str
) -> None:
    failure = the_failure(functions, name)
    assert (failure.code, failure.retryable) == ("invalid_request", False)
    assert lambda_endpoint.server.asked == []


def test_a_payload_over_lambdas_limit_is_not_sent(functions: Functions, lambda_endpoint: LambdaEndpoint) -> None:
    failure = the_failure(functions, payload="a" * (6 * 1024 * 1024))
    assert (failure.code, failure.retryable) == ("payload_too_large", False)
    assert lambda_endpoint.server.asked == []


def test_an_error_in_the_function_is_told_in_its_own_words(
    real: LambdaFunctions, lambda_endpoint: LambdaEndpoint
) -> None:
    lambda_endpoint.fail({"errorMessage": "no stock", "errorType": "OutOfStock", "stackTrace": ["secret/path.py"]})
    failure = the_failure(real)
    assert (failure.code, failure.message, failure.retryable) == ("lambda_error", "OutOfStock: no stock", True)


def test_an_exception_in_a_fakes_function_is_told_as_lambda_would() -> None:
    def out_of_stock(_: Json) -> Json:
        raise LookupError("no stock")

    failure = the_failure(FakeFunctions(functions={"f": out_of_stock}), "f")
    assert (failure.code, failure.message, failure.retryable) == ("lambda_error", "LookupError: no stock", True)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"errorMessage": "Task timed out after 3.00 seconds"}, "Task timed out after 3.00 seconds"),
        ({"errorMessage": "", "errorType": "E"}, "E"),
        ({"errorMessage": {"a": 1}}, "the function failed"),
        ("what", "the function failed"),
        (None, "the function failed"),
    ],
)
def test_an_error_told_oddly_is_still_an_error(
    real: LambdaFunctions, lambda_endpoint: LambdaEndpoint, error: Json, message: str
) -> None:
    lambda_endpoint.fail(error)
    assert the_failure(real).message == message


@pytest.mark.parametrize(
    ("status", "aws_code", "code", "retryable"),
    [
        (404, "ResourceNotFoundException", "function_not_found", False),
        (403, "AccessDeniedException", "access_denied", False),
        (403, "UnrecognizedClientException", "access_denied", False),
        (400, "InvalidParameterValueException", "call_failed", False),
        (413, "RequestTooLargeException", "payload_too_large", False),
        (429, "TooManyRequestsException", "throttled", True),
        (409, "ResourceConflictException", "call_failed", True),
        (502, "ResourceNotReadyException", "call_failed", True),
        (502, "KMSAccessDeniedException", "call_failed", False),
        (502, "InvalidRuntimeException", "call_failed", False),
        (500, "ServiceException", "call_failed", True),
    ],
)
def test_lambdas_refusals_are_told_apart_and_asked_once(
    real: LambdaFunctions,
    lambda_endpoint: LambdaEndpoint,
    status: int,
    aws_code: str,
    code: str,
    retryable: bool,  # noqa: FBT001 - a table's column
) -> None:
    lambda_endpoint.refuse(status, aws_code)
    failure = the_failure(real)
    assert (failure.code, failure.retryable) == (code, retryable)
    assert aws_code in failure.message
    assert len(lambda_endpoint.server.asked) == 1


def test_the_fake_knows_no_other_functions() -> None:
    assert the_failure(FakeFunctions(), "other").code == "function_not_found"


def test_a_function_that_takes_too_long_is_called_once(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bytes] = []

    def converse(connection: socket.socket, over: threading.Event) -> None:
        called.append(connection.recv(65_536))
        over.wait(30)

    with raw_server(converse) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
        failure = the_failure(LambdaFunctions.of(SETTINGS), timeout_seconds=1)
        assert (failure.code, failure.retryable) == ("timeout", True)
        assert len(called) == 1


def test_lambda_that_cannot_be_reached_may_be_later(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{port}")
    failure = the_failure(LambdaFunctions.of(SETTINGS))
    assert (failure.code, failure.retryable) == ("connection_failed", True)


@pytest.mark.parametrize("said", [b"{oops", b"NaN", b'"\\ud800"'])
def test_an_answer_that_is_not_json_is_bad(real: LambdaFunctions, lambda_endpoint: LambdaEndpoint, said: bytes) -> None:
    lambda_endpoint.answer = Answer(body=said)
    failure = the_failure(real)
    assert (failure.code, failure.retryable) == ("bad_response", False)


def test_no_answer_at_all_is_null(real: LambdaFunctions, lambda_endpoint: LambdaEndpoint) -> None:
    lambda_endpoint.answer = Answer(body=b"")
    assert call(real, payload=1) is None


def test_a_call_is_signed_with_the_connections_keys_in_its_region(
    real: LambdaFunctions, lambda_endpoint: LambdaEndpoint
) -> None:
    call(real, payload={"a": 1}, access=THEIRS)
    call(real, payload={"a": 1})
    theirs, own = lambda_endpoint.server.asked
    assert "Credential=AKIATHEIRS/" in theirs.headers["authorization"]
    assert "/us-west-2/lambda/" in theirs.headers["authorization"]
    assert theirs.headers["x-amz-security-token"] == "t"
    assert "Credential=a/" in own.headers["authorization"]
    assert "/eu-west-1/lambda/" in own.headers["authorization"]
    assert json.loads(theirs.body) == {"a": 1}


def test_calls_with_one_timeout_share_a_client(aws_environment: None) -> None:
    assert clients.users_lambda(THEIRS, read_seconds=30) is clients.users_lambda(THEIRS, read_seconds=30)
    assert clients.users_lambda(THEIRS, read_seconds=30) is not clients.users_lambda(OWN_ACCESS, read_seconds=30)
