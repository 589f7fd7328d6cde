"""Decides a template's conditions for given parameters, as CloudFormation does before it looks at anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from infra.template import Node

#: Stands where `AWS::NoValue` was chosen, until it is left out.
_NOTHING: Final = object()
_NO_VALUE: Final = "AWS::NoValue"

#: What decides a condition, by its function; the arguments are decided, or plain, already.
_FUNCTIONS: Final[Mapping[str, Callable[[list[Node]], bool]]] = MappingProxyType(
    {
        "Fn::Equals": lambda pair: str(pair[0]) == str(pair[1]),
        "Fn::Not": lambda one: not one[0],
        "Fn::And": all,
        "Fn::Or": any,
    }
)


def settled(document: Mapping[str, Node], given: Mapping[str, str]) -> dict[str, Node]:
    """Return the template without conditions: of each `Fn::If` its branch, and nothing that is not to be made.

    A parameter that is not given takes its default; other references stay. KeyError for a condition that compares
    anything but parameters and constants.
    """
    values = {name: given.get(name, each.get("Default")) for name, each in document.get("Parameters", {}).items()}
    conditions = document.get("Conditions", {})
    held = {name: _holds(condition, conditions, values) for name, condition in conditions.items()}
    whole = {section: content for section, content in document.items() if section != "Conditions"}
    for section in ("Resources", "Outputs"):
        made = {name: each for name, each in whole.get(section, {}).items() if held.get(each.get("Condition"), True)}
        whole[section] = {
            name: {key: value for key, value in each.items() if key != "Condition"} for name, each in made.items()
        }
    return {section: _chosen(content, held) for section, content in whole.items()}


def _holds(node: Node, conditions: Mapping[str, Node], values: Mapping[str, Node]) -> Node:
    if not isinstance(node, dict):
        return node
    [(function, argument)] = node.items()
    if function == "Ref":
        return values[argument]
    if function == "Condition":
        return _holds(conditions[argument], conditions, values)
    return _FUNCTIONS[function]([_holds(each, conditions, values) for each in argument])


def _chosen(node: Node, held: Mapping[str, bool]) -> Node:
    if isinstance(node, list):
        return [found for each in node if (found := _chosen(each, held)) is not _NOTHING]
    if not isinstance(node, dict):
        return node
    if node == {"Ref": _NO_VALUE}:
        return _NOTHING
    if node.keys() == {"Fn::If"}:
        condition, yes, no = node["Fn::If"]
        return _chosen(yes if held[condition] else no, held)
    return {key: found for key, each in node.items() if (found := _chosen(each, held)) is not _NOTHING}
