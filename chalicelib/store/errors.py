"""What may go wrong with a read or a write, divided by what the caller should do next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import VerboseClientError


class StoreError(Exception):
    """A read or a write came to nothing, or nobody knows what it came to."""

    def __init__(self, message: str, *, part: str = "") -> None:
        super().__init__(message)
        #: Which write of a transaction was declined, by the name that the collection gave it.
        self.part = part


class Superseded(StoreError):
    """The record is no longer as it was judged, and nothing was written: load it and judge anew."""


class Exists(StoreError):
    """Something lies there already, and nothing was written."""


class Full(StoreError):
    """As many runs of the workflow are under way as may be, and nothing was written: try when one has ended."""


class Busy(StoreError):
    """Another transaction held the record, time after time, and nothing was written: try later."""


class Unavailable(StoreError):
    """DynamoDB did not answer, or declines so much work: it may have been written or not. Try later, judging anew."""


class Rejected(StoreError):
    """DynamoDB does not accept the request: no table, no permission, an item over 400 KB. Trying again is no use."""


#: From this status on an answer says that DynamoDB, or what stands before it, is in trouble, whatever its code.
_SERVER_FAILURE: Final = 500
#: From DynamoDB's own codes, those of calls and those of a canceled transaction's reasons; anything else is Rejected.
BY_CODE: Final[Mapping[str, type[StoreError]]] = MappingProxyType(
    {
        "ConditionalCheckFailedException": Superseded,
        "ConditionalCheckFailed": Superseded,
        "TransactionConflictException": Busy,
        "TransactionConflict": Busy,
        "TransactionInProgressException": Busy,
        "ProvisionedThroughputExceededException": Unavailable,
        "ProvisionedThroughputExceeded": Unavailable,
        "ThrottlingException": Unavailable,
        "ThrottlingError": Unavailable,
        "RequestLimitExceeded": Unavailable,
        "InternalServerError": Unavailable,
        "ServiceUnavailable": Unavailable,
    },
)


def code_of(error: ClientError) -> str:
    """Return DynamoDB's code for an error."""
    return error.response.get("Error", {}).get("Code", "")


def reason_codes(error: ClientError) -> tuple[str, ...]:
    """Return why a transaction was canceled, write by write in the order given; empty for the writes not to blame."""
    reasons = error.cancellation_reasons if isinstance(error, VerboseClientError) else []
    return tuple(reason.code if reason else "" for reason in reasons)


def translated(error: ClientError | BotoCoreError) -> StoreError:
    """Return the store's own error. Its text names DynamoDB's code only: messages may quote what was stored."""
    if not isinstance(error, ClientError):
        return Unavailable(f"DynamoDB cannot be reached: {type(error).__name__}")
    code = code_of(error)
    failed = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAILURE
    return BY_CODE.get(code, Unavailable if failed else Rejected)(f"DynamoDB answered {code}")
