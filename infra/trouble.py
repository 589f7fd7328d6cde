"""What goes wrong while a person deploys or looks after a stack, told in one line that says what to mend."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
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
        raise Trouble(f"cannot {doing}: {said_by(error)}") from error
    except ValueError as error:
        said = _misread(error)
        if said is None:
            raise
        raise Trouble(f"cannot {doing}: {said}") from error


def code_of(error: ClientError) -> str:
    """Return the error's code, such as ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def message_of(error: ClientError) -> str:
    """Return what AWS says of it."""
    return one_line(str(error.response.get("Error", {}).get("Message", "")))


def said_by(error: BotoCoreError) -> str:
    """Return what botocore says of it, in one line, without what may quote a credential."""
    # What HTTP's own library says of a header that it does not take is the header: a session token, a signature. The
    # classes below it name an endpoint alone.
    if type(error) is HTTPClientError:
        return "your credentials or endpoint hold a character that no header may: check AWS_* for a line break"
    if isinstance(error, CredentialRetrievalError):
        return f"{error.kwargs['provider']} gives no credentials: try it by itself"
    return one_line(str(error))


def one_line(text: str) -> str:
    """Return a text with all white space in it single blanks."""
    return re.sub(r"\s+", " ", text).strip()


def run(tool: str, work: Callable[[], None]) -> int:
    """Do a tool's work; return the exit code, having told of its trouble on stderr, in one line."""
    try:
        with explained("go on"):
            work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except Trouble as trouble:
        _say(f"{tool}: {one_line(str(trouble))}")
        return 1
    except BrokenPipeError:
        _say(f"{tool}: nobody reads on what it writes; what AWS has begun goes on there")
        return 1
    except OSError as error:
        _say(f"{tool}: {of_system(error)}")
        return 1
    except KeyboardInterrupt:
        _say(f"{tool}: stopped; what AWS has begun goes on there")
        return _INTERRUPTED
    finally:
        _let_go_of_stdout()
    return 0


def of_system(error: OSError) -> str:
    """Return what the operating system says of a file, in one line."""
    said = error.strerror or str(error)
    return one_line(f"{said}: {error.filename}" if error.filename else said)


def _say(line: str) -> None:
    # Where nobody hears of it, the exit code tells it.
    with suppress(OSError):
        print(line, file=sys.stderr)


def _let_go_of_stdout() -> None:
    """Where stdout takes no more, have what is left go nowhere: Python would try once more, and complain at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _misread(error: ValueError) -> str | None:
    """Return what to say of a setting that botocore could not read; None for a fault of ours."""
    if str(error).startswith("Invalid endpoint"):
        return f"{one_line(str(error))}: check AWS_ENDPOINT_URL"
    if isinstance(error, json.JSONDecodeError):
        return "what should be JSON is none: check AWS_ENDPOINT_URL and your profile's credential_process"
    return None


def _told(doing: str, error: ClientError) -> str:
    code, said = code_of(error), message_of(error)
    if code in DENIED:
        return f"cannot {doing}: your credentials may not call {error.operation_name} ({said})"
    if code in UNKNOWN_CALLER:
        return f"cannot {doing}: AWS does not take your credentials ({code}); sign in again (is the region enabled?)"
    return f"cannot {doing}: {code}: {said}"
