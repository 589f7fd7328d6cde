"""What `PARAMETERS=` gives the template: read, held against its declarations, and handed to CloudFormation."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import Final

from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

from infra.template import Node
from infra.trouble import Trouble

#: What `make deploy` gives by itself.
PEPPER: Final = "KeyPepper"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def read(text: str, declared: Mapping[str, Node]) -> Mapping[str, str]:
    """Return the values in `Name=value Other="a value"` by name; Trouble for the first that the template refuses."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Trouble(f"PARAMETERS: {error}") from error
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise Trouble(f'PARAMETERS: {word!r} is not Name=value; a value with blanks goes in quotes: Name="a b"')
        if name in given:
            raise Trouble(f"PARAMETERS: {name} is given twice")
        _check(name, value, declared)
        given[name] = value
    return given


def submitted(
    declared: Mapping[str, Node], given: Mapping[str, str], *, before: Mapping[str, str], pepper: str | None
) -> list[ParameterTypeDef]:
    """Return all that the template is given: what a person gave now, or else before; the rest has its default.

    Without a pepper the stack keeps the one that it has.
    """
    values = dict(given) if pepper is None else {**given, PEPPER: pepper}
    return [
        {"ParameterKey": name, "ParameterValue": values[name]}
        if name in values
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in declared
        if name in values or name in before
    ]


def _check(name: str, value: str, declared: Mapping[str, Node]) -> None:
    offered = declared.keys() - {PEPPER}
    if name == PEPPER:
        raise Trouble(f"PARAMETERS: {PEPPER} is none of yours to give: make deploy makes it, and keeps it in SSM")
    if name not in offered:
        near = difflib.get_close_matches(name, offered, n=1)
        raise Trouble(
            f"PARAMETERS: there is no {name}" + (f"; {near[0]}?" if near else f": {_listed(sorted(offered))}")
        )
    rules = declared[name]
    # Of a list, the rules hold for each part.
    parts = [part.strip() for part in value.split(",")] if rules["Type"] == "CommaDelimitedList" else [value]
    for part in parts:
        fault = _fault(part, rules)
        if fault is not None:
            raise Trouble(f"PARAMETERS: {name}={value} does not do: {rules.get('ConstraintDescription', fault)}")


def _fault(value: str, rules: Node) -> str | None:
    if "AllowedValues" in rules and value not in map(str, rules["AllowedValues"]):
        return f"one of {_listed(rules['AllowedValues'])}"
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], value):
        return f"it must look like {rules['AllowedPattern']}"
    if not int(rules.get("MinLength", 0)) <= len(value) <= int(rules.get("MaxLength", 4096)):
        return f"{rules.get('MinLength', 0)} to {rules.get('MaxLength', 4096)} characters"
    return _number_fault(value, rules) if rules["Type"] == "Number" else None


def _number_fault(value: str, rules: Node) -> str | None:
    # Conditions compare it as text: 00 would be no 0.
    if not re.fullmatch(r"0|[1-9]\d{0,8}", value, re.ASCII):
        return "a whole number"
    if "MinValue" in rules and int(value) < int(rules["MinValue"]):
        return f"{rules['MinValue']} at least"
    if "MaxValue" in rules and int(value) > int(rules["MaxValue"]):
        return f"{rules['MaxValue']} at most"
    return None


def _listed(values: object) -> str:
    return ", ".join(str(value) for value in values) if isinstance(values, list) else str(values)
