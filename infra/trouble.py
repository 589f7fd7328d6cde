"""What goes wrong while a person deploys or looks after a stack, told in one line that says what to mend."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

#: Codes by which AWS services say that a caller may not do what it asks for.
DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        # S3, where it is asked for the head of something: an answer without a body.
        "403",
    }
)
#: Codes by which they say that they do not know the caller.
UNKNOWN_CALLER: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

#: What a shell says of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130


class Trouble(Exception):
    """What has to be mended: one line, and nothing of a secret in it."""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what botocore raises meanwhile into Trouble; ``doing`` says what was tried, as in ``read the stack``."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Trouble("no AWS credentials: sign in, or set AWS_PROFILE") from error
    except NoRegionError as error:
        raise Trouble("no AWS region: set AWS_REGION, or a region in your profile") from error
    except ProfileNotFound as error:
        raise Trouble(f"{error}: set AWS_PROFILE to one of your own") from error
    except EndpointConnectionError as error:
        raise Trouble(f"cannot {doing}: AWS does not answer at {error.kwargs['endpoint_url']}") from error
    except ClientError as error:
        raise Trouble(_told(doing, error)) from error
    except BotoCoreError as error:
        raise Trouble(f"cannot {doing}: {one_line(str(error))}") from error


def code_of(error: ClientError) -> str:
    """Return the error's code, such as ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def message_of(error: ClientError) -> str:
    """Return what AWS says of it."""
    return one_line(str(error.response.get("Error", {}).get("Message", "")))


def one_line(text: str) -> str:
    """Return a text with all white space in it single blanks."""
    return re.sub(r"\s+", " ", text).strip()


def run(tool: str, work: Callable[[], None]) -> int:
    """Do a tool's work; return the exit code, having told of its trouble on stderr, in one line."""
    try:
        work()
    except Trouble as trouble:
        print(f"{tool}: {one_line(str(trouble))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{tool}: stopped; what AWS has begun goes on there", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _told(doing: str, error: ClientError) -> str:
    code, said = code_of(error), message_of(error)
    if code in DENIED:
        return f"cannot {doing}: your credentials may not call {error.operation_name} ({said})"
    if code in UNKNOWN_CALLER:
        return f"cannot {doing}: AWS does not take your credentials ({code}); sign in again (is the region enabled?)"
    return f"cannot {doing}: {code}: {said}"
