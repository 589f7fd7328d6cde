"""As whom a step acts on AWS: the role of its connection, assumed through STS, or Stepwell's own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.gateways import clients
from chalicelib.gateways.clients import AccessKeys, AwsAccess
from chalicelib.gateways.errors import CallFailed

if TYPE_CHECKING:
    from chalicelib.domain.workflow import Connection

#: Credentials are renewed this long before they expire: a call that begins with them must be able to end with them.
MARGIN: Final = timedelta(minutes=5)

NEVER_ASSUMED: Final = datetime.min.replace(tzinfo=UTC)

#: What STS takes as a session's name, and how much of it.
NOT_IN_A_NAME: Final = re.compile(r"[^\w+=,.@-]", re.ASCII)
LONGEST_NAME: Final = 64


class Credentials(Protocol):
    """What services ask of connections."""

    def assume(self, connection: Connection, *, run_id: str) -> AwsAccess:
        """Return as whom, and where, a step of the connection acts; CallFailed ``assume_role_failed`` if it may not."""


class _Slot:
    """One role's credentials, and the lock under which they are renewed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.access: AwsAccess | None = None
        self.renew_at = NEVER_ASSUMED


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StsCredentials:
    """Roles assumed through STS, kept until shortly before they expire; safe to use from many threads.

    The session is named after the run that had to open it. Later runs of the connection share it: a session each would
    cost a call to STS before every first step.
    """

    def __init__(self, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._slots: dict[tuple[str, str | None, str], _Slot] = {}

    def assume(self, connection: Connection, *, run_id: str) -> AwsAccess:
        """Return as whom a step acts. While one thread asks STS for a role, the others that need it wait."""
        if connection.role_arn is None:
            return AwsAccess(region=connection.region)
        # The external id belongs to the key: another project's connection to this role must prove its own.
        slot = self._slots.setdefault((connection.role_arn, connection.external_id, connection.region), _Slot())
        with slot.lock:
            if slot.access is None or self._clock() >= slot.renew_at:
                slot.access, expires_at = _assumed(connection, connection.role_arn, session_name(run_id))
                slot.renew_at = expires_at - MARGIN
            return slot.access


class FakeCredentials:
    """Gives every role keys that are named after it, except the roles it is told to refuse."""

    def __init__(self, *, refused: Iterable[str] = ()) -> None:
        #: The roles that may not be assumed.
        self.refused = set(refused)

    def assume(self, connection: Connection, *, run_id: str) -> AwsAccess:
        """Return made-up keys."""
        if connection.role_arn is None:
            return AwsAccess(region=connection.region)
        if connection.role_arn in self.refused:
            raise _failed(connection.role_arn, "AccessDenied", retryable=False)
        keys = AccessKeys(key_id=f"key of {connection.role_arn}", secret="made up", session_token=session_name(run_id))  # noqa: S106 - opens nothing
        return AwsAccess(region=connection.region, keys=keys)


def session_name(run_id: str) -> str:
    """Return the name under which CloudTrail shows the calls."""
    return NOT_IN_A_NAME.sub("-", f"stepwell-{run_id}")[:LONGEST_NAME]


def _assumed(connection: Connection, role_arn: str, name: str) -> tuple[AwsAccess, datetime]:
    try:
        if connection.external_id is None:
            answer = clients.sts().assume_role(RoleArn=role_arn, RoleSessionName=name)
        else:
            answer = clients.sts().assume_role(
                RoleArn=role_arn, RoleSessionName=name, ExternalId=connection.external_id
            )
    except ClientError as error:
        raise _failed(role_arn, clients.code_of(error), retryable=clients.is_passing(error)) from error
    except BotoCoreError as error:
        # A malformed role or external id is found before anything is sent; all else here is the network.
        sent = type(error).__name__ != "ParamValidationError"
        raise _failed(role_arn, type(error).__name__, retryable=sent) from error
    given = answer["Credentials"]
    keys = AccessKeys(key_id=given["AccessKeyId"], secret=given["SecretAccessKey"], session_token=given["SessionToken"])
    return AwsAccess(region=connection.region, keys=keys), given["Expiration"]


def _failed(role_arn: str, reason: str, *, retryable: bool) -> CallFailed:
    return CallFailed("assume_role_failed", f"cannot assume {role_arn}: {reason}", retryable=retryable)
