"""Roles as IAM holds them, what they allow, and which one acts: as much of IAM as the template's policies speak of."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from moto.iam.models import iam_backends

#: What is known of a call by condition key; a key that is not in it the call does not have.
Context = Mapping[str, Sequence[str]]

#: A call about which no condition can know anything.
NO_CONTEXT: Final[Context] = MappingProxyType({})

#: IAM's operators on texts, by whether `*` and `?` in what they are given stand for others.
_OPERATORS: Final[Mapping[str, bool]] = MappingProxyType(
    {"ArnEquals": True, "ArnLike": True, "StringEquals": False, "StringLike": True}
)
_FOR_ALL: Final = "ForAllValues:"


@dataclass(frozen=True, order=True)
class Grant:
    """The smallest thing that a role can be given, and that can be taken away again: an action on a resource."""

    action: str
    resource: str


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a policy says of some actions on some resources."""

    allows: bool
    grants: Sequence[Grant]
    conditions: Mapping[str, Mapping[str, Sequence[str]]]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Statement:
        """Return a statement as it is written; ValueError if it says what is not understood here."""
        strange = written.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
        conditions = {
            operator: {key: _listed(values) for key, values in keys.items()}
            for operator, keys in written.get("Condition", {}).items()
        }
        strange |= {operator for operator in conditions if operator.removeprefix(_FOR_ALL) not in _OPERATORS}
        if strange:
            message = f"nothing here understands {', '.join(sorted(strange))} in a policy"
            raise ValueError(message)
        return cls(
            allows=written["Effect"] == "Allow",
            grants=[
                Grant(action, resource)
                for action in _listed(written["Action"])
                for resource in _listed(written["Resource"])
            ],
            conditions=conditions,
        )

    def meets(self, context: Context) -> bool:
        """Return whether all of its conditions hold."""
        return all(
            _holds(operator, values, context.get(key))
            for operator, keys in self.conditions.items()
            for key, values in keys.items()
        )


class Role:
    """A role with its policies, and what of them has been used."""

    def __init__(self, arn: str, statements: Sequence[Statement]) -> None:
        self.arn = arn
        self.statements = statements
        #: The grants by which something was allowed. Threads may add at once: each addition is one step of a set's.
        self.used: set[Grant] = set()
        self._about = functools.lru_cache(maxsize=4096)(self._looked_up)

    @classmethod
    def load(cls, arn: str) -> Role:
        """Return the role as CloudFormation made it."""
        held: Any = iam_backends[arn.split(":")[4]]["aws"].get_role_by_arn(arn)
        documents = [json.loads(text) if isinstance(text, str) else text for text in held.policies.values()]
        return cls(arn, [Statement.of(each) for document in documents for each in _listed(document["Statement"])])

    @property
    def grants(self) -> frozenset[Grant]:
        """All that it is given."""
        return frozenset(grant for each in self.statements if each.allows for grant in each.grants)

    def allows(self, action: str, resource: str, context: Context = NO_CONTEXT) -> bool:
        """Return whether it may do that: some statement allows it, and none denies it."""
        allowing: Grant | None = None
        for statement, grant in self._about(action, resource):
            if statement.meets(context):
                if not statement.allows:
                    return False
                allowing = allowing or grant
        if allowing is not None:
            self.used.add(allowing)
        return allowing is not None

    def _looked_up(self, action: str, resource: str) -> Sequence[tuple[Statement, Grant]]:
        return tuple(self._matching(action, resource))

    def _matching(self, action: str, resource: str) -> Iterator[tuple[Statement, Grant]]:
        for statement in self.statements:
            for grant in statement.grants:
                if _like(grant.action.lower(), action.lower()) and _like(grant.resource, resource):
                    yield statement, grant


_acting: ContextVar[Role | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(role: Role | None) -> Iterator[None]:
    """Have this thread, and those that are given its context, act under a role meanwhile."""
    before = _acting.set(role)
    try:
        yield
    finally:
        _acting.reset(before)


def acting() -> Role | None:
    """Return the role that this thread acts under; None if it is no function of the app."""
    return _acting.get()


def _holds(operator: str, wanted: Sequence[str], found: Sequence[str] | None) -> bool:
    """Return whether a condition holds: for whatever the call has of the key, or for its one value.

    IAM lets `ForAllValues` hold for a call without the key. Here it does not: a key that a policy asks for, and that
    nothing tells of a call, is a call that nobody has thought of.
    """
    patterns = _OPERATORS[operator.removeprefix(_FOR_ALL)]
    if found is None or (len(found) != 1 and not operator.startswith(_FOR_ALL)):
        return False
    return all(any(_like(one, value) if patterns else one == value for one in wanted) for value in found)


def _like(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
