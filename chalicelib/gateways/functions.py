"""A user's Lambda function, called by a ``lambda`` step and waited for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ReadTimeoutError

from chalicelib.domain.value import Json, dumps
from chalicelib.gateways import clients
from chalicelib.gateways.clients import AwsAccess
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from chalicelib.settings import Settings

#: Lambda's limit for the payload of a call that is waited for.
LARGEST_PAYLOAD: Final = 6 * 1024 * 1024

#: A function's name, its ARN, or ``<account>:function:<name>``; each perhaps with a version or alias.
NAME: Final = re.compile(
    r"(?:arn:[\w-]+:lambda:[\w-]+:\d{12}:|\d{12}:)?(?:function:)?(?P<name>[\w-]+)(?::(?:\$LATEST|[\w-]+))?", re.ASCII
)

#: What follows the common beginning of Stepwell's own functions: its word, and what CloudFormation adds.
OWN_NAME: Final = re.compile(r"(?:drive|work|sweep|uploaded|apihandler)(?:-[0-9a-z]{12,13})?", re.IGNORECASE | re.ASCII)

#: What Lambda's refusals are called in a run's record. The others keep the code of ``call_failed``.
CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ResourceNotFoundException": "function_not_found",
        "AccessDeniedException": "access_denied",
        "UnrecognizedClientException": "access_denied",
        "RequestTooLargeException": "payload_too_large",
        "TooManyRequestsException": "throttled",
    },
)

#: Lambda's codes, of status 4xx or 5xx, that pass or stay whatever their status says.
PASSING: Final = frozenset({"ResourceConflictException", "ResourceNotReadyException", "EC2ThrottledException"})
LASTING: Final = frozenset({"InvalidRuntimeException", "InvalidZipFileException", "KMSAccessDeniedException"})


class Functions(Protocol):
    """What services ask of users' functions."""

    def call(self, function_name: str, payload: Json, *, access: AwsAccess, timeout_seconds: float) -> Json:
        """Call the function and return its answer, or raise CallFailed.

        ``lambda_error`` is an error inside the function; ``function_refused`` one of Stepwell's own functions, which no
        step may call under Stepwell's own role.
        """


class LambdaFunctions:
    """Functions called through Lambda's API."""

    def __init__(self, *, own: OwnFunctions) -> None:
        self._own = own

    @classmethod
    def of(cls, settings: Settings) -> LambdaFunctions:
        """Return the gateway that keeps the deployment's own functions out of reach."""
        return cls(own=OwnFunctions(settings.drive_function, settings.work_function))

    def call(self, function_name: str, payload: Json, *, access: AwsAccess, timeout_seconds: float) -> Json:
        """Call the function once; the attempt, and the payload, are the engine's to repeat."""
        content = _content(function_name, payload, access, self._own)
        # Whole seconds, so that steps with the same timeout share a client and its connections.
        client = clients.users_lambda(access, read_seconds=max(int(timeout_seconds), 1))
        try:
            answer = client.invoke(FunctionName=function_name, InvocationType="RequestResponse", Payload=content)
            text = answer["Payload"].read().decode()
        except ClientError as error:
            raise _refused(error) from error
        except ReadTimeoutError as error:
            message = f"no answer from the function in {timeout_seconds:g} seconds"
            raise CallFailed("timeout", message, retryable=True) from error
        except ParamValidationError as error:
            raise _no_name() from error
        except BotoCoreError as error:
            raise CallFailed("connection_failed", f"Lambda: {type(error).__name__}", retryable=True) from error
        if answer.get("FunctionError"):
            raise CallFailed("lambda_error", _what_it_said(text), retryable=True)
        return _json(text)


class FakeFunctions:
    """Functions of this process, by name. An exception in one is an error of the function, as it is on Lambda."""

    def __init__(
        self, *, own: OwnFunctions | None = None, functions: Mapping[str, Callable[[Json], Json]] | None = None
    ) -> None:
        self._own = own or OwnFunctions("stepwell-drive", "stepwell-work")
        #: The functions, for a test to add to.
        self.functions = dict(functions or {})

    def call(self, function_name: str, payload: Json, *, access: AwsAccess, timeout_seconds: float) -> Json:  # noqa: ARG002 - a function of this process is not timed
        """Call the function with a copy of the payload, as if it had travelled."""
        content = _content(function_name, payload, access, self._own)
        function = self.functions.get(function_name)
        if function is None:
            raise CallFailed(CODES["ResourceNotFoundException"], "no such function", retryable=False)
        try:
            value = function(json.loads(content))
        except Exception as error:
            raise CallFailed("lambda_error", f"{type(error).__name__}: {error}", retryable=True) from error
        return _json(dumps(value))


class OwnFunctions:
    """The names of Stepwell's own functions, told from the two that the environment names.

    Chalice calls them ``<app>-<stage>-<function>`` and the API's handler ``<app>-<stage>``; CloudFormation calls them
    ``<stack>-<Function>-<random>``. The words that the two have in common are the beginning of all.
    """

    def __init__(self, drive: str, work: str) -> None:
        self._named = {drive, work}
        pairs = zip(drive.split("-"), work.split("-"), strict=False)
        self._common = "".join(f"{word}-" for word, other in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def include(self, name: str) -> bool:
        """Return whether a function of that bare name is one of them."""
        if name in self._named or name == self._common.rstrip("-"):
            return True
        return name.startswith(self._common) and OWN_NAME.fullmatch(name, len(self._common)) is not None


def _content(function_name: str, payload: Json, access: AwsAccess, own: OwnFunctions) -> bytes:
    """Return the payload to send, or raise what can be told without sending it."""
    match = NAME.fullmatch(function_name)
    if match is None:
        raise _no_name()
    # Under a role of the user's, the user decides; and in another account the name means another function.
    if access.keys is None and own.include(match["name"]):
        raise CallFailed("function_refused", "Stepwell's own functions are not for steps to call", retryable=False)
    content = dumps(payload).encode()
    if len(content) > LARGEST_PAYLOAD:
        message = f"the payload is over {LARGEST_PAYLOAD} bytes"
        raise CallFailed(CODES["RequestTooLargeException"], message, retryable=False)
    return content


def _refused(error: ClientError) -> CallFailed:
    code = clients.code_of(error)
    retryable = code in PASSING or (clients.is_passing(error) and code not in LASTING)
    return CallFailed(CODES.get(code, "call_failed"), f"Lambda: {code}", retryable=retryable)


def _what_it_said(text: str) -> str:
    """Return the message of a function's error, which Lambda sends as ``{"errorMessage", "errorType", …}``."""
    said = _json(text)
    if not isinstance(said, Mapping):
        return "the function failed"
    parts = [said.get("errorType"), said.get("errorMessage")]
    return ": ".join(part for part in parts if isinstance(part, str) and part) or "the function failed"


def _json(text: str) -> Json:
    """Return the value; no text at all is null."""
    try:
        value: Json = json.loads(text) if text else None
        dumps(value).encode()  # an infinity or half a surrogate pair could never be stored
    except (ValueError, RecursionError) as error:
        raise CallFailed("bad_response", "the function's answer is not JSON", retryable=False) from error
    return value


def _no_name() -> CallFailed:
    return CallFailed("invalid_request", "that is no function's name or ARN", retryable=False)
