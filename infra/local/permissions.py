"""Holds each function to its role: what it asks of AWS is checked as IAM would, before it is sent.

The calls of a connection's role are none of ours: they are made with keys of their own. So are those of whoever is no
function of the app, such as a test or a function that a step calls.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import botocore.handlers
from botocore.exceptions import ClientError

from infra.local import actions, iam
from infra.local.actions import Need, Params
from infra.local.iam import Role

log = logging.getLogger(__name__)

#: The access key that every function has here; a connection's role has one of its own.
OWN_KEY: Final = "local"

#: What services call a refusal, and its status; the others say AccessDeniedException, 400.
_REFUSALS: Final = {"s3": ("AccessDenied", 403), "sts": ("AccessDenied", 403)}

#: By which S3 says that something is not there.
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion"})

_refused: deque[str] = deque(maxlen=100)


def enforce() -> None:
    """Have every client that is made from now on ask whether its caller may."""
    hook = ("creating-client-class", _checking)
    if hook not in botocore.handlers.BUILTIN_HANDLERS:
        botocore.handlers.BUILTIN_HANDLERS.append(hook)


def refusals() -> list[str]:
    """Return what has been refused since it was last asked, the last of it: the app may have made the best of it."""
    found = []
    while _refused:
        found.append(_refused.popleft())
    return found


def _checking(base_classes: list[type], **_: object) -> None:
    base_classes.insert(0, _Checked)


class _Checked:
    """What a client's class begins with: it asks first."""

    meta: Any
    _request_signer: Any
    _PY_TO_OP_NAME: Any

    def __init_subclass__(cls) -> None:
        """Wrap what signs, and so asks AWS nothing: a signature may do what its signer may."""
        signed_url, signed_form = vars(cls).get("generate_presigned_url"), vars(cls).get("generate_presigned_post")

        def generate_presigned_url(self: _Checked, ClientMethod: str, Params: Params, **options: Any) -> Any:  # noqa: N803 - botocore's names
            operation = self._PY_TO_OP_NAME[ClientMethod]
            if self._role() is not None:
                self._check(operation, actions.needs(self._service, operation, Params))
            return signed_url(self, ClientMethod, Params, **options) if signed_url else None

        def generate_presigned_post(self: _Checked, Bucket: str, Key: str, **options: Any) -> Any:  # noqa: N803 - as above
            if self._role() is not None:
                self._check("PostObject", actions.needs_of_form({"Bucket": Bucket, "Key": Key}))
            return signed_form(self, Bucket, Key, **options) if signed_form else None

        if signed_url:
            cls.generate_presigned_url = generate_presigned_url  # type: ignore[attr-defined]
        if signed_form:
            cls.generate_presigned_post = generate_presigned_post  # type: ignore[attr-defined]

    @property
    def _service(self) -> str:
        return str(self.meta.service_model.service_name)

    def _role(self) -> Role | None:
        """Return the role whose keys this client has, while one acts."""
        # Nothing public tells what a client signs with; one may have no credentials at all.
        credentials = self._request_signer._credentials  # noqa: SLF001
        return iam.acting() if credentials is not None and credentials.access_key == OWN_KEY else None

    def _make_api_call(self, operation: str, params: Params) -> Any:
        if self._role() is None:
            return super()._make_api_call(operation, params)  # type: ignore[misc] # botocore's client comes after this class
        self._check(operation, actions.needs(self._service, operation, params))
        try:
            return super()._make_api_call(operation, params)  # type: ignore[misc] # as above
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _ABSENT:
                self._check(operation, actions.needs_of_absence(self._service, params))
            raise

    def _check(self, operation: str, needs: Iterable[Need]) -> None:
        """Raise what AWS would answer unless whoever acts may do all of that."""
        role = self._role()
        for need in needs:
            if role is not None and not role.allows(need.action, need.resource, need.context):
                raise self._refusal(role, operation, need)

    def _refusal(self, role: Role, operation: str, need: Need) -> ClientError:
        told = f"{role.arn} is not authorized to perform: {need.action} on resource: {need.resource}"
        _refused.append(told)
        log.error(told)
        code, status = _REFUSALS.get(self._service, ("AccessDeniedException", 400))
        answer: Any = {"Error": {"Code": code, "Message": told}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, operation)
