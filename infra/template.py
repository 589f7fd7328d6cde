"""Reads the template's parts and answers what their references come to: as much of CloudFormation as they use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

#: Anything that a template may hold: CloudFormation's own shapes, checked by cfn-lint and not again by types.
Node = Any

#: The template, in parts that no reader need scroll through.
PARTS = tuple(Path(__file__).with_name(f"{part}.yaml") for part in ("resources", "roles", "api"))

#: What `!GetAtt Resource.Attribute` and `!Ref Resource` come to, by resource and attribute ("" for Ref).
Known = Mapping[tuple[str, str], str]

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")


class _Loader(yaml.SafeLoader):
    """Writes the short forms (`!Ref x`) out in full (`{"Ref": x}`), which is what Chalice merges."""

    folder: Path


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Node:
    value: Node
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise yaml.constructor.ConstructorError(None, None, f"cannot read {node!r}", node.start_mark)
    if suffix == "Include":
        return json.loads((loader.folder / value).read_text())
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def load(*parts: Path) -> dict[str, Node]:
    """Read a template, the stack's own unless another is named: its parts' sections together, no name in two of them.

    `!Include file.json` stands for that file's content, beside the part.
    """
    whole: dict[str, Node] = {}
    for part in parts or PARTS:
        for section, content in _read(part).items():
            if section not in whole:
                whole[section] = content
                continue
            twice = whole[section].keys() & content.keys()
            if twice:
                raise ValueError(f"{part.name} has {', '.join(sorted(twice))} once more")
            whole[section].update(content)
    return whole


def _read(path: Path) -> dict[str, Node]:
    loader = _Loader(path.read_text())
    loader.folder = path.parent
    try:
        return dict(loader.get_single_data())
    finally:
        loader.dispose()


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Puts values in place of a template's references."""

    #: The template's `Parameters` section and what the stack was given for it; a missing one takes its default.
    declared: Mapping[str, Mapping[str, Node]]
    #: Values for the parameters.
    given: Mapping[str, str]
    #: The stack's own: `AWS::Region` and the like.
    pseudo: Mapping[str, str]
    #: Names and ARNs of the resources that exist.
    resources: Known

    def resolve(self, node: Node) -> Node:
        """Return the node with each `Ref` and each function that the template uses replaced, or KeyError if unknown."""
        if isinstance(node, list):
            return [self.resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            name, argument = next(iter(node.items()))
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return self._attribute(*argument)
            if name == "Fn::Sub":
                return self._substitute(argument)
            if name == "Fn::Join":
                return argument[0].join(self.resolve(argument[1]))
            if name == "Fn::Split":
                return self.resolve(argument[1]).split(argument[0])
            if name == "Fn::Select":
                return self.resolve(argument[1])[argument[0]]
        return {key: self.resolve(value) for key, value in node.items()}

    def _ref(self, name: str) -> Node:
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.declared:
            value = self.given.get(name, self.declared[name].get("Default"))
            if value is None:
                raise KeyError(f"parameter {name} has neither a value nor a default")
            is_list = self.declared[name]["Type"] == "CommaDelimitedList"
            return [item.strip() for item in value.split(",")] if is_list else str(value)
        return self._attribute(name, "")

    def _attribute(self, resource: str, attribute: str) -> str:
        if (resource, attribute) not in self.resources:
            raise KeyError(f"nothing is known of {resource}{'.' if attribute else ''}{attribute}")
        return self.resources[resource, attribute]

    def _substitute(self, argument: Node) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self.resolve(own[name]))
            resource, dot, attribute = name.partition(".")
            return self._attribute(resource, attribute) if dot else str(self._ref(name))

        return _REFERENCE.sub(value_of, text)
