"""Who may do what: keys, fine scopes, and the bundles that each dialect's own words stand for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """One thing that a key may be allowed to do."""

    WORKFLOWS_READ = "workflows:read"
    WORKFLOWS_WRITE = "workflows:write"
    WORKFLOWS_DEPLOY = "workflows:deploy"
    RUNS_READ = "runs:read"
    RUNS_TRIGGER = "runs:trigger"
    RUNS_CONTROL = "runs:control"
    RUNS_REPAIR = "runs:repair"
    RUNS_APPROVE = "runs:approve"
    FILES_WRITE = "files:write"
    PERSONAS_READ = "personas:read"
    PERSONAS_WRITE = "personas:write"
    KEYS_ADMIN = "keys:admin"


#: The words of the trigger API. No bundle implies another.
TRIGGER_API_BUNDLES: Mapping[str, frozenset[Scope]] = MappingProxyType(
    {
        "read": frozenset({Scope.WORKFLOWS_READ, Scope.RUNS_READ}),
        "write": frozenset({Scope.WORKFLOWS_WRITE}),
        "deploy": frozenset({Scope.WORKFLOWS_DEPLOY, Scope.RUNS_TRIGGER, Scope.RUNS_CONTROL}),
    },
)

#: The words of the workflow-runs API. Its ``workflows:read`` and ``workflows:write`` are spelled like a fine scope and
#: stand for more.
WORKFLOW_RUNS_API_BUNDLES: Mapping[str, frozenset[Scope]] = MappingProxyType(
    {
        "workflows:read": frozenset({Scope.WORKFLOWS_READ, Scope.RUNS_READ}),
        "workflows:write": frozenset(
            {Scope.WORKFLOWS_WRITE, Scope.RUNS_CONTROL, Scope.RUNS_REPAIR, Scope.RUNS_APPROVE}
        ),
        "workflows:trigger": frozenset({Scope.RUNS_TRIGGER}),
    },
)

#: The words of the workflows API. A key made with a word that the workflow-runs API has too is given that API's, which
#: is more; a key made of fine scopes does as well here.
WORKFLOWS_API_BUNDLES: Mapping[str, frozenset[Scope]] = MappingProxyType(
    {
        "workflows:read": frozenset({Scope.WORKFLOWS_READ}),
        "workflows:write": frozenset({Scope.WORKFLOWS_WRITE}),
        "runs:read": frozenset({Scope.RUNS_READ}),
        "runs:write": frozenset({Scope.RUNS_TRIGGER, Scope.RUNS_CONTROL}),
        "files:write": frozenset({Scope.FILES_WRITE}),
        "personas:read": frozenset({Scope.PERSONAS_READ}),
        "personas:write": frozenset({Scope.PERSONAS_WRITE}),
    },
)

_WORDS: Mapping[str, frozenset[Scope]] = MappingProxyType(
    {**WORKFLOWS_API_BUNDLES, **TRIGGER_API_BUNDLES, **WORKFLOW_RUNS_API_BUNDLES},
)


def word_for(scope: Scope, bundles: Mapping[str, frozenset[Scope]]) -> str:
    """Return the word that a dialect has for a fine scope, or the fine scope itself where it has none."""
    return next((word for word, scopes in bundles.items() if scope in scopes), scope.value)


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """Return the fine scopes that words stand for; an unknown word is a ``ValueError``.

    A member of ``Scope`` is that one scope. A plain text is a bundle of either API if one is called so, and only else a
    fine scope: ``"workflows:read"`` is the workflow-runs API's bundle, ``Scope.WORKFLOWS_READ`` the fine scope.
    """
    found: set[Scope] = set()
    for word in words:
        found |= {word} if isinstance(word, Scope) else _WORDS.get(word) or {Scope(word)}
    return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who does something, as the record names them."""

    #: The API key's id.
    key_id: str
    #: The API key's name.
    name: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A project's key, without its secret."""

    id: str
    project_id: str
    name: str
    scopes: frozenset[Scope]
    #: HMAC-SHA-256 of the secret under the pepper, hexadecimal.
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def good(self, *, digest: str, now: datetime) -> bool:
        """Whether the secret's digest is this key's, compared in constant time, and the key is still in force."""
        same = hmac.compare_digest(self.digest, digest)
        return same and self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest_of(secret: str, *, pepper: str) -> str:
    """Return what is stored of a secret: its HMAC-SHA-256 under the pepper, hexadecimal."""
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()
