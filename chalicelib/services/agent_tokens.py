"""The token that an agent shows with what it reports: derived from its ticket, so that nothing of it is stored."""

from __future__ import annotations

import base64
import hashlib
import hmac

from chalicelib import settings


def token_of(ticket_id: str) -> str:
    """Return the token of an agent's ticket, the same each time; it is good for as long as the ticket is open."""
    mac = hmac.new(settings.current().key_pepper.encode(), f"agent:{ticket_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def is_token_of(ticket_id: str, token: str) -> bool:
    """Whether the token is the ticket's, compared in constant time, and without asking whether there is the ticket."""
    return hmac.compare_digest(token_of(ticket_id).encode(), token.encode("utf-8", "surrogateescape"))
