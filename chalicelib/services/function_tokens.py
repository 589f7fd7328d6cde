"""The tokens in functions' URLs: each is derived from its deployment, so that only what it hashes to is stored."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from chalicelib import settings
from chalicelib.domain.access import digest_of
from chalicelib.domain.workflow import Deployment

_NONCE_BYTES: Final = 16


def new_nonce() -> str:
    """Return what makes the token of a deployment anew unlike that of the one taken down."""
    return secrets.token_hex(_NONCE_BYTES)


def token_of(deployment: Deployment) -> str | None:
    """Return the token in a deployed script's URL, the same each time; None for what has no URL of its own."""
    if deployment.function_nonce is None:
        return None
    derived = f"function:{deployment.workflow_id}:{deployment.connection_id}:{deployment.function_nonce}"
    mac = hmac.new(settings.current().key_pepper.encode(), derived.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def digest_of_token(token: str) -> str:
    """Return what a function is found by."""
    return digest_of(token, pepper=settings.current().key_pepper)


def digest(deployment: Deployment) -> str | None:
    """Return what a deployment's function is found by, if it has one."""
    token = token_of(deployment)
    return None if token is None else digest_of_token(token)
