"""AWS clients, made when first needed and once a process, and what their errors mean.

They come from botocore, which Chalice and PynamoDB have loaded already; boto3 over it would add to every
cold start, for a wrapper that nothing here uses. Endpoints are botocore's own business (``AWS_ENDPOINT_URL``).
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.gateways.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 10
#: How often a call to our own resources is tried, with botocore's back-off between.
ATTEMPTS: Final = 4
#: More than the threads of a driver, so that none waits for a connection.
CONNECTIONS: Final = 64

#: Codes by which AWS services say "later"; so do a status of 429 and every 5xx.
THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    },
)
TOO_MANY: Final = 429
SERVER_FAILURE: Final = 500

#: What the services need beyond what all have. A URL that is signed must not be redirected, so it names the region's
#: own S3, with the signature that every region takes.
PARTICULARS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"s3": {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}}
)

_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class AccessKeys:
    """Temporary credentials; the secret parts stay out of ``repr``."""

    key_id: str
    secret: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AwsAccess:
    """As whom, and where, a step acts on AWS."""

    #: None: the region this process runs in.
    region: str | None = None
    #: None: Stepwell's own role.
    keys: AccessKeys | None = None


OWN_ACCESS: Final = AwsAccess()


def s3() -> S3Client:
    """Return the S3 client."""
    return cast("S3Client", _client("s3"))


def step_functions() -> SFNClient:
    """Return the Step Functions client."""
    return cast("SFNClient", _client("stepfunctions"))


def sts() -> STSClient:
    """Return the STS client."""
    return cast("STSClient", _client("sts"))


def own_lambda() -> LambdaClient:
    """Return the client that invokes Stepwell's own functions."""
    return cast("LambdaClient", _client("lambda"))


def users_lambda(access: AwsAccess, *, read_seconds: int) -> LambdaClient:
    """Return a client that calls once and waits that long: the engine counts the attempts, not botocore."""
    return cast("LambdaClient", _client("lambda", access, read_seconds=read_seconds, attempts=1))


def ecs(access: AwsAccess) -> ECSClient:
    """Return a client for tasks of the connection's; its calls may all be made twice."""
    return cast("ECSClient", _client("ecs", access))


def reset() -> None:
    """Forget all clients (tests, the local stack)."""
    with _lock:
        _made.cache_clear()
        _session.cache_clear()


def code_of(error: ClientError) -> str:
    """Return the error's code, such as ``AccessDeniedException``; S3's answers to HEAD have only their status."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def is_passing(error: ClientError | BotoCoreError) -> bool:
    """Return whether the same call may succeed later: throttled, the service's fault, or never answered."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in THROTTLED or status == TOO_MANY or status >= SERVER_FAILURE


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Turn an error of AWS about one of our own resources into Unavailable."""
    try:
        yield
    except ClientError as error:
        raise Unavailable(f"{what}: {code_of(error)}") from error
    except BotoCoreError as error:
        raise Unavailable(f"{what}: {type(error).__name__}") from error


_Service = Literal["ecs", "lambda", "s3", "stepfunctions", "sts"]
#: Every service that is called from here: their models are what the zip holds of botocore's.
SERVICES: Final[tuple[str, ...]] = get_args(_Service)


def _client(
    service: _Service,
    access: AwsAccess = OWN_ACCESS,
    *,
    read_seconds: int = READ_SECONDS,
    attempts: int = ATTEMPTS,
) -> object:
    # A client may be shared between threads, but not made by two of them at once.
    with _lock:
        return _made(service, access, read_seconds, attempts)


# A run's connection and a step's timeout make a client of their own; after this many the least used is forgotten.
@functools.lru_cache(maxsize=64)
def _made(service: _Service, access: AwsAccess, read_seconds: int, attempts: int) -> object:
    keys: dict[str, Any] = {}
    if access.keys is not None:
        keys = {
            "aws_access_key_id": access.keys.key_id,
            "aws_secret_access_key": access.keys.secret,
            "aws_session_token": access.keys.session_token,
        }
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,  # a function that runs for minutes says nothing meanwhile; NAT forgets silent connections
        **PARTICULARS.get(service, {}),
    )
    return _session().create_client(service, region_name=access.region, config=config, **keys)


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()
