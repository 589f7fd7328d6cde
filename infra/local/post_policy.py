"""Judges a form that uploads to a bucket, as S3 does: its signature, its policy's time, and each of its conditions.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

#: What no condition need speak of.
_FREE: Final = frozenset({"x-amz-signature", "policy", "file", "signature", "awsaccesskeyid"})
_IGNORED: Final = "x-ignore-"


class Refused(Exception):
    """S3 takes no such request; the arguments are its status, its code and its message."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A form, as it came."""

    #: The bucket that it was posted to.
    bucket: str
    #: Those before the file, by name in lower case; S3 reads no more.
    fields: Mapping[str, str]
    #: The file's bytes.
    content: bytes


def judge(posted: Posted, *, secrets: Mapping[str, str], now: datetime) -> None:
    """Refuse a form that S3 would refuse; ``secrets`` are those of the access keys there are."""
    if "key" not in posted.fields:
        raise Refused("400 Bad Request", "InvalidArgument", "Bucket POST must contain a field named 'key'.")
    if "policy" not in posted.fields:
        raise _denied("Access Denied")
    _check_signature(posted.fields, secrets)
    policy = _policy(posted.fields["policy"])
    if now >= datetime.fromisoformat(policy["expiration"]):
        raise _denied("Invalid according to Policy: Policy expired.")
    spoken_of = set(_FREE)
    for condition in policy["conditions"]:
        spoken_of |= {_checked(posted, *each) for each in _conditions(condition)}
    extra = sorted(name for name in posted.fields if name not in spoken_of and not name.startswith(_IGNORED))
    if extra:
        raise _denied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
    _check_content(posted)


def _check_signature(fields: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    credential = fields.get("x-amz-credential", "").split("/")
    if fields.get("x-amz-algorithm") != "AWS4-HMAC-SHA256" or credential[3:] != ["s3", "aws4_request"]:
        raise Refused("400 Bad Request", "InvalidArgument", "The form is not signed with AWS4-HMAC-SHA256 for s3")
    if credential[0] not in secrets:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise Refused("403 Forbidden", "InvalidAccessKeyId", message)
    key = f"AWS4{secrets[credential[0]]}".encode()
    for part in credential[1:]:
        key = hmac.digest(key, part.encode(), "sha256")
    wanted = hmac.new(key, fields["policy"].encode(), "sha256").hexdigest()
    if not hmac.compare_digest(wanted, fields.get("x-amz-signature", "")):
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused("403 Forbidden", "SignatureDoesNotMatch", message)


def _policy(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(base64.b64decode(text))
        return {"expiration": policy["expiration"], "conditions": list(policy["conditions"])}
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("400 Bad Request", "InvalidPolicyDocument", "Invalid Policy: Invalid JSON.") from error


def _conditions(condition: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield a condition's operator, what it is about, and what it says of that."""
    if isinstance(condition, Mapping):
        for name, value in condition.items():
            yield "eq", name, value
    elif isinstance(condition, Sequence) and len(condition) == 3:  # noqa: PLR2004 - operator, name, value
        operator, name, value = condition
        yield operator, name.removeprefix("$") if isinstance(name, str) else name, value


def _checked(posted: Posted, operator: str, name: Any, value: Any) -> str:
    """Hold the form to one condition, and return the field that it speaks of."""
    if operator == "content-length-range":
        _check_length(len(posted.content), least=name, most=value)
        return ""
    field = str(name).lower()
    found = posted.bucket if field == "bucket" else posted.fields.get(field)
    holds = found is not None and (found == value if operator == "eq" else found.startswith(value))
    if not holds or operator not in {"eq", "starts-with"}:
        told = json.dumps([operator, f"${name}", value])
        raise _denied(f"Invalid according to Policy: Policy Condition failed: {told}")
    return field


def _check_length(size: int, *, least: int, most: int) -> None:
    if size > most:
        message = "Your proposed upload exceeds the maximum allowed size"
        raise Refused("400 Bad Request", "EntityTooLarge", message)
    if size < least:
        message = "Your proposed upload is smaller than the minimum allowed size"
        raise Refused("400 Bad Request", "EntityTooSmall", message)


def _check_content(posted: Posted) -> None:
    wanted = posted.fields.get("x-amz-checksum-sha256")
    if wanted is None:
        return
    try:
        digest = base64.b64decode(wanted, validate=True)
    except binascii.Error as error:
        message = "Value for x-amz-checksum-sha256 header is invalid."
        raise Refused("400 Bad Request", "InvalidRequest", message) from error
    if digest != hashlib.sha256(posted.content).digest():
        message = "The SHA256 you specified did not match the calculated checksum."
        raise Refused("400 Bad Request", "BadDigest", message)


def _denied(message: str) -> Refused:
    return Refused("403 Forbidden", "AccessDenied", message)
